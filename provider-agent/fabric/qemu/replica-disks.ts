/**
 * The disks of a replica, in the files of a VM that runs (layers.ts): a base, and over it a layer for each recovery point, which holds what its
 * primary froze up to the layer of that number. What arrives is written to a new layer, so an increment that breaks off can never
 * touch a point that is complete; `points.json` is the list of the complete ones, and what it does not name does not
 * count. A point is of all disks of the VM at one moment.
 */

import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '../../../certs/key-files.ts';
import { syncFile } from './durable-file.ts';
import { Layers } from './layers.ts';
import { createImage, runProgram } from './programs.ts';
import { failed } from './qemu-error.ts';

const StoredPoint = z.strictObject({
  id: z.uuid(),
  /** When its primary froze it; milliseconds since 1970. */
  at: z.int().min(0),
  kind: z.enum(['crashConsistent', 'applicationConsistent']),
  /** The layer of the primary that it ends with, and its own: layers up to it need not be sent again. */
  layer: z.int().min(0),
});
export type StoredPoint = z.infer<typeof StoredPoint>;
const PointsFile = z.strictObject({
  /** The layer up to which the base holds all; null before the first copy has arrived. */
  base: z.int().min(0).nullable(),
  /** Oldest first. */
  points: z.array(StoredPoint),
  /** The point that it was failed over to, and the layer over it that takes the writes; nothing arrives then. */
  failover: z.strictObject({ point: z.uuid(), layer: z.int().min(1) }).nullable(),
});
type PointsFile = z.infer<typeof PointsFile>;

export interface DiskDefinition {
  /** The name of its folder. */
  readonly name: string;
  readonly sizeBytes: number;
}

export class ReplicaDisks {
  readonly #folder: string;
  readonly #disks: readonly DiskDefinition[];
  readonly #layers: Layers;
  #state: PointsFile;

