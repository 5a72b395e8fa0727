/**
 * The journal in an embedded database. Writes that come together share one transaction and one sync; the promise
 * of each resolves after it. What a batch could not write is rejected whole, and the database is as before.
 */
import { existsSync } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { GroupCommit } from '../../shared/engine/group-commit.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { CommandId, VmRef } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';
import type { Ending, FinishedCommand, Journal, JournalEntry, KnownDecision, Order } from './journal.ts';
import { type OpenOptions, openDatabase } from './open-database.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE seen (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL) STRICT;
  INSERT INTO seen VALUES (1, 0);
  CREATE TABLE epochs (
    cloud_id TEXT NOT NULL, vm_id TEXT NOT NULL, epoch INTEGER NOT NULL,
    PRIMARY KEY (cloud_id, vm_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE commands (
    number INTEGER PRIMARY KEY,
    command_id TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    cloud_id TEXT,
    vm_id TEXT,
    outcome TEXT,
    ended_at INTEGER,
    confirmed_at INTEGER
  ) STRICT;
  CREATE INDEX commands_unfinished ON commands (number) WHERE outcome IS NULL;
  CREATE INDEX commands_unconfirmed ON commands (ended_at) WHERE outcome IS NOT NULL AND confirmed_at IS NULL;
  CREATE INDEX commands_confirmed ON commands (confirmed_at) WHERE confirmed_at IS NOT NULL;
`;
/** Came later than the first schema, and changes nothing of what is in it. */
const BY_VM = 'CREATE INDEX IF NOT EXISTS commands_by_vm ON commands (cloud_id, vm_id, number) WHERE vm_id IS NOT NULL';
const DECISIONS = `
  SELECT e.cloud_id, e.vm_id, e.epoch, c.command_id, c.number FROM epochs e
  LEFT JOIN commands c ON c.number =
    (SELECT max(number) FROM commands WHERE vm_id IS NOT NULL AND cloud_id = e.cloud_id AND vm_id = e.vm_id)`;

interface DecisionRow {
  cloud_id: string;
  vm_id: string;
  epoch: number;
  command_id: string | null;
  number: number | null;
}

interface CommandRow {
  command_id: string;
  content_hash: string;
  kind: string;
  args: string;
  epoch: number;
  deadline: number;
  cloud_id: string | null;
  vm_id: string | null;
  outcome: string | null;
  ended_at: number | null;
}

/** Throws ERR_JOURNAL_DAMAGED. `defer` calls back soon, after the present turn of the event loop: what is added until then shares one sync. */
export async function openJournal(path: string, defer: (flush: () => void) => void): Promise<Journal> {
  const database = await openSound(path);
  if (database.pragma('user_version', { simple: true }) === 0) {
    database.transaction(() => {
      database.exec(SCHEMA);
      database.pragma(`user_version = ${SCHEMA_VERSION}`);
    })();
  }
  database.exec(BY_VM);
  return new SqliteJournal(database, defer);
}

/** Throws what `openJournal` would of a journal that is there; changes nothing in it. */
export async function checkJournal(path: string): Promise<void> {
  if (existsSync(path)) (await openSound(path, { readonly: true })).close();
}

/** Sound, and of a release that this one knows; without a schema when it is new. */
async function openSound(path: string, options: OpenOptions = {}): Promise<Database> {
  const database = await openDatabase(path, options).catch((error: unknown) => {
    throw isDamage((error as Error).cause) ? damaged(path, error) : error;
  });
  if (!isSound(database)) {
    database.close();
    throw damaged(path);
  }
  const version = database.pragma('user_version', { simple: true });
  if (version !== 0 && version !== SCHEMA_VERSION) {
    database.close();
    throw new FarshoreError('ERR_STORE_FAILED', `${path} was written by another release of the agent (schema ${String(version)})`);
  }
  return database;
}

/** A page that is broken is met now, not in the middle of a failover. */
function isSound(database: Database): boolean {
  try {
    return database.pragma('quick_check(1)', { simple: true }) === 'ok';
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

const isDamage = (error: unknown): boolean => /^SQLITE_(CORRUPT|NOTADB)/.test(String((error as { code?: unknown } | undefined)?.code));

function damaged(path: string, cause?: unknown): FarshoreError {
  return new FarshoreError('ERR_JOURNAL_DAMAGED', `cannot open ${path}: it is no journal, or a damaged one`, { cause });
}

class SqliteJournal implements Journal {
  readonly #database: Database;
  readonly #commit: GroupCommit<() => void>;
  readonly #find: Statement<[string], CommandRow>;
  readonly #epochOf: Statement<[string, string], { epoch: number }>;
  readonly #insert: Statement<[Record<string, unknown>]>;
  readonly #raiseEpoch: Statement<[string, string, number]>;
  readonly #raiseSequence: Statement<[number]>;
  readonly #conclude: Statement<[string, number, string]>;
  readonly #confirm: Statement<[number, string]>;
  #isGone = false;

  constructor(database: Database, defer: (flush: () => void) => void) {
    this.#database = database;
    this.#commit = new GroupCommit((batch) => this.#write(batch), defer);
    this.#find = database.prepare('SELECT * FROM commands WHERE command_id = ?');
    this.#epochOf = database.prepare('SELECT epoch FROM epochs WHERE cloud_id = ? AND vm_id = ?');
    this.#insert = database.prepare(
      `INSERT INTO commands (command_id, content_hash, kind, args, epoch, deadline, cloud_id, vm_id, outcome, ended_at)
       VALUES (@commandId, @contentHash, @kind, @args, @epoch, @deadline, @cloudId, @vmId, @outcome, @endedAt)`,
    );
    this.#raiseEpoch = database.prepare(
      `INSERT INTO epochs (cloud_id, vm_id, epoch) VALUES (?, ?, ?)
       ON CONFLICT (cloud_id, vm_id) DO UPDATE SET epoch = max(epoch, excluded.epoch)`,
    );
    this.#raiseSequence = database.prepare('UPDATE seen SET sequence = max(sequence, ?)');
    this.#conclude = database.prepare('UPDATE commands SET outcome = ?, ended_at = ? WHERE command_id = ? AND outcome IS NULL');
    this.#confirm = database.prepare(
      'UPDATE commands SET confirmed_at = ? WHERE command_id = ? AND outcome IS NOT NULL AND confirmed_at IS NULL',
    );
  }

  get lastSequence(): number {
    return this.#database.prepare<[], { sequence: number }>('SELECT sequence FROM seen').get()?.sequence ?? 0;
  }

  find(commandId: CommandId): JournalEntry | null {
    const row = this.#find.get(commandId);
    return row === undefined ? null : toEntry(row);
  }

  epochOf(vm: VmRef): number {
    return this.#epochOf.get(vm.cloudId, vm.vmId)?.epoch ?? 0;
  }

  decisions(): readonly KnownDecision[] {
    return this.#database.prepare<[], DecisionRow>(DECISIONS).all().map(toDecision);
  }

  unfinished(): readonly JournalEntry[] {
    return this.#database.prepare<[], CommandRow>('SELECT * FROM commands WHERE outcome IS NULL ORDER BY number').all().map(toEntry);
  }

  unconfirmed(): readonly FinishedCommand[] {
    const rows = this.#database
      .prepare<[], CommandRow>('SELECT * FROM commands WHERE outcome IS NOT NULL AND confirmed_at IS NULL ORDER BY ended_at, number')
      .all();
    return rows.flatMap((row) => {
      const ending = toEnding(row);
      return ending === null ? [] : [{ commandId: row.command_id as CommandId, ...ending }];
    });
  }

  begin(order: Order, sequence: number): Promise<void> {
    return this.#commit.add(() => {
      this.#insert.run(toRow(order, null));
      this.#raiseSequence.run(sequence);
      if (order.vm !== null) this.#raiseEpoch.run(order.vm.cloudId, order.vm.vmId, order.epoch);
    });
  }

  refuse(order: Order, sequence: number, ending: Ending): Promise<void> {
    return this.#commit.add(() => {
      this.#insert.run(toRow(order, ending));
      this.#raiseSequence.run(sequence);
    });
  }

  conclude(commandId: CommandId, ending: Ending): Promise<void> {
    return this.#commit.add(() => void this.#conclude.run(JSON.stringify(ending.outcome), ending.endedAt, commandId));
  }

  confirm(commandIds: readonly CommandId[], at: number): Promise<void> {
    return this.#commit.add(() => {
      for (const commandId of commandIds) this.#confirm.run(at, commandId);
    });
  }

  sawSequence(sequence: number): Promise<void> {
    return this.#commit.add(() => void this.#raiseSequence.run(sequence));
  }

  async prune(confirmedBefore: number): Promise<number> {
    let pruned = 0;
    await this.#commit.add(() => {
      pruned = this.#database.prepare('DELETE FROM commands WHERE confirmed_at < ?').run(confirmedBefore).changes;
    });
    return pruned;
  }

  async close(): Promise<void> {
    if (this.#isGone) return;
    await this.#commit.add(() => {});
    this.abandon();
  }

  abandon(): void {
    this.#isGone = true;
    this.#database.close();
  }

  #write(batch: readonly (() => void)[]): void | Promise<void> {
    if (this.#isGone) return new Promise(() => {});
    try {
      this.#database.transaction(() => {
        for (const write of batch) write();
      })();
    } catch (cause) {
      throw new FarshoreError('ERR_STORE_FAILED', 'the journal of the agent could not write: check disk space and the disk', { cause });
    }
  }
}

function toRow(order: Order, ending: Ending | null): Record<string, unknown> {
  return {
    commandId: order.commandId,
    contentHash: order.contentHash,
    kind: order.command.kind,
    args: JSON.stringify(order.command.args),
    epoch: order.epoch,
    deadline: order.deadline,
    cloudId: order.vm?.cloudId ?? null,
    vmId: order.vm?.vmId ?? null,
    outcome: ending === null ? null : JSON.stringify(ending.outcome),
    endedAt: ending?.endedAt ?? null,
  };
}

/** The rows were written by `toRow` above, from values that had passed their schemas. */
function toEntry(row: CommandRow): JournalEntry {
  const order: Order = {
    commandId: row.command_id as CommandId,
    contentHash: row.content_hash,
    command: { kind: row.kind, args: JSON.parse(row.args) } as Command,
    epoch: row.epoch,
    deadline: row.deadline,
    vm: row.cloud_id === null || row.vm_id === null ? null : ({ cloudId: row.cloud_id, vmId: row.vm_id } as VmRef),
  };
  return { order, ending: toEnding(row) };
}

function toEnding(row: CommandRow): Ending | null {
  if (row.outcome === null || row.ended_at === null) return null;
  return { outcome: JSON.parse(row.outcome) as Outcome, endedAt: row.ended_at };
}

function toDecision({ cloud_id: cloudId, vm_id: vmId, epoch, command_id: id, number }: DecisionRow): KnownDecision {
  return { vm: { cloudId, vmId } as VmRef, epoch, command: id === null || number === null ? null : { id: id as CommandId, number } };
}
