/**
 * The VMs of a site, and the counter of changes that makes reading the inventory cheap: each write gives the VM the
 * next number, and a reader asks for what lies above the number it knows.
 */
import type { NetworkId, VmRef } from '../../../shared/ids.ts';
import type { SqliteDatabase } from './database.ts';
import type { TestCopyRecord, VmRecord } from './vm-record.ts';

export class VmStore {
  readonly #sql;
  #version: number;

  constructor(database: SqliteDatabase) {
    this.#sql = {
      find: database.prepare<[string, string], { record: string }>('SELECT record FROM vm WHERE cloud_id = ? AND vm_id = ?'),
      put: database.prepare(
        `INSERT INTO vm (cloud_id, vm_id, host, version, due_at, record) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET host = excluded.host, version = excluded.version, due_at = excluded.due_at, record = excluded.record`,
      ),
      testCopy: database.prepare<[string, string], { record: string }>(
        // Without statistics the cloud alone would be searched for, which is most of the VMs.
        `SELECT record FROM vm INDEXED BY vm_test_copy WHERE cloud_id = ? AND record ->> '$.testCopy.replicaId' IS NOT NULL
         AND record ->> '$.testCopy.replicaId' = ?`,
      ),
      testCopies: database.prepare<[], { record: string }>("SELECT record FROM vm WHERE record ->> '$.testCopy.replicaId' IS NOT NULL"),
      // Only a record that has the text of the id is taken apart, and none of the many copies that a drill puts there.
      onNetwork: database.prepare<[string], { record: string }>(
        `SELECT record FROM vm WHERE instr(record, ?) > 0 AND instr(record, '"testCopy":{') = 0`,
      ),
      remove: database.prepare('DELETE FROM vm WHERE cloud_id = ? AND vm_id = ?'),
      noteRemoved: database.prepare('INSERT OR REPLACE INTO removed_vm (cloud_id, vm_id, version) VALUES (?, ?, ?)'),
      forgetRemoved: database.prepare('DELETE FROM removed_vm WHERE cloud_id = ? AND vm_id = ?'),
      wasRemoved: database.prepare<[string, string], { version: number }>(
        'SELECT version FROM removed_vm WHERE cloud_id = ? AND vm_id = ?',
      ),
      changed: database.prepare<[number], { record: string }>(
        "SELECT record FROM vm WHERE version > ? AND record ->> '$.testCopy' IS NULL ORDER BY version",
      ),
      removed: database.prepare<[number], VmRefRow>('SELECT cloud_id, vm_id FROM removed_vm WHERE version > ?'),
      onHost: database.prepare<[string], { record: string }>('SELECT record FROM vm WHERE host = ?'),
      due: database.prepare<[number, number], { record: string }>('SELECT record FROM vm WHERE due_at <= ? ORDER BY due_at LIMIT ?'),
      nextDue: database.prepare<[], { due: number | null }>('SELECT min(due_at) AS due FROM vm WHERE due_at IS NOT NULL'),
      named: database.prepare<[string], { record: string }>("SELECT record FROM vm WHERE record ->> '$.name' = ?"),
    };
    const highest = database
      .prepare<[], { version: number }>(
        `SELECT max(version) AS version FROM (SELECT version FROM vm UNION ALL SELECT version FROM removed_vm
         UNION ALL SELECT version FROM cloud UNION ALL SELECT version FROM network UNION ALL SELECT 0)`,
      )
      .get();
    this.#version = highest?.version ?? 0;
  }

  /** The number of the newest change. */
  get version(): number {
    return this.#version;
  }

  nextVersion(): number {
    return ++this.#version;
  }

  find({ cloudId, vmId }: VmRef): VmRecord | null {
    return decode(this.#sql.find.get(cloudId, vmId));
  }

  put(record: VmRecord): void {
    const { cloudId, vmId } = record.ref;
    this.#sql.put.run(
      cloudId,
      vmId,
      record.host,
      this.nextVersion(),
      record.dueAt === null ? null : Math.ceil(record.dueAt),
      JSON.stringify(record),
    );
  }

  add(record: VmRecord): void {
    this.#sql.forgetRemoved.run(record.ref.cloudId, record.ref.vmId);
    this.put(record);
  }

  remove({ cloudId, vmId }: VmRef): void {
    this.#sql.remove.run(cloudId, vmId);
    this.#sql.noteRemoved.run(cloudId, vmId, this.nextVersion());
  }

  /** A test copy was in no inventory, so nobody has to learn that it is gone. */
  removeTestCopy({ cloudId, vmId }: VmRef): void {
    this.#sql.remove.run(cloudId, vmId);
  }

  testCopyOf({ cloudId, vmId }: VmRef): TestCopyRecord | null {
    return decode(this.#sql.testCopy.get(cloudId, vmId)) as TestCopyRecord | null;
  }

  testCopies(): TestCopyRecord[] {
    return this.#sql.testCopies.all().flatMap((row) => (decode(row) as TestCopyRecord | null) ?? []);
  }

  copiesOn(networkId: NetworkId): number {
    return this.testCopies().filter(({ adapters }) => adapters.some(({ connected }) => connected?.networkId === networkId)).length;
  }

  /** VMs that are connected to the network, test copies apart. */
  onNetwork(networkId: NetworkId): VmRecord[] {
    const named = this.#sql.onNetwork.all(networkId).flatMap((row) => decode(row) ?? []);
    return named.filter(({ adapters }) => adapters.some(({ connected }) => connected?.networkId === networkId));
  }

  wasRemoved({ cloudId, vmId }: VmRef): boolean {
    return this.#sql.wasRemoved.get(cloudId, vmId) !== undefined;
  }

  changedSince(version: number): VmRecord[] {
    return this.#sql.changed.all(version).flatMap((row) => decode(row) ?? []);
  }

  removedSince(version: number): VmRef[] {
    return this.#sql.removed.all(version).map((row) => ({ cloudId: row.cloud_id, vmId: row.vm_id }) as VmRef);
  }

  onHost(host: string): VmRecord[] {
    return this.#sql.onHost.all(host).flatMap((row) => decode(row) ?? []);
  }

  /** VMs of that name, in any cloud. */
  named(name: string): VmRecord[] {
    return this.#sql.named.all(name).flatMap((row) => decode(row) ?? []);
  }

  due(now: number, limit: number): VmRecord[] {
    return this.#sql.due.all(now, limit).flatMap((row) => decode(row) ?? []);
  }

  nextDueAt(): number | null {
    return this.#sql.nextDue.get()?.due ?? null;
  }
}

interface VmRefRow {
  cloud_id: string;
  vm_id: string;
}

/** The database is ours alone: what it holds was written by `put`. */
function decode(row: { record: string } | undefined): VmRecord | null {
  return row === undefined ? null : (JSON.parse(row.record) as VmRecord);
}
