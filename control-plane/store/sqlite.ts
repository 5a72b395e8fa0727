/**
 * The store on an embedded SQLite file. What a promise says is durable when it resolves: WAL with synchronous FULL, so a
 * commit is on the disk before it returns. The driver is loaded late and behind a guard, because on a Node older than its
 * Node-API it ends the process without a word.
 */
import { closeSync, openSync } from 'node:fs';
import type SqliteDriver from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { FarshoreError } from '../../shared/errors.ts';
import { Accounts } from './accounts.ts';
import { Connection, storeError } from './connection.ts';
import { Enrolments } from './enrolments.ts';
import { Jobs } from './jobs.ts';
import { first } from './migrations/0001-first.ts';
import { bothDirections } from './migrations/0002-both-directions.ts';
import { drills } from './migrations/0003-drills.ts';
import { planApprovals } from './migrations/0004-plan-approvals.ts';
import { commitWindows } from './migrations/0005-commit-windows.ts';
import { protectionRules } from './migrations/0006-protection-rules.ts';
import { epochsOutliveProtection } from './migrations/0007-epochs-outlive-protection.ts';
import { lapsedWindows } from './migrations/0008-lapsed-windows.ts';
import { vmSettings } from './migrations/0009-vm-settings.ts';
import { Observations } from './observations.ts';
import { Promises } from './promises.ts';
import { Rules } from './rules.ts';
import { Settings } from './settings.ts';
import { Sites } from './sites.ts';
import { EmbeddedDialect } from './sqlite-dialect.ts';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';
import { Wishes } from './wishes.ts';

export interface StoreOptions {
  /** A path whose folder exists, or `:memory:`. */
  readonly file: string;
  /** Calls back soon: facts appended until then share one sync. After the present micro task when not said. */
  readonly defer?: (flush: () => void) => void;
}

const NODE_API_NEEDED = 10;
const BUSY_TIMEOUT_MS = 5_000;

const migrations = {
  '0001-first': first,
  '0002-both-directions': bothDirections,
  '0003-drills': drills,
  '0004-plan-approvals': planApprovals,
  '0005-commit-windows': commitWindows,
  '0006-protection-rules': protectionRules,
  '0007-epochs-outlive-protection': epochsOutliveProtection,
  '0008-lapsed-windows': lapsedWindows,
  '0009-vm-settings': vmSettings,
};

/**
 * Throws ERR_STORE_FAILED with cause and remedy: an old Node, no access, a damaged file, a file of a newer release; ERR_CONFLICT when
 * another process has it open: two would both believe that they own its jobs.
 */
export async function openStore({ file, defer = queueMicrotask }: StoreOptions): Promise<Store> {
  const Sqlite = await loadDriver();
  const database = openFile(Sqlite, file);
  const db = new Kysely<Tables>({ dialect: new EmbeddedDialect(database) });
  const connection = new Connection(db);
  let held: Database | null = null;
  const close = async () => {
    await connection.close();
    held?.close();
  };
  try {
    held = file === ':memory:' ? null : lock(Sqlite, file);
    refuseNewer(database, file);
    await migrate(db, file);
  } catch (thrown) {
    await close();
    throw storeError(thrown);
  }
  return {
    accounts: new Accounts(connection),
    sites: new Sites(connection),
    enrolment: new Enrolments(connection),
    observations: new Observations(connection),
    wishes: new Wishes(connection),
    promises: new Promises(connection),
    rules: new Rules(connection),
    jobs: new Jobs(connection, defer),
    settings: new Settings(connection),
    close,
  };
}

async function loadDriver(): Promise<typeof SqliteDriver> {
  if (Number(process.versions.napi ?? 0) < NODE_API_NEEDED) {
    throw new FarshoreError('ERR_STORE_FAILED', `Node ${process.version} is too old for the embedded database: run Node 24 or later`);
  }
  return (await import('better-sqlite3')).default;
}

/** The lock of an open transaction in a file beside it: the system takes it back however the process ends. */
function lock(Sqlite: typeof SqliteDriver, file: string): Database {
  makePrivate(`${file}.lock`);
  const beside = new Sqlite(`${file}.lock`, { timeout: 0 });
  try {
    beside.exec('BEGIN EXCLUSIVE');
    return beside;
  } catch (cause) {
    beside.close();
    throw new FarshoreError('ERR_CONFLICT', `another control plane runs on ${file}: stop it first`, { cause });
  }
}

/** It holds key material; the files that SQLite lays beside it take over its mode. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
}

function openFile(Sqlite: typeof SqliteDriver, file: string): Database {
  let database: Database | null = null;
  try {
    if (file !== ':memory:') makePrivate(file);
    database = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    const found = String(database.pragma('quick_check(1)', { simple: true }));
    if (found !== 'ok') throw Object.assign(new Error(found), { code: 'SQLITE_CORRUPT' });
    return database;
  } catch (cause) {
    database?.close();
    throw new FarshoreError('ERR_STORE_FAILED', `${file}: ${storeError(asSqliteError(cause)).message}`, { cause });
  }
}

/** The file system's own errors, in the words of the database. */
function asSqliteError(cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return Object.assign(new Error(), { code: 'SQLITE_READONLY' });
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return Object.assign(new Error(), { code: 'SQLITE_CANTOPEN' });
  if (code === 'ENOSPC') return Object.assign(new Error(), { code: 'SQLITE_FULL' });
  return cause;
}

/** An older release must not write into tables it does not understand. */
function refuseNewer(database: Database, file: string): void {
  const table = database.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'kysely_migration'`).get();
  if (table === undefined) return;
  const done = database.prepare<[], { name: string }>('SELECT name FROM kysely_migration ORDER BY name').all();
  const unknown = done.map(({ name }) => name).filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length === 0) return;
  const message = `${file} was written by a newer release of the control plane (${unknown.join(', ')}): start that release, or restore a backup from before the update`;
  throw new FarshoreError('ERR_STORE_FAILED', message);
}

async function migrate(db: Kysely<Tables>, file: string): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const message = `${file} could not be brought to this release: ${storeError(error).message}`;
  throw new FarshoreError('ERR_STORE_FAILED', message, { cause: error });
}
