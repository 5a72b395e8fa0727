/**
 * The one way from the stores to the database. Of transactions one runs at a time (the query layer holds a lock on the
 * single connection of SQLite), and a promise resolves only after the commit. What the database refuses leaves here as
 * ERR_STORE_FAILED with what to do; refusals of ours pass unchanged.
 */
import type { Kysely, Transaction } from 'kysely';
import { FarshoreError } from '../../shared/errors.ts';
import type { Tables } from './tables.ts';

export type Query = Kysely<Tables>;

export class Connection {
  readonly #db: Query;

  constructor(db: Query) {
    this.#db = db;
  }

  async read<T>(work: (db: Query) => Promise<T>): Promise<T> {
    try {
      return await work(this.#db);
    } catch (thrown) {
      throw storeError(thrown);
    }
  }

  /** All or nothing. */
  async write<T>(work: (db: Transaction<Tables>) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction().execute(work);
    } catch (thrown) {
      throw storeError(thrown);
    }
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }
}

const remedies: Readonly<Record<string, string>> = {
  SQLITE_FULL: 'the disk of the database is full: make room, then try again',
  SQLITE_CORRUPT: 'the database is damaged: stop the control plane and restore the newest backup',
  SQLITE_NOTADB: 'the file is no Farshore database: check the path, or restore the newest backup',
  SQLITE_READONLY: 'the database cannot be written: give the account of the control plane write access to the file and its folder',
  SQLITE_CANTOPEN: 'the database cannot be opened: check that its folder exists and that the account of the control plane may write there',
  SQLITE_IOERR: 'the disk of the database failed: check its health, then start the control plane again',
  SQLITE_BUSY: 'another program holds the database: stop it, or the second control plane on the same file',
};

export function storeError(thrown: unknown): FarshoreError {
  if (thrown instanceof FarshoreError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const known = Object.keys(remedies).find((name) => code === name || code.startsWith(`${name}_`));
  return new FarshoreError('ERR_STORE_FAILED', remedies[known ?? ''] ?? 'the database refused a statement', { cause: thrown });
}
