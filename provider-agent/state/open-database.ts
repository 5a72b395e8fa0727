/**
 * Opens an embedded database so that a transaction that has returned survives a power cut: WAL with
 * synchronous=FULL. The driver is loaded late and behind a guard, because on a Node older than its
 * Node-API it ends the process without a word.
 */
import type Sqlite from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { FarshoreError } from '../../shared/errors.ts';

const NODE_API_NEEDED = 10;
/** The driver's own default, 16 MB a database, is a sixth of what an agent at rest may hold. */
const CACHE_KB = 1_000;

export interface OpenOptions {
  readonly readonly?: boolean;
}

/** Throws ERR_STORE_FAILED with what to do: an old Node, a missing folder, a file that is no database. */
export async function openDatabase(path: string, options: OpenOptions = {}): Promise<Database> {
  const Sqlite = await loadDriver();
  try {
    const database = new Sqlite(path, { readonly: options.readonly ?? false, fileMustExist: options.readonly ?? false });
    database.pragma(`cache_size = -${CACHE_KB}`);
    if (options.readonly !== true) {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
    }
    return database;
  } catch (cause) {
    throw new FarshoreError('ERR_STORE_FAILED', `cannot open ${path}: check that the folder exists, is writable and has room`, { cause });
  }
}

export async function loadDriver(): Promise<typeof Sqlite> {
  if (Number(process.versions.napi ?? 0) < NODE_API_NEEDED) {
    throw new FarshoreError('ERR_STORE_FAILED', `Node ${process.version} is too old for the embedded database; run the agent with Node 24`);
  }
  return (await import('better-sqlite3')).default;
}
