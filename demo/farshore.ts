/** Runs the command line as a person would, showing what was typed; or quietly, reading its JSON. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import colors from 'picocolors';
import { programs } from './processes.ts';

export class CommandLine {
  readonly #environment: NodeJS.ProcessEnv;

  /** `configFile`: where the command line keeps address, authority and sign-in. */
  constructor(configFile: string) {
    this.#environment = { ...process.env, FARSHORE_CONFIG: configFile };
  }

  /** Shows the command and lets it write to the terminal. Throws when it does not end with one of the exit codes. */
  async show(args: readonly string[], expected: readonly number[] = [0]): Promise<number> {
    console.log(colors.dim('$ ') + colors.cyan(['farshore', ...args.map(quoted)].join(' ')));
    const child = spawn(process.execPath, [programs.cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'], env: this.#environment });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code === null || !expected.includes(code)) throw new Error(`farshore ${args[0]} ended with exit code ${code}`);
    return code;
  }

  /** The answer of a command with `--json`, `input` on its standard input. */
  async json<T>(args: readonly string[], input = ''): Promise<T> {
    const child = spawn(process.execPath, [programs.cli, ...args, '--json'], { stdio: ['pipe', 'pipe', 'pipe'], env: this.#environment });
    child.stdin.end(input);
    const [answer, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    if (code !== 0) throw new Error(`farshore ${args.join(' ')}: ${complaint || answer}`);
    return JSON.parse(answer) as T;
  }
}

const quoted = (word: string) => (/^[\w./:=@-]+$/.test(word) ? word : `"${word}"`);
