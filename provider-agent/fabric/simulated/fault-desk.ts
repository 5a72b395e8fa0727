/**
 * Where faults are ordered, lifted and noted as fired. They are rows of the site's database, so another process may
 * order one while the site runs: SQLite's data version tells cheaply that somebody else wrote. Every fault that has
 * an effect is written down as fired, because a fault test is worth nothing unless its fault happened.
 */
import { FarshoreError } from '../../../shared/errors.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { Clock } from '../../../shared/ports.ts';
import { openDatabase, type SqliteDatabase } from '../site/database.ts';
import type { Operation } from '../site/operation.ts';
import type { CallAtHand, OrderedFaults } from '../site/ordered-faults.ts';
import { completeFault, type Fault, type FaultOrder } from './fault.ts';

export interface FiredFault {
  readonly faultId: number;
  readonly at: number;
  readonly fault: Fault;
  readonly operation: Operation | null;
  readonly vmId: string | null;
  readonly commandId: string | null;
}

/** `ordered` waits for its moment, `lifting` was called off by somebody and is still to be undone. */
type FaultState = 'ordered' | 'active' | 'spent' | 'lifting' | 'lifted';

interface KnownFault {
  readonly id: number;
  readonly fault: Fault;
  readonly beginsAt: number | null;
  readonly timesLeft: number;
  readonly state: FaultState;
}

export interface FaultsSettled {
  readonly began: readonly Fault[];
  readonly ended: readonly Fault[];
}

export class FaultDesk implements OrderedFaults {
  readonly #database: SqliteDatabase;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #known: KnownFault[] = [];
  #dataVersion: unknown = null;

  /** `onChange`: a fault was ordered or lifted here and waits to be settled. */
  constructor(database: SqliteDatabase, clock: Clock, onChange: () => void) {
    this.#database = database;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#read();
  }

