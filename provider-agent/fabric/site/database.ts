/**
 * The site's own database, its book: what it says after a kill is what it said before. Every effect and its line in the task log are
 * one transaction, written at the instant the effect happens. A killed process loses nothing that the operating system has taken
 * over; only a power cut could, which a site with real machines has to survive and a simulated one does not promise to.
 */
import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';

export type SqliteDatabase = Database.Database;

/** Opens or makes it. `:memory:` lives as long as the object. */
export function openDatabase(file: string, survives: 'kill' | 'powerCut' = 'kill'): SqliteDatabase {
  // It holds the keys of the hosts: nobody else may read it. SQLite gives its side files the same mode.
  if (file !== ':memory:') closeSync(openSync(file, 'a', 0o600));
  const database = new Database(file, { timeout: 5000 });
  database.pragma('journal_mode = WAL');
  database.pragma(`synchronous = ${survives === 'kill' ? 'OFF' : 'FULL'}`);
  database.pragma('cache_size = -1000');
  database.exec(TABLES);
  return database;
}

const TABLES = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS cloud (id TEXT PRIMARY KEY, name TEXT NOT NULL, hosts TEXT NOT NULL, version INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS network (id TEXT PRIMARY KEY, name TEXT NOT NULL, subnets TEXT NOT NULL, version INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS drill_network (drill TEXT PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, subnets TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS host (
  name TEXT PRIMARY KEY, core_limit INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, network_ids TEXT NOT NULL, storage TEXT NOT NULL,
  cores_used INTEGER NOT NULL DEFAULT 0, memory_bytes_used INTEGER NOT NULL DEFAULT 0, is_up INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE IF NOT EXISTS storage (name TEXT PRIMARY KEY, capacity_bytes INTEGER NOT NULL, used_bytes INTEGER NOT NULL DEFAULT 0) STRICT;

-- due_at: the next moment at which something happens to the VM by itself (a push, a check of its age); one timer serves them all
CREATE TABLE IF NOT EXISTS vm (
  cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, host TEXT NOT NULL, version INTEGER NOT NULL, due_at INTEGER, record TEXT NOT NULL,
  PRIMARY KEY (cloud_id, vm_id)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vm_version ON vm (version);
CREATE INDEX IF NOT EXISTS vm_due ON vm (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS vm_host ON vm (host);
CREATE INDEX IF NOT EXISTS vm_test_copy ON vm (record ->> '$.testCopy.replicaId', cloud_id)
  WHERE record ->> '$.testCopy.replicaId' IS NOT NULL;
CREATE TABLE IF NOT EXISTS removed_vm (cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (cloud_id, vm_id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS address (
  network_id TEXT NOT NULL, address TEXT NOT NULL, cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, PRIMARY KEY (network_id, address)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS address_vm ON address (cloud_id, vm_id);
CREATE TABLE IF NOT EXISTS recovery_point (
  cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, written_bytes INTEGER NOT NULL,
  PRIMARY KEY (cloud_id, vm_id, at)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS preparation (
  pairing_id TEXT NOT NULL, cloud_id TEXT NOT NULL, preparation TEXT NOT NULL, PRIMARY KEY (pairing_id, cloud_id)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS task (
  seq INTEGER PRIMARY KEY, command_id TEXT NOT NULL, epoch INTEGER NOT NULL, operation TEXT NOT NULL, cloud_id TEXT, vm_id TEXT,
  began_at INTEGER NOT NULL, ended_at INTEGER, had_effect INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT 'running', code TEXT) STRICT;
CREATE TABLE IF NOT EXISTS power_change (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, host TEXT NOT NULL,
  change TEXT NOT NULL, cause TEXT NOT NULL, command_id TEXT, epoch INTEGER) STRICT;

CREATE TABLE IF NOT EXISTS fault (id INTEGER PRIMARY KEY, fault TEXT NOT NULL, begins_at INTEGER, times_left INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fault_fired (
  seq INTEGER PRIMARY KEY, fault_id INTEGER NOT NULL, at INTEGER NOT NULL, operation TEXT, vm_id TEXT, command_id TEXT) STRICT;
`;
