/**
 * One PowerShell process that answers requests, one at a time. A request and its answer are one line of JSON each, and the answer
 * bears the id of the request, which nobody can guess: whatever else comes is noise. A process that hangs, floods or ends is not
 * asked again, and what it did with an open request is not known.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { z } from 'zod';
import type { ErrorCode } from '../../../shared/errors.ts';
import type { Clock } from '../../../shared/ports.ts';
import { endTree } from '../../process/end-tree.ts';
import { FabricError } from '../fabric-error.ts';
import { readLines } from './line-reader.ts';
import { type AnsweredError, fabricErrorOf } from './powershell-errors.ts';

export interface HostProgram {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

export interface ProcessLimits {
  /** How long it may take to be ready. */
  readonly startMs: number;
  /** The longest answer. */
  readonly answerBytes: number;
  /** What it may write between two answers that is none. */
  readonly noiseBytes: number;
}

export interface Request {
  readonly id: string;
  readonly function: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Manages the hosts that it is about; null where nobody does. */
  readonly scvmm: ScvmmAddress | null;
}

export interface ScvmmAddress {
  readonly server: string;
  readonly port: number;
}

const Answer = z.discriminatedUnion('ok', [
  z.object({ id: z.string(), ok: z.literal(true), value: z.unknown() }),
  z.object({
    id: z.string(),
    ok: z.literal(false),
    error: z.object({ id: z.string(), category: z.string(), message: z.string(), target: z.string().nullable() }),
  }),
]);

/** What it says once when it can be asked. */
const READY = 'ready';
const LAST_WORDS_BYTES = 4096;
const LAST_WORDS_MS = 2_000;

interface Open {
  readonly id: string;
  readonly function: string;
  resolve(value: unknown): void;
  reject(error: FabricError): void;
}

export class PowerShellProcess {
  /** Rejects when it cannot be started or is not ready in time. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #limits: ProcessLimits;
  readonly #clock: Clock;
  #open: Open | null = null;
  #noise = 0;
  #lastWords = '';
  #isEnded = false;

  constructor(program: HostProgram, limits: ProcessLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#child = spawn(program.file, [...program.args], {
      env: program.environment,
      detached: process.platform !== 'win32',
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#listen(this.#child);
    this.ready = this.#within(limits.startMs, this.#expect(READY, 'start'), 'it was not ready to be asked').then(() => undefined);
    // Whoever asks it learns of it; a spare that nobody asks yet has no one to tell.
    this.ready.catch(() => this.end());
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The answer's value; after any other end than an answer the process is ended too. One request at a time. */
  async ask(request: Request, limitMs: number, signal?: AbortSignal): Promise<unknown> {
    await this.ready;
    const answer = this.#expect(request.id, request.function);
    this.#child.stdin?.write(`${asciiJson(request)}\n`);
    const onAbort = () => this.#fail('ERR_FABRIC_TIMEOUT', `${request.function} was given up by its caller`);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      return await this.#within(limitMs, answer, `${request.function} gave no answer`);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  end(): void {
    this.#fail('ERR_FABRIC_FAILED', 'the PowerShell process was ended');
  }

  #listen(child: ChildProcess): void {
    const { answerBytes } = this.#limits;
    // Whoever has gone reads no request; its end is told by `exit`.
    child.stdin?.on('error', () => {});
    if (child.stdout !== null)
      readLines(child.stdout, {
        longestBytes: answerBytes,
        onLine: (line) => this.#take(line),
        onTooLong: () => this.#fail('ERR_FABRIC_FAILED', `an answer was longer than ${answerBytes} bytes`),
      });
    child.stderr?.on('data', (chunk: Buffer) => this.#note(chunk.toString('utf8')));
    child.once('error', (cause) => this.#fail('ERR_FABRIC_FAILED', `PowerShell could not be started: ${cause.message}`));
    child.once('exit', (code, signal) => {
      const fail = () =>
        this.#fail('ERR_FABRIC_FAILED', `the PowerShell process ended by itself (${code ?? signal}) before it had answered`);
      // Its last answer may still be on the way; what it started may hold the pipe for ever.
      child.once('close', fail);
      this.#clock.after(LAST_WORDS_MS, fail);
    });
  }

  #expect(id: string, name: string): Promise<unknown> {
    if (this.#isEnded) return Promise.reject(this.#error('ERR_FABRIC_FAILED', name, 'the PowerShell process has ended'));
    return new Promise((resolve, reject) => {
      this.#open = { id, function: name, resolve, reject };
    });
  }

  #take(line: string): void {
    const answer = answerIn(line);
    const open = this.#open;
    if (answer === null || open === null || answer.id !== open.id) return this.#note(`${line}\n`);
    this.#open = null;
    this.#noise = 0;
    if (answer.ok) open.resolve(answer.value);
    else open.reject(fabricErrorOf(answer.error, open.function));
  }

  #note(text: string): void {
    this.#noise += text.length;
    this.#lastWords = `${this.#lastWords}${text}`.slice(-LAST_WORDS_BYTES);
    if (this.#noise > this.#limits.noiseBytes) this.#fail('ERR_FABRIC_FAILED', 'it wrote much that was no answer');
  }

  async #within(limitMs: number, answer: Promise<unknown>, what: string): Promise<unknown> {
    const cancel = this.#clock.after(limitMs, () => this.#fail('ERR_FABRIC_TIMEOUT', `${what} within ${limitMs / 1000} s`));
    try {
      return await answer;
    } finally {
      cancel();
    }
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    endTree(this.#child);
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream?.destroy();
    const open = this.#open;
    this.#open = null;
    open?.reject(this.#error(code, open.function, message));
  }

  #error(code: ErrorCode, name: string, message: string): FabricError {
    const said = this.#lastWords.trim();
    const errorId: AnsweredError['errorId'] = code === 'ERR_FABRIC_TIMEOUT' ? 'OperationTimeout' : 'OperationFailed';
    return new FabricError(code, errorId, name, said === '' ? message : `${message}; it said last: ${said}`);
  }
}

/** So that no code page of a console can change it, nor a reader take a separator of Unicode for the end of a line. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function answerIn(line: string): z.infer<typeof Answer> | null {
  if (!line.startsWith('{')) return null;
  try {
    return Answer.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
