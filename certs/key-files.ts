/**
 * Keys and certificates on disk. A file is either the old or the new one, never a part: written beside its place, synced,
 * renamed. Files with keys are for their owner only (mode 0600; on Windows the folder's access list does that).
 */
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KeyPair } from './validity.ts';

export async function writeFileDurably(path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await syncFolder(dirname(path));
}

/** A rename is on disk only once its folder is. Windows cannot open folders and orders renames by itself. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The text of a file, or null when there is none. */
export async function readTextIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * The pair kept as `<name>.pem` and `<name>.key.pem` in a folder, made the first time. The certificate is written last
 * and alone says that the pair is complete.
 */
export async function keepKeyPair(folder: string, name: string, make: () => Promise<KeyPair>): Promise<KeyPair> {
  const certificatePath = join(folder, `${name}.pem`);
  const keyPath = join(folder, `${name}.key.pem`);
  const certificate = await readTextIfThere(certificatePath);
  if (certificate !== null) return { certificate, key: await readFile(keyPath, 'utf8') };
  const made = await make();
  await makePrivateFolder(folder);
  await writeFileDurably(keyPath, made.key);
  await writeFileDurably(certificatePath, made.certificate);
  return made;
}

export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}
