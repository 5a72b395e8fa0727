/**
 * Builds the PowerShell host and the stub modules with the .NET SDK, once for each state of their sources: suites that run side by side
 * share it. Where the SDK or the packages are missing the reason is told, and suites that need them are skipped by it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { withSetupLock } from '../../../scripts/setup/setup-lock.mjs';
import { isPartOfPowerShell, readContract } from './contract.ts';
import { type StubSource, stubSource } from './stub-source.ts';

export interface BuiltHost {
  readonly host: string;
  /** Modules of the fabric; for PSModulePath. */
  readonly modules: string;
  /** Modules of PowerShell itself, for the static check alone. */
  readonly ownModules: string;
}

const sources = join(import.meta.dirname, '../../powershell-host');
const cache = join(import.meta.dirname, '../../../node_modules/.cache/farshore-powershell');
const keptForMs = 24 * 3_600_000;

/** Or why there is none. */
export async function buildHost(): Promise<BuiltHost | string> {
  const sdk = spawnSync('dotnet', ['--version'], { encoding: 'utf8' });
  if (sdk.status !== 0) return 'there is no .NET SDK (dotnet)';
  const stubs = stubSource(readContract());
  const folder = join(cache, nameOf(stubs, sdk.stdout));
  const built: BuiltHost = {
    host: join(folder, 'out/powershell.dll'),
    modules: join(folder, 'modules/fabric'),
    ownModules: join(folder, 'modules/powershell'),
  };
  const ready = join(folder, 'ready');
  if (existsSync(ready)) {
    // Old is what nobody has used for long.
    utimesSync(folder, new Date(), new Date());
    return built;
  }
  mkdirSync(cache, { recursive: true });
  return withSetupLock(cache, async () => {
    if (existsSync(ready)) return built;
    removeOld();
    const failure = await make(folder, stubs);
    if (failure === undefined) writeFileSync(ready, '');
    return failure ?? built;
  });
}

function nameOf(stubs: StubSource, sdk: string): string {
  const hash = createHash('sha256').update(sdk);
  for (const [name, source] of stubs.files) hash.update(name).update(source);
  const own = readdirSync(sources, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of own.filter((file) => /\.(cs|csproj)$/.test(file))) hash.update(name).update(readFileSync(join(sources, name)));
  hash.update(readFileSync(import.meta.filename));
  return hash.digest('hex').slice(0, 16);
}

async function make(folder: string, stubs: StubSource): Promise<string | undefined> {
  rmSync(folder, { recursive: true, force: true });
  cpSync(sources, folder, { recursive: true });
  for (const [name, source] of stubs.files) writeFileSync(join(folder, 'stubs', name), source);
  const out = join(folder, 'out');
  const build = spawn('dotnet', ['build', '-c', 'Release', '-v', 'q', '-nologo', '-o', out, 'powershell.csproj'], {
    cwd: join(folder, 'host'),
  });
  const [output, [code]] = await Promise.all([text(build.stdout), once(build, 'close') as Promise<[number | null]>]);
  if (code === 0) {
    for (const [name, offer] of stubs.modules) writeManifest(folder, name, offer);
    return undefined;
  }
  rmSync(folder, { recursive: true, force: true });
  // Where all that can run has to run, an engine that is there and cannot be built is no reason to skip.
  if (process.env.CI !== undefined) throw new Error(`the PowerShell host cannot be built: ${output}`);
  return `its host cannot be built: ${output.trim().split('\n').at(-1) ?? ''}`;
}

function writeManifest(
  folder: string,
  name: string,
  offer: { readonly cmdlets: readonly string[]; readonly aliases: readonly string[] },
): void {
  const place = join(folder, 'modules', isPartOfPowerShell(name) ? 'powershell' : 'fabric', name);
  const list = (names: readonly string[]): string => `@(${names.map((item) => `'${item}'`).join(', ')})`;
  mkdirSync(place, { recursive: true });
  // A library that two modules name by one path would be imported as the first of them.
  cpSync(join(folder, 'out/Farshore.Stubs.dll'), join(place, 'Farshore.Stubs.dll'));
  writeFileSync(
    join(place, `${name}.psd1`),
    `@{ ModuleVersion = '2.0.0.0'; RootModule = 'Farshore.Stubs.dll'; FunctionsToExport = @(); VariablesToExport = @()
CmdletsToExport = ${list(offer.cmdlets)}
AliasesToExport = ${list(offer.aliases)} }
`,
  );
}

function removeOld(): void {
  for (const name of readdirSync(cache)) {
    const old = join(cache, name);
    if (Date.now() - statSync(old).mtimeMs > keptForMs) rmSync(old, { recursive: true, force: true });
  }
}