  /** The id serves to lift it. */
  order(order: FaultOrder): number {
    const id = insertFault(this.#database, completeFault(order));
    this.#read();
    this.#onChange();
    return id;
  }

  lift(id: number): void {
    liftRow(this.#database, id);
    this.#read();
    this.#onChange();
  }

  fired(): FiredFault[] {
    return this.#database
      .prepare<[], Omit<FiredFault, 'fault'> & { fault: string }>(
        `SELECT f.fault_id AS faultId, f.at, fault.fault, f.operation, f.vm_id AS vmId, f.command_id AS commandId
         FROM fault_fired AS f JOIN fault ON fault.id = f.fault_id ORDER BY f.seq`,
      )
      .all()
      .map((row) => ({ ...row, fault: JSON.parse(row.fault) as Fault }));
  }

  /** Lets faults begin whose moment has come and ends those that were lifted; the caller does to the world what they mean. */
  settle(): FaultsSettled {
    // Another process wrote, and perhaps ordered a fault.
    if (this.#database.pragma('data_version', { simple: true }) !== this.#dataVersion) this.#read();
    const now = this.#clock.now();
    const began: Fault[] = [];
    const ended: Fault[] = [];
    for (const { id, fault, beginsAt, state } of this.#known) {
      if (state === 'lifting') {
        this.#set(id, 'lifted');
        ended.push(fault);
      } else if (state === 'ordered' && beginsAt === null) {
        this.#database.prepare('UPDATE fault SET begins_at = ? WHERE id = ?').run(now + fault.afterMs, id);
      }
      if (state === 'ordered' && (beginsAt ?? now + fault.afterMs) <= now) {
        this.#set(id, 'active');
        began.push(fault);
        if (fault.kind === 'hostDies' || fault.kind === 'siteDark') this.#noteFired(id, null);
      }
    }
    if (this.#known.some(({ state }) => state === 'ordered' || state === 'lifting')) this.#read();
    return { began, ended };
  }

  /** When the next ordered fault begins. */
  nextAt(): number | null {
    const moments = this.#known.flatMap(({ state, beginsAt, fault }) =>
      state === 'ordered' ? [beginsAt ?? this.#clock.now() + fault.afterMs] : [],
    );
    return moments.length === 0 ? null : Math.min(...moments);
  }

  get isSiteDark(): boolean {
    return this.#known.some(({ fault, state }) => fault.kind === 'siteDark' && state === 'active');
  }

  /** The fault that hits this call at this place, used up by one; null where none does. */
  take(call: CallAtHand, place: 'beforeEffect' | 'afterEffect'): Extract<Fault, { operation: unknown }> | null {
    for (const { id, fault, state, timesLeft } of this.#known) {
      if (state !== 'active' || !('operation' in fault)) continue;
      const stands = fault.kind === 'lies' ? 'beforeEffect' : fault.when;
      if (stands !== place || (fault.operation !== 'any' && fault.operation !== call.operation) || !meansVm(fault.vm, call.vm)) continue;
      this.#database.transaction(() => {
        this.#database
          .prepare('UPDATE fault SET times_left = ?, state = ? WHERE id = ?')
          .run(timesLeft - 1, timesLeft > 1 ? 'active' : 'spent', id);
        this.#noteFired(id, call);
      })();
      this.#read();
      return fault;
    }
    return null;
  }

  /** What is wrong with the sending of one VM. */
  sending(ref: VmRef, name: string): { readonly isPaused: boolean; readonly lagMs: number } {
    let isPaused = false;
    let lagMs = 0;
    for (const { id, fault, state, timesLeft } of this.#known) {
      if (state !== 'active' || (fault.kind !== 'replicationPaused' && fault.kind !== 'replicationLags')) continue;
      if (!meansVm(fault.vm, { id: ref.vmId, name })) continue;
      if (fault.kind === 'replicationPaused') isPaused = true;
      else lagMs = Math.max(lagMs, fault.lagMs);
      if (timesLeft > 0) {
        this.#database.prepare('UPDATE fault SET times_left = 0 WHERE id = ?').run(id);
        this.#noteFired(id, { vmId: ref.vmId });
        this.#read();
      }
    }
    return { isPaused, lagMs };
  }

  #set(id: number, state: FaultState): void {
    this.#database.prepare('UPDATE fault SET state = ? WHERE id = ?').run(state, id);
  }

  #noteFired(id: number, hit: CallAtHand | { vmId: string } | null): void {
    const call = hit !== null && 'operation' in hit ? hit : null;
    const vmId = call?.vm?.id ?? (hit !== null && 'vmId' in hit ? hit.vmId : null);
    this.#database
      .prepare('INSERT INTO fault_fired (fault_id, at, operation, vm_id, command_id) VALUES (?, ?, ?, ?, ?)')
      .run(id, this.#clock.now(), call?.operation ?? null, vmId, call?.commandId ?? null);
  }

  #read(): void {
    this.#dataVersion = this.#database.pragma('data_version', { simple: true });
    this.#known = this.#database
      .prepare<[], { id: number; fault: string; beginsAt: number | null; timesLeft: number; state: FaultState }>(
        "SELECT id, fault, begins_at AS beginsAt, times_left AS timesLeft, state FROM fault WHERE state NOT IN ('spent', 'lifted') ORDER BY id",
      )
      .all()
      .map((row) => ({ ...row, fault: JSON.parse(row.fault) as Fault }));
  }
}

/** For a command line: orders a fault at a site that runs in another process, or will. The id serves to lift it. */
export function orderFault(databaseFile: string, order: FaultOrder): number {
  return withDatabase(databaseFile, (database) => insertFault(database, completeFault(order)));
}

export function liftFault(databaseFile: string, id: number): void {
  const isLifted = withDatabase(databaseFile, (database) => liftRow(database, id));
  if (!isLifted)
    throw new FarshoreError('ERR_NOT_FOUND', `no fault ${id} is ordered here: it was never ordered, is used up or is lifted already`);
}

function withDatabase<T>(file: string, use: (database: SqliteDatabase) => T): T {
  const database = openDatabase(file);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

function insertFault(database: SqliteDatabase, fault: Fault): number {
  const times = 'times' in fault ? fault.times : 1;
  const added = database
    .prepare("INSERT INTO fault (fault, begins_at, times_left, state) VALUES (?, NULL, ?, 'ordered')")
    .run(JSON.stringify(fault), times);
  return Number(added.lastInsertRowid);
}

/** False where there is nothing to lift. */
function liftRow(database: SqliteDatabase, id: number): boolean {
  const { changes } = database
    .prepare(
      "UPDATE fault SET state = CASE state WHEN 'active' THEN 'lifting' ELSE 'lifted' END WHERE id = ? AND state IN ('active', 'ordered')",
    )
    .run(id);
  return changes > 0;
}

function meansVm(wanted: string | null, vm: CallAtHand['vm']): boolean {
  return wanted === null || (vm !== null && (wanted === vm.name || wanted === vm.id));
}
