/**
 * What a VM has in common with the other end: the points that were carried from here, by their layers, and up to which layer its base has
 * swallowed the others. Written before the other end hears of a point and before a merge begins, so that after any crash two ends that
 * meet again find the newest state that both hold, and a former primary can go back to it.
 */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '../../../certs/key-files.ts';

export const SharedPoint = z.strictObject({ id: z.uuid(), at: z.int().min(0), layer: z.int().min(0) });
export type SharedPoint = z.infer<typeof SharedPoint>;
const LineageFile = z.strictObject({ points: z.array(SharedPoint), merged: z.int().min(0) });
type LineageFile = z.infer<typeof LineageFile>;

/** Points that the other end has confirmed are in the base; these wait for their answer or are the newest. */
const POINTS_MOST = 500;

export class Lineage {
  readonly #file: string;
  #state: LineageFile;

  private constructor(file: string, state: LineageFile) {
    this.#file = file;
    this.#state = state;
  }

  /** Empty where nothing was ever carried from there. */
  static async read(folder: string): Promise<Lineage> {
    const file = fileIn(folder);
    const text = await readFile(file, 'utf8').catch(() => null);
    return new Lineage(file, text === null ? { points: [], merged: 0 } : LineageFile.parse(JSON.parse(text)));
  }

  /** Of a replica that sends from now on: it holds that point as the other end does. */
  static async begin(folder: string, point: SharedPoint, merged: number): Promise<void> {
    await new Lineage(fileIn(folder), { points: [], merged: 0 }).#write({ points: [point], merged });
  }

  static async end(folder: string): Promise<void> {
    await rm(fileIn(folder), { force: true });
  }

  /** Oldest first; none that its base has gone past. */
  get points(): readonly SharedPoint[] {
    return this.#state.points;
  }

  /** The highest layer that has left: nothing may be written to it any more. */
  get highest(): number | null {
    return this.points.length === 0 ? null : Math.max(...this.points.map(({ layer }) => layer));
  }

  async add(point: SharedPoint): Promise<void> {
    await this.#write({ ...this.#state, points: [...this.points, point].slice(-POINTS_MOST) });
  }

  async merges(upTo: number): Promise<void> {
    if (upTo <= this.#state.merged) return;
    await this.#write({ points: this.points.filter(({ layer }) => layer >= upTo), merged: upTo });
  }

  async #write(state: LineageFile): Promise<void> {
    await writeFileDurably(this.#file, `${JSON.stringify(state)}\n`);
    this.#state = state;
  }
}

function fileIn(folder: string): string {
  return join(folder, 'lineage.json');
}
