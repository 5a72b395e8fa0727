/**
 * The host of the Windows service on this machine: compiled as the .NET Framework of Windows would, and its care for the agent's process as a
 * program that runs here. Built once for each state of the sources.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { compilerArguments } from '../../provider-agent/service/commands.ts';
import { hostSources } from '../../provider-agent/service/definition.ts';
import { withSetupLock } from '../../scripts/setup/setup-lock.mjs';

export interface BuiltServiceHost {
  /** For `dotnet`. */
  readonly driver: string;
  /** What the compiler says about the arguments that it is given on Windows; empty when it has compiled. */
  compile(out: string): string;
}

const folder = join(import.meta.dirname, '../service-host');
const cache = join(import.meta.dirname, '../../node_modules/.cache/farshore-service-host');

/** Or why there is none, which is told on standard error too. */
export async function buildServiceHost(): Promise<BuiltServiceHost | string> {
  const sdks = spawnSync('dotnet', ['--list-sdks'], { encoding: 'utf8' });
  const newest = /^(\S+) \[(.*)\]$/.exec((sdks.stdout ?? '').trim().split('\n').at(-1) ?? '');
  if (newest === null) return missing('there is no .NET SDK (dotnet)');
  const compiler = join(newest[2] ?? '', newest[1] ?? '', 'Roslyn/bincore/csc.dll');
  mkdirSync(cache, { recursive: true });
  const sources = [...readdirSync(folder).map((name) => join(folder, name)), ...hostSources];
  const hash = createHash('sha256').update(sdks.stdout);
  for (const file of sources) hash.update(readFileSync(file));
  const place = join(cache, hash.digest('hex').slice(0, 16));
  const failure = await withSetupLock(cache, async () => make(place, sources));
  return failure === null
    ? { driver: join(place, 'out/service-host.dll'), compile: (out) => compileHost(compiler, out) }
    : missing(failure);
}

function make(place: string, sources: readonly string[]): string | null {
  if (existsSync(join(place, 'ready'))) return null;
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  for (const file of sources) copyFileSync(file, join(place, basename(file)));
  const build = spawnSync('dotnet', ['build', '-c', 'Release', '-v', 'q', '-nologo', '-o', 'out', 'service-host.csproj'], {
    cwd: place,
    encoding: 'utf8',
  });
  if (build.status === 0) {
    writeFileSync(join(place, 'ready'), '');
    return null;
  }
  if (process.env.CI !== undefined) throw new Error(`the host of the Windows service cannot be built: ${build.stdout}`);
  return `its host cannot be built: ${build.stdout.trim().split('\n').at(-1) ?? ''}`;
}

function compileHost(compiler: string, out: string): string {
  const packages = process.env.NUGET_PACKAGES ?? join(homedir(), '.nuget/packages');
  const framework = join(packages, 'microsoft.netframework.referenceassemblies.net48/1.0.3/build/.NETFramework/v4.8');
  // What its own settings tell the compiler of Windows: which language it knows, and the libraries that are always there.
  const onWindows = [
    '-noconfig',
    '-nostdlib+',
    '-langversion:5',
    '-warnaserror+',
    `-lib:${framework}`,
    '-reference:mscorlib.dll',
    '-reference:System.dll',
  ];
  const { status, stdout, stderr } = spawnSync('dotnet', [compiler, ...onWindows, ...compilerArguments(out)], { encoding: 'utf8' });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

function missing(reason: string): string {
  const text = `The host of the Windows service is NOT tested here: ${reason}`;
  process.stderr.write(`\n${text}\n`);
  return text;
}
