/**
 * Runs PowerShell scripts in the real engine, with stubs for cmdlets that only Windows has. The engine is a library from NuGet, put
 * together by the .NET SDK once a run; where either is missing the reason is told, and suites that need it are skipped by it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PowerShellRun {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface PowerShellHost {
  /** The script with `input` as the document on its standard input. */
  run(script: string, input: unknown, stubs?: string): Promise<PowerShellRun>;
  /** What Windows PowerShell 5.1 does not know, one line each. */
  check(script: string): Promise<PowerShellRun>;
  remove(): void;
}

/** Or why there is none. */
export function buildPowerShellHost(): PowerShellHost | string {
  if (spawnSync('dotnet', ['--version']).status !== 0) return 'PowerShell scripts are NOT tested here: there is no .NET SDK (dotnet)';
  const folder = mkdtempSync(join(tmpdir(), 'farshore-powershell-'));
  cpSync(join(import.meta.dirname, '../powershell'), folder, { recursive: true });
  const built = spawnSync('dotnet', ['build', '-c', 'Release', '-v', 'q', '-nologo', '-o', join(folder, 'out')], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (built.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    // Where all that can run has to run, an engine that is there and cannot be built is no reason to skip.
    if (process.env.CI !== undefined) throw new Error(`the PowerShell host cannot be built: ${built.stdout}`);
    return `PowerShell scripts are NOT tested here: their host cannot be built: ${built.stdout.trim().split('\n').at(-1) ?? ''}`;
  }
  const host = (args: readonly string[], input: string) => runProgram(['dotnet', join(folder, 'out', 'host.dll'), ...args], input);
  return {
    run(script, input, stubs = '') {
      const file = join(folder, 'stubs.ps1');
      writeFileSync(file, stubs);
      return host(['run', file, script], JSON.stringify(input));
    },
    check: (script) => host(['check', script], ''),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function runProgram([file = '', ...args]: readonly string[], input: string): Promise<PowerShellRun> {
  const child = spawn(file, args);
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, errors };
}
