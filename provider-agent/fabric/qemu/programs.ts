/**
 * The programs of QEMU: those that run to their end, those that go on as helpers, and what each says of its version. Arguments are given as a list and never
 * as a line for a shell; output is capped; at the limit a program is killed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { failed } from './qemu-error.ts';

const OUTPUT_BYTES_MOST = 4 * 1024 * 1024;
const LIMIT_MS = 600_000;
/** Measured with 7.2 of Debian 12; snapshots in transactions and block-commit by node name are older, `yank` is of 6.0. */
const OLDEST = 6;

const needed = ['qemu-system-x86_64', 'qemu-img', 'qemu-nbd', 'qemu-storage-daemon'] as const;

/** `ip` of iproute2 makes the adapters' ends at the host (networks.ts). */
export type Program = (typeof needed)[number] | 'ip';

/**
 * The command that runs a program of QEMU: what a guest or another site speaks to has none of the rights that a service manager may have
 * given to the agent and all that it starts.
 */
export function withoutRights(program: Program, args: readonly string[]): [string, ...string[]] {
  if (!hasRightsToPassOn()) return [program, ...args];
  return ['setpriv', '--ambient-caps', '-all', '--inh-caps', '-all', program, ...args];
}

function hasRightsToPassOn(): boolean {
  return process.platform === 'linux' && !/^CapAmb:\s*0+$/m.test(readFileSync('/proc/self/status', 'utf8'));
}

/** What it printed. Throws ERR_FABRIC_FAILED with what it said on its error output. */
export function runProgram(program: Program, args: readonly string[], limitMs: number = LIMIT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: limitMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES_MOST,
      env: { ...process.env, LC_ALL: 'C' },
    };
    const [file, ...rest] = program === 'ip' ? [program, ...args] : withoutRights(program, args);
    execFile(file, rest, options, (error, output, errors) => {
      if (error === null) return resolve(output);
      const said = errors.trim() || error.message;
      reject(failed(error.killed ? 'OperationTimeout' : 'OperationFailed', `${program} ${args[0] ?? ''}: ${said}`, error));
    });
  });
}

const LAST_WORDS_BYTES = 4_096;

export interface Helper {
  readonly child: ChildProcess;
  /** The end of what it has said on its error output. */
  said(): string;
}

/** A program that goes on beside the agent until it is ended. */
export function startHelper(program: Program, args: readonly string[]): Helper {
  const [file, ...rest] = withoutRights(program, args);
  const child = spawn(file, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-LAST_WORDS_BYTES);
  });
  return { child, said: () => said.trim() };
}

export interface ProgramLack {
  readonly program: Program;
  readonly found: string;
  readonly remedy: string;
}

/** Of all programs at once; empty where all that is needed is there. */
export async function lacksOfPrograms(): Promise<ProgramLack[]> {
  const remedy = 'install it (Debian and Ubuntu: apt-get install --no-install-recommends qemu-system-x86 qemu-utils)';
  const found = await Promise.all(
    needed.map(async (program): Promise<ProgramLack | null> => {
      const told = await runProgram(program, ['--version'], 10_000).catch(() => null);
      if (told === null) return { program, found: `${program} is missing`, remedy };
      const [version = '', major = '0'] = /(?<=version |qemu-nbd )(\d+)\.[\d.]*/.exec(told)?.slice(0, 2) ?? [];
      if (Number(major) >= OLDEST) return null;
      return { program, found: `${program} is of version ${version || 'unknown'}`, remedy: `${OLDEST}.0 or later is needed` };
    }),
  );
  return found.filter((lack) => lack !== null);
}

export async function mistakesOfPrograms(): Promise<string[]> {
  return (await lacksOfPrograms()).map(({ found, remedy }) => `${found}: ${remedy}`);
}

export async function createOverlay(file: string, backing: string): Promise<void> {
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, file]);
}

export async function createImage(file: string, sizeBytes: number): Promise<void> {
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(sizeBytes)]);
}

/** The process that wrote the file, while it lives: its number may belong to another program by now. */
export async function pidIn(pidFile: string): Promise<number | null> {
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).trim());
  if (!Number.isInteger(pid) || pid <= 1) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(pidFile) ? pid : null;
}
