/** Files that are there whole or not at all, also after the power failed: written beside, synced, renamed, and the folder synced. */
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await renameDurably(`${file}.new`, file);
}

/** What the file holds is on the disk before its name is. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await syncFile(from);
  await rename(from, to);
  await syncFile(dirname(to));
}

export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
