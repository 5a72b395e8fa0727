/**
 * The PowerShell that tests run scripts in, as `powershell -NoLogo -NoProfile -NonInteractive -File` with its streams piped: `pwsh` or
 * Windows PowerShell where the machine has one, else the real engine in a small host (`test/powershell-host`).
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type BuiltHost, buildHost } from './build.ts';
import type { ModelServer } from './model-server.ts';

export interface PowerShellRun {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface PowerShellOptions {
  /** With the cmdlets of the contract, and this behind them. */
  readonly model?: ModelServer;
  /** A script that is run in the same scope first. */
  readonly prelude?: string;
  /** Of which the JSON cmdlets of our own host have the habits; 5.1 where nothing is said. */
  readonly edition?: 'Desktop' | 'Core';
}

export class PowerShell {
  /** What stands before `-File`. */
  readonly program: readonly [string, ...string[]];
  readonly built: BuiltHost;
  /** The host of this project, not a PowerShell of the machine. */
  readonly isOurs: boolean;

  constructor(built: BuiltHost) {
    const found = ['pwsh', 'powershell.exe'].find((name) => spawnSync(name, ['-NoLogo', '-NoProfile', '-Command', 'exit 0']).status === 0);
    this.built = built;
    this.isOurs = found === undefined;
    this.program = [
      ...(found === undefined ? (['dotnet', built.host] as const) : ([found] as const)),
      '-NoLogo',
      '-NoProfile',
      '-NonInteractive',
    ];
  }

  /** What a process needs for the stub cmdlets, beside the environment of the test. */
  environment({ model, edition }: PowerShellOptions): Record<string, string> {
    const before = this.isOurs ? '' : `${delimiter}${process.env.PSModulePath ?? ''}`;
    return {
      FARSHORE_EDITION: edition ?? 'Desktop',
      ...(model === undefined ? {} : { PSModulePath: `${this.built.modules}${before}`, ...model.environment }),
    };
  }

  /** Arguments that begin with a dash are names of parameters. */
  spawn(script: string, args: readonly string[], options: PowerShellOptions = {}): ChildProcessWithoutNullStreams {
    const [file, ...first] = this.program;
    const { prelude } = options;
    const env = { ...process.env, ...this.environment(options), ...(prelude === undefined ? {} : { FARSHORE_PRELUDE: prelude }) };
    const last =
      prelude === undefined || this.isOurs ? ['-File', script, ...args] : ['-Command', `. '${prelude}'; & '${script}' ${args.join(' ')}`];
    return spawn(file, [...first, ...last], { env });
  }

  async run(script: string, args: readonly string[], input: string, options: PowerShellOptions = {}): Promise<PowerShellRun> {
    return ended(this.spawn(script, args, options), input);
  }

  /** A script of a few lines. */
  async runText(script: string, input = '', options: PowerShellOptions = {}): Promise<PowerShellRun> {
    return withFile(script, (file) => this.run(file, [], input, options));
  }
}

/** Or why there is none, which is told on standard error too. */
export async function findPowerShell(): Promise<PowerShell | string> {
  const built = await buildHost();
  if (typeof built !== 'string') return new PowerShell(built);
  const reason = `PowerShell is NOT tested here: ${built}`;
  process.stderr.write(`\n${reason}\n`);
  return reason;
}

/** The text as a file for as long as `use` takes. */
export async function withFile<Result>(content: string, use: (file: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-script-'));
  try {
    const file = join(folder, 'script.ps1');
    // Windows PowerShell takes a file without a mark for one of the old code page.
    writeFileSync(file, `\uFEFF${content}`);
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ended(child: ChildProcessWithoutNullStreams, input: string): Promise<PowerShellRun> {
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, output, errors };
}