  private constructor(folder: string, disks: readonly DiskDefinition[], state: PointsFile) {
    this.#folder = folder;
    this.#disks = disks;
    this.#layers = new Layers(
      folder,
      disks.map(({ name }) => name),
    );
    this.#state = state;
  }

  /** Reads what is complete; what an earlier life left unfinished is removed, a merge that was cut off is done again. */
  static async open(folder: string, disks: readonly DiskDefinition[]): Promise<ReplicaDisks> {
    const text = await readFile(pointsFile(folder), 'utf8').catch(() => null);
    const replica = new ReplicaDisks(
      folder,
      disks,
      text === null ? { base: null, points: [], failover: null } : PointsFile.parse(JSON.parse(text)),
    );
    await replica.#tidy();
    return replica;
  }

  /** For the first copy: nothing has arrived. */
  static async make(folder: string, disks: readonly DiskDefinition[]): Promise<ReplicaDisks> {
    const replica = new ReplicaDisks(folder, disks, { base: null, points: [], failover: null });
    await replica.#write({ base: null, points: [], failover: null });
    return replica;
  }

  static isIn(folder: string): Promise<boolean> {
    return exists(pointsFile(folder));
  }

  /** From now on it is a VM like any other, with what its disks hold. */
  static async end(folder: string): Promise<void> {
    await rm(pointsFile(folder), { force: true });
  }

  /** A VM that ran here, is off, and holds what the other end froze with that point: from now on its replica. Layers over it are dropped. */
  static async adopt(folder: string, disks: readonly DiskDefinition[], point: StoredPoint): Promise<ReplicaDisks> {
    const replica = new ReplicaDisks(folder, disks, { base: null, points: [], failover: null });
    for (const { name } of disks) {
      const dropped = (await replica.#layers.of(name)).filter((layer) => layer > point.layer);
      await replica.#layers.forget(name, dropped);
    }
    await replica.#layers.mergeAtRest(point.layer);
    await replica.#write({ base: point.layer, points: [point], failover: null });
    return replica;
  }

  /** Oldest first. */
  get points(): readonly StoredPoint[] {
    return this.#state.points;
  }

  get newest(): StoredPoint | null {
    return this.points.at(-1) ?? null;
  }

  /** The layer up to which the base holds all; null before the first copy has arrived. */
  get base(): number | null {
    return this.#state.base;
  }

  /** The point that it was failed over to. */
  get failoverPoint(): StoredPoint | null {
    return this.points.find(({ id }) => id === this.#state.failover?.point) ?? null;
  }

  /** The disks as the VM has them from that point on, with a new layer for its writes; the newer points stay until `commit`. Repeating it changes nothing. */
  async failOver(point: StoredPoint): Promise<Layers> {
    const { failover } = this.#state;
    if (failover !== null && failover.point !== point.id) throw failed('InvalidOperation', 'it was failed over to another point');
    const layer = failover?.layer ?? Math.max(...this.points.map((each) => each.layer)) + 1;
    const names = this.#disks.map(({ name }) => name);
    const layers = new Layers(this.#folder, names, { hidden: { after: point.layer, upTo: layer - 1 } });
    if (failover === null) {
      await layers.add(point.layer === this.#state.base ? 0 : point.layer, layer);
      await this.#write({ ...this.#state, failover: { point: point.id, layer } });
    }
    return layers;
  }

  /** What was written since the failover is gone. The VM must be off. */
  async takeBack(): Promise<void> {
    if (this.#state.failover === null) return;
    await this.#write({ ...this.#state, failover: null });
    await this.#tidy();
  }

  /** Only the point that it was failed over to is left, and what the VM wrote over it: it is a VM like any other. */
  async commit(): Promise<StoredPoint> {
    const point = this.points.find(({ id }) => id === this.#state.failover?.point);
    if (point === undefined) throw failed('InvalidOperation', 'it was not failed over');
    const newer = this.points.filter(({ layer }) => layer > point.layer).map(({ layer }) => layer);
    // The layers below belong to the disks of the VM from now on, and are merged into the base while it runs.
    await this.#write({ ...this.#state, points: [point] });
    for (const { name } of this.#disks) await this.#layers.forget(name, newer);
    return point;
  }

  /** The files that the layer of that number is to be written to, by disk: the base where nothing has arrived yet. */
  async begin(layer: number): Promise<ReadonlyMap<string, string>> {
    const { base, failover } = this.#state;
    const newest = this.points.at(-1);
    if (failover !== null) throw failed('InvalidOperation', 'a replica that was failed over takes nothing');
    for (const { name, sizeBytes } of this.#disks) {
      await mkdir(join(this.#folder, name), { recursive: true });
      if (newest !== undefined) continue;
      await rm(this.#layers.fileOf(name, 0), { force: true });
      await createImage(this.#layers.fileOf(name, 0), sizeBytes);
    }
    if (newest !== undefined) {
      if (layer <= newest.layer) throw failed('InvalidOperation', `layer ${layer} came after layer ${newest.layer}`);
      await this.#layers.add(newest.layer === base ? 0 : newest.layer, layer);
    }
    return new Map(this.#disks.map(({ name }) => [name, this.#layers.fileOf(name, newest === undefined ? 0 : layer)]));
  }

  /** What was written to the files of `begin` is a recovery point from now on, also after the power failed. Nothing may have them open. */
  async seal(point: StoredPoint): Promise<void> {
    const { base, points } = this.#state;
    // Where nothing was written since the point before, they are the same layer, which may be in the base by now.
    for (const { name } of this.#disks) await syncFile(base === null ? this.#layers.fileOf(name, 0) : this.fileAt(point, name));
    await this.#write({ ...this.#state, base: base ?? point.layer, points: [...points, point] });
  }

  /** Merges the oldest points into the base until so many are left. Throws ERR_FABRIC_FAILED while one of them is in use: QEMU has locked it. */
  async prune(keep: number): Promise<void> {
    while (this.points.length > Math.max(1, keep)) {
      // From here on the base holds a bit of both; the layer over it still covers all that differs.
      await this.#write({ ...this.#state, points: this.points.slice(1) });
      await this.#mergeFirst();
    }
  }

  /**
   * Drops every point that is not named, but the newest. What a dropped one holds that the next one needs goes up into that, or down into the
   * base. Throws ERR_FABRIC_FAILED while one of them is in use; to be repeated then.
   */
  async keep(ids: ReadonlySet<string>): Promise<void> {
    if (this.#state.failover !== null) return;
    for (const point of this.points.slice(0, -1)) {
      if (ids.has(point.id)) continue;
      const left = this.points.filter(({ id }) => id !== point.id);
      const index = this.points.indexOf(point);
      const [below, above] = [this.points[index - 1], this.points[index + 1]];
      const isShared = left.some(({ layer }) => layer === point.layer);
      if (!isShared && below !== undefined && above !== undefined) await this.#raise(above, below);
      await this.#write({ ...this.#state, points: left });
      if (!isShared && below !== undefined) for (const { name } of this.#disks) await this.#layers.forget(name, [point.layer]);
    }
    if (this.points[0] !== undefined && this.points[0].layer !== this.#state.base) await this.#mergeFirst();
  }

  /** The file to read a disk from at a point. */
  fileAt({ layer }: StoredPoint, disk: string): string {
    return this.#layers.fileOf(disk, layer === this.#state.base ? 0 : layer);
  }

  /** What arrived and was not sealed. Where nothing ever arrived its disks are empty ones. */
  async dropUnfinished(): Promise<void> {
    await this.#tidy();
    if (this.#state.base !== null) return;
    for (const { name, sizeBytes } of this.#disks) {
      await mkdir(join(this.#folder, name), { recursive: true });
      await createImage(this.#layers.fileOf(name, 0), sizeBytes);
    }
  }

  async #tidy(): Promise<void> {
    if (this.#state.failover !== null) return;
    const known = new Set(this.points.map(({ layer }) => layer));
    for (const { name } of this.#disks) {
      if (!(await exists(join(this.#folder, name)))) continue;
      const unknown = (await this.#layers.of(name)).filter((layer) => !known.has(layer));
      await this.#layers.forget(name, unknown);
      if (this.#state.base === null) await rm(this.#layers.fileOf(name, 0), { force: true });
    }
    const [first] = this.points;
    // A test copy may stand on it, or a merge of the last life still be at it: it is locked then, and goes with a later one.
    if (first !== undefined && first.layer !== this.#state.base) await this.#mergeFirst().catch(() => {});
  }

  /** What lies between the two goes into the upper one. A crash on the way leaves it right: what it has by then is what it would read from below. */
  async #raise(above: StoredPoint, below: StoredPoint): Promise<void> {
    for (const { name } of this.#disks) {
      const file = this.fileAt(above, name);
      await runProgram('qemu-img', ['rebase', '-q', '-F', 'qcow2', '-b', basename(this.fileAt(below, name)), file]);
      await syncFile(file);
    }
  }

  async #mergeFirst(): Promise<void> {
    const [first] = this.points;
    if (first === undefined) return;
    await this.#layers.mergeAtRest(first.layer);
    await this.#write({ ...this.#state, base: first.layer });
  }

  async #write(state: PointsFile): Promise<void> {
    await writeFileDurably(pointsFile(this.#folder), `${JSON.stringify(state, null, 1)}\n`);
    this.#state = state;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function pointsFile(folder: string): string {
  return join(folder, 'points.json');
}
