/**
 * Time and chance come to the cores through these ports only, so that one process can run
 * the real cores in a simulated world, and a failing seed replays exactly.
 */

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number;
  /** Calls back once, `ms` from now; the function returned cancels it. */
  after(ms: number, callback: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** A version 4 UUID. */
  uuid(): string;
  /** Unpredictable bytes where the port is the system's. */
  bytes(length: number): Uint8Array;
}

/** The program's own log: constant text, data in fields. A pino logger is one. */
export interface Log {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  /** Someone must act now. */
  error(fields: object, text: string): void;
}

/** Resolves `ms` from now on the clock given; rejects with the signal's reason when it aborts first. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** An ISO 8601 moment in UTC with milliseconds: the form of every `...At` on the wire and in the API. */
export function isoMoment(ms: number): string {
  return new Date(ms).toISOString();
}
