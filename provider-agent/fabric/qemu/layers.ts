/**
 * The disks of a VM at the site where it runs: a base, and over it numbered layers, of which the highest takes the writes. Freezing
 * puts a new layer over all disks at one moment, so that what is below no longer changes: the frozen layers are the increment
 * that is still to be sent. Layers that a replica holds are merged into the base.
 *
 * A layer is created whole before it is used. An empty one over the last changes nothing, so after a crash the highest is always
 * right to go on from; disks that have fewer get the missing ones.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably, syncFile } from './durable-file.ts';
import { createOverlay, runProgram } from './programs.ts';

export const BASE = 'base.qcow2';

export function layerFile(layer: number): string {
  return layer === 0 ? BASE : `layer-${layer}.qcow2`;
}

export function nodeOf(disk: string, layer: number): string {
  return layer === 0 ? `${disk}-base` : `${disk}-layer-${layer}`;
}

/** A block device of QEMU, as `--blockdev` and `blockdev-add` take it. */
export type BlockNode = Readonly<Record<string, unknown>> & { readonly 'node-name': string };

/** Layers that are there and not part of the disks: points of a replica that are newer than the one it was failed over to. */
export interface Hidden {
  readonly after: number;
  readonly upTo: number;
}

const nothing: Hidden = { after: 0, upTo: 0 };

export interface LayersOptions {
  readonly hidden?: Hidden;
  /** The base itself stands on the disk that it is a copy of, as its file says. */
  readonly isCopy?: boolean;
}

export class Layers {
  readonly #folder: string;
  readonly #hidden: Hidden;
  readonly #isCopy: boolean;
  readonly disks: readonly string[];

  /** `disks` are the folders of the disks in it. */
  constructor(folder: string, disks: readonly string[], { hidden = nothing, isCopy = false }: LayersOptions = {}) {
    this.#folder = folder;
    this.#hidden = hidden;
    this.#isCopy = isCopy;
    this.disks = disks;
  }

  fileOf(disk: string, layer: number): string {
    return join(this.#folder, disk, layerFile(layer));
  }

  /** Its layers from the bottom, without the base. */
  async of(disk: string): Promise<number[]> {
    const files = await readdir(join(this.#folder, disk));
    const layers = files.flatMap((file) => Number(/^layer-(\d+)\.qcow2$/.exec(file)?.[1] ?? Number.NaN) || []);
    return layers.filter((layer) => layer <= this.#hidden.after || layer > this.#hidden.upTo).toSorted((a, b) => a - b);
  }

  /** After a crash: no half-made file, and the same highest layer on all disks. Returns its number. To be called while nothing has the disks open. */
  async level(): Promise<number> {
    const layers = await Promise.all(this.disks.map((disk) => this.of(disk)));
    const top = Math.max(0, ...layers.flat());
    for (const [index, disk] of this.disks.entries()) {
      for (const file of await readdir(join(this.#folder, disk))) if (file.endsWith('.new')) await rm(join(this.#folder, disk, file));
      const own = layers[index]?.at(-1) ?? 0;
      if (own < top) await this.#create(disk, own, top);
    }
    return top;
  }

  /** An empty layer of that number over the one below, on all disks; in use is none of them yet. */
  async add(below: number, layer: number): Promise<void> {
    for (const disk of this.disks) await this.#create(disk, below, layer);
  }

  /** Of a VM that does not run: what the layers up to that one hold goes into the base, one by one, and they are gone. Repeating it after a crash is right. */
  async mergeAtRest(upTo: number): Promise<void> {
    for (const disk of this.disks) {
      const layers = await this.of(disk);
      for (const [index, layer] of layers.entries()) {
        if (layer > upTo) break;
        const next = layers[index + 1];
        // A merge while it ran may have been cut off, and what it names as below it be gone.
        await this.#standOnBase(disk, layer);
        await runProgram('qemu-img', ['commit', '-q', '-d', this.fileOf(disk, layer)]);
        await syncFile(this.fileOf(disk, 0));
        if (next !== undefined) await this.#standOnBase(disk, next);
        await this.forget(disk, [layer]);
      }
    }
  }

  /** Lowest first: of merged layers that a crash leaves, the highest must be there, or older ones would cover what the base holds by now. */
  async forget(disk: string, layers: readonly number[]): Promise<void> {
    for (const layer of layers.toSorted((a, b) => a - b)) await rm(this.fileOf(disk, layer), { force: true });
  }

  /** The nodes of a disk from the base up to a layer, each over the one before; only the highest takes writes, or none. */
  async nodes(disk: string, upTo: number, isWritten: boolean): Promise<BlockNode[]> {
    const chain = [0, ...(await this.of(disk)).filter((layer) => layer <= upTo)];
    return chain.flatMap((layer, index) => {
      const below = chain[index - 1];
      const backing = below !== undefined ? nodeOf(disk, below) : this.#isCopy ? undefined : null;
      return layerNodes(disk, layer, this.fileOf(disk, layer), backing, isWritten && index === chain.length - 1);
    });
  }

  async #standOnBase(disk: string, layer: number): Promise<void> {
    await runProgram('qemu-img', ['rebase', '-q', '-u', '-F', 'qcow2', '-b', BASE, this.fileOf(disk, layer)]);
  }

  async #create(disk: string, below: number, layer: number): Promise<void> {
    const file = this.fileOf(disk, layer);
    await rm(`${file}.new`, { force: true });
    await createOverlay(`${file}.new`, layerFile(below));
    await renameDurably(`${file}.new`, file);
  }
}

/** The file and the image in it, over `backing`, over nothing (null), or over what the image itself names (undefined). The file of a node that takes no writes is opened for them by QEMU itself while it merges. */
export function layerNodes(disk: string, layer: number, file: string, backing: string | null | undefined, isWritten: boolean): BlockNode[] {
  const name = nodeOf(disk, layer);
  return [
    { driver: 'file', 'node-name': `${name}-file`, filename: file, 'auto-read-only': !isWritten },
    { driver: 'qcow2', 'node-name': name, file: `${name}-file`, backing, 'read-only': !isWritten },
  ];
}
