/**
 * One agent a data folder: two would hold one identity and act twice. The lock is that of an open database, which the
 * system takes back however the process ends.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FarshoreError } from '../../shared/errors.ts';
import { loadDriver } from './open-database.ts';

export interface DataLock {
  release(): void;
}

/** Throws ERR_CONFLICT when another agent holds the folder. */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  const Sqlite = await loadDriver();
  if (!existsSync(folder)) throw new FarshoreError('ERR_NOT_FOUND', `there is no data folder ${folder}`);
  const database = new Sqlite(join(folder, 'agent.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new FarshoreError('ERR_CONFLICT', `another agent runs on ${folder}; stop it first`, { cause });
  }
  return { release: () => void database.close() };
}

/** Whether an agent runs on the folder now. */
export async function isDataFolderLocked(folder: string): Promise<boolean> {
  try {
    (await lockDataFolder(folder)).release();
    return false;
  } catch (error) {
    if (error instanceof FarshoreError && error.code === 'ERR_CONFLICT') return true;
    throw error;
  }
}
