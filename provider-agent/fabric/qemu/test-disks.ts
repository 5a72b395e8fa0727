/** The disks of a test copy: a layer of its own over each disk of a recovery point, which nobody writes to. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { renameDurably } from './durable-file.ts';
import { BASE } from './layers.ts';
import { createOverlay } from './programs.ts';

/** Repeating it begins anew. */
export async function makeTestDisks(folder: string, disks: readonly { readonly disk: string; readonly file: string }[]): Promise<void> {
  for (const { disk, file } of disks) {
    const base = join(folder, disk, BASE);
    await rm(dirname(base), { recursive: true, force: true });
    await mkdir(dirname(base), { recursive: true, mode: 0o700 });
    await createOverlay(`${base}.new`, file);
    await renameDurably(`${base}.new`, base);
  }
}
