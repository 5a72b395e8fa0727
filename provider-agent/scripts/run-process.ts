/**
 * Runs one program to its end or to its limit, with a document on its standard input and its output in a file that the site keeps. At
 * the limit it is ended with everything that it has started: its process group, on Windows its tree. A process that has left the
 * group or the tree by itself is not found; what is still written by then is not waited for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { constants } from 'node:os';
import { FarshoreError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { endTree } from '../process/end-tree.ts';
import type { Interpreter } from './script-name.ts';

export interface ProcessOrder extends Interpreter {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly input: string;
  readonly limitMs: number;
  readonly outputFile: string;
}

const OUTPUT_BYTES_MOST = 1024 * 1024;
/** How long output that is still on its way is waited for. */
const LAST_WORDS_MS = 2_000;
/** How long the system may take to end what it was told to. */
const DEAD_WITHIN_MS = 10_000;

/** Exit code, or null when it was ended at the limit. Throws ERR_SCRIPT_FAILED when it could not be started. */
export async function runProcess(order: ProcessOrder, clock: Clock): Promise<number | null> {
  const child = spawn(order.file, [...order.args], {
    cwd: order.folder,
    env: order.environment,
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  keepOutput(child, order.outputFile);
  // Whoever does not read its input closes it early, which is no failure.
  child.stdin.on('error', () => {});
  child.stdin.end(order.input);
  try {
    return await endOf(child, order.limitMs, clock, () => endTree(child));
  } catch (cause) {
    throw new FarshoreError('ERR_SCRIPT_FAILED', `${order.file} could not be started`, { cause });
  } finally {
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }
}

/** Rejects when it could not be started. */
function endOf(child: ChildProcess, limitMs: number, clock: Clock, end: () => void): Promise<number | null> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const timers: (() => void)[] = [];
    const settle = (code: number | null) => {
      for (const cancel of timers) cancel();
      resolve(code);
    };
    timers.push(
      clock.after(limitMs, () => {
        isOver = true;
        end();
        timers.push(clock.after(DEAD_WITHIN_MS, () => settle(null)));
      }),
    );
    child.once('error', (cause) => {
      for (const cancel of timers) cancel();
      reject(cause);
    });
    child.once('exit', (code, signal) => {
      // A program that a signal ended has no exit code; shells give this one.
      const exitCode = isOver ? null : (code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      child.once('close', () => settle(exitCode));
      timers.push(clock.after(LAST_WORDS_MS, () => settle(exitCode)));
    });
  });
}

function keepOutput(child: ChildProcess, file: string): void {
  const kept = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  kept.on('error', () => {});
  let left = OUTPUT_BYTES_MOST;
  const keep = (chunk: Buffer) => {
    if (left <= 0) return;
    kept.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) kept.write(`\n[cut after ${OUTPUT_BYTES_MOST} bytes]\n`);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.once('close', () => kept.end());
}
