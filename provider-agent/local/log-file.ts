/**
 * The log as files of a limited size: the newest is `agent.log`, `agent.log.1` the one before it, and so on; the oldest goes. Written at once,
 * since the last lines before a death are those that are wanted. A disk that takes no more costs lines and never the agent.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface LogFileOptions {
  readonly path: string;
  readonly megabytes: number;
  /** With the newest. */
  readonly files: number;
  /** Once for each time without room. */
  onFault(error: unknown): void;
}

const MEGABYTE = 1024 * 1024;

export class LogFile {
  readonly #options: LogFileOptions;
  #descriptor: number;
  #bytes: number;
  #isFaulty = false;

  /** Throws when the file cannot be opened. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true });
    this.#descriptor = openSync(options.path, 'a', 0o600);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  write(text: string): void {
    try {
      this.#bytes += writeSync(this.#descriptor, text);
      if (this.#bytes >= this.#options.megabytes * MEGABYTE) this.#moveOn();
      this.#isFaulty = false;
    } catch (error) {
      if (!this.#isFaulty) this.#options.onFault(error);
      this.#isFaulty = true;
    }
  }

  /** Where a program holds a file so that it cannot be moved, this one goes on, and is tried again after as much again. */
  #moveOn(): void {
    const { path, files } = this.#options;
    this.#bytes = 0;
    rmSync(older(path, files - 1), { force: true });
    for (let age = files - 1; age > 0; age--) {
      try {
        renameSync(older(path, age - 1), older(path, age));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    const before = this.#descriptor;
    this.#descriptor = openSync(path, 'a', 0o600);
    closeSync(before);
  }
}

const older = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`);
