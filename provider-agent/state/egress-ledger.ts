/**
 * The ledger of egress: every message that leaves the site, word for word, one JSON line each, in a file a day. It is
 * the site's own proof of what it tells. A line is handed to the system before its message is sent, so it survives the
 * end of the process; what cannot be noted is not sent.
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FarshoreError } from '../../shared/errors.ts';
import { type Clock, isoMoment } from '../../shared/ports.ts';

export interface LedgerOptions {
  readonly folder: string;
  readonly clock: Clock;
  /** Files of days before this many are removed. */
  readonly days: number;
  /** In all; the oldest files are removed first, never the present one. */
  readonly totalBytes: number;
}

/** A day with much to tell has several files, so that the oldest part can be removed. */
const PARTS_OF_TOTAL = 16;
const DAY_MS = 86_400_000;
const FILE_NAME = /^egress-\d{4}-\d{2}-\d{2}(\.\d{3})?\.jsonl$/;

export class EgressLedger {
  readonly #options: LedgerOptions;
  #day = '';
  #file: number | null = null;
  #bytes = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  /** `text` is the message as it goes over the wire: JSON. Throws what the file system throws. */
  note(text: string): void {
    const at = isoMoment(this.#options.clock.now());
    const line = Buffer.from(`{"at":"${at}","message":${text}}\n`);
    const file = this.#fileFor(at.slice(0, 10), line.length);
    for (let written = 0; written < line.length; ) written += writeSync(file, line, written);
    this.#bytes += line.length;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #fileFor(day: string, length: number): number {
    const { folder, totalBytes } = this.#options;
    const isFull = this.#bytes > 0 && this.#bytes + length > totalBytes / PARTS_OF_TOTAL;
    if (this.#file !== null && this.#day === day && !isFull) return this.#file;
    this.close();
    this.#clean();
    const path = join(folder, nextPart(listLedger(folder), day, isFull && this.#day === day));
    this.#file = openSync(path, 'a', 0o600);
    this.#bytes = statSync(path).size;
    this.#day = day;
    return this.#file;
  }

  #clean(): void {
    const { folder, clock, days, totalBytes } = this.#options;
    const oldest = `egress-${isoMoment(clock.now() - days * DAY_MS).slice(0, 10)}`;
    const files = listLedger(folder).map((name) => ({ name, bytes: statSync(join(folder, name)).size }));
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name, bytes } of files.slice(0, -1)) {
      if (name >= oldest && total <= totalBytes) continue;
      unlinkSync(join(folder, name));
      total -= bytes;
    }
  }
}

/** The files of the ledger, oldest first. */
export function listLedger(folder: string): string[] {
  if (!existsSync(folder)) throw new FarshoreError('ERR_NOT_FOUND', `there is no ledger ${folder}: no agent has run on this data folder`);
  // The first file of a day has no number, and its name sorts after those that have one.
  const order = (name: string) => name.replace(/^(egress-\d{4}-\d{2}-\d{2})\.jsonl$/, '$1.000.jsonl');
  return readdirSync(folder)
    .filter((name) => FILE_NAME.test(name))
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/** The newest file of the day, or the one after it. */
function nextPart(existing: readonly string[], day: string, isNew: boolean): string {
  const ofDay = existing.filter((name) => name.startsWith(`egress-${day}`));
  const newest = ofDay.at(-1);
  if (newest === undefined) return `egress-${day}.jsonl`;
  if (!isNew) return newest;
  const number = Number(newest.slice(`egress-${day}.`.length, -'.jsonl'.length) || 0);
  return `egress-${day}.${String(number + 1).padStart(3, '0')}.jsonl`;
}
