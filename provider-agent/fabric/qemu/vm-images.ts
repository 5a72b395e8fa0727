/** The images that a site file names for its VMs. They are copied once, into the folder of the site, and left alone then. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { VmRef } from '../../../shared/ids.ts';
import { renameDurably } from './durable-file.ts';
import type { Homes } from './homes.ts';
import { BASE } from './layers.ts';
import { runProgram } from './programs.ts';

export interface VmImage {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
}

export type VmImages = (ref: VmRef) => readonly VmImage[];

const Info = z.looseObject({ 'virtual-size': z.int().min(0) });

export async function sizeOfImage(file: string): Promise<number> {
  return Info.parse(JSON.parse(await runProgram('qemu-img', ['info', '-U', '--output', 'json', file])))['virtual-size'];
}

/** Its disks, whole or not there: a crash on the way begins anew. */
export async function bringIn(homes: Homes, ref: VmRef, images: readonly VmImage[]): Promise<void> {
  const home = homes.folderOf(ref);
  const made = `${home}.new`;
  await rm(made, { recursive: true, force: true });
  for (const [index, { file, format }] of images.entries()) {
    await mkdir(join(made, `d${index}`), { recursive: true, mode: 0o700 });
    await runProgram('qemu-img', ['convert', '-f', format, '-O', 'qcow2', file, join(made, `d${index}`, BASE)], COPY_MS);
  }
  await renameDurably(made, home);
}

const COPY_MS = 24 * 3_600_000;
