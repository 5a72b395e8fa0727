/**
 * One agent a data folder: two would hold one identity and act twice. The lock is that of an open database, which the
 * system takes back however the process ends.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { FarshoreError } from '../../shared/errors.ts';
import { loadDriver } from './open-database.ts';

export interface DataLock {
  release(): void;
}

/** Throws ERR_CONFLICT when another agent holds the folder, ERR_STORE_FAILED where it cannot be locked. */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  const Sqlite = await loadDriver();
  requireFolder(folder);
  let database: Database | null = null;
  try {
    // Whoever just looks is gone in a moment.
    database = new Sqlite(lockFile(folder), { timeout: 250 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    if (isBusy(cause)) throw new FarshoreError('ERR_CONFLICT', `another agent runs on ${folder}; stop it first`, { cause });
    const message = `${lockFile(folder)} cannot be locked (${(cause as Error).message}): the account of the agent must be able to write to it`;
    throw new FarshoreError('ERR_STORE_FAILED', message, { cause });
  }
  const held = database;
  return { release: () => void held.close() };
}

/** Whether an agent runs on the folder now. It reads alone: what somebody else's look makes, the agent could not write to. */
export async function isDataFolderLocked(folder: string): Promise<boolean> {
  const Sqlite = await loadDriver();
  requireFolder(folder);
  if (!existsSync(lockFile(folder))) return false;
  const database = new Sqlite(lockFile(folder), { readonly: true, timeout: 0 });
  try {
    database.pragma('schema_version');
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    database.close();
  }
}

const lockFile = (folder: string): string => join(folder, 'agent.lock');
const isBusy = (error: unknown): boolean => (error as { code?: string }).code === 'SQLITE_BUSY';

function requireFolder(folder: string): void {
  if (!existsSync(folder)) throw new FarshoreError('ERR_NOT_FOUND', `there is no data folder ${folder}`);
}
