/**
 * One agent a folder of machines: two would each keep a book of the same machines, and end each other's helpers. The lock is that of an open
 * database, which the system takes back however the process ends.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { FabricError } from '../fabric-error.ts';

/** Gives what lets it go. Throws ERR_CONFLICT while another process holds it. */
export function lockFolder(folder: string): () => void {
  const database = new Database(join(folder, 'site.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const message = `another agent keeps the machines in ${folder}: stop it, or name another folder in the site file`;
    throw new FabricError('ERR_CONFLICT', 'InvalidOperation', 'Qemu', message, { cause });
  }
  return () => void database.close();
}
