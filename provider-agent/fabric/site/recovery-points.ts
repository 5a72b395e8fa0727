/**
 * The recovery points of replicas. Kept are the newest, and as many additional ones as the policy says: hourly ones
 * and application-consistent ones. A point says how much the primary had written by then, so that a loss can be counted.
 */
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { RecoveryPoint } from '../fabric.ts';
import type { SqliteDatabase } from './database.ts';

export interface StoredPoint extends RecoveryPoint {
  readonly writtenBytes: number;
}

const HOUR_MS = 3_600_000;

/** Of all points, those that the policy keeps, newest first. */
export function keptPoints<P extends RecoveryPoint>(points: readonly P[], policy: ProtectionPolicy): P[] {
  const sorted = points.toSorted((a, b) => a.at - b.at);
  const newest = sorted.pop();
  if (newest === undefined) return [];
  const additional: P[] = [];
  for (const point of sorted) {
    const last = additional.at(-1);
    if (last === undefined || point.kind === 'applicationConsistent' || point.at >= last.at + HOUR_MS) additional.push(point);
  }
  const kept = policy.additionalRecoveryPoints === 0 ? [] : additional.slice(-policy.additionalRecoveryPoints);
  return [newest, ...kept.reverse()];
}

export class RecoveryPointStore {
  readonly #sql;

  constructor(database: SqliteDatabase) {
    this.#sql = {
      list: database.prepare<[string, string], StoredPoint>(
        'SELECT id, at, kind, written_bytes AS writtenBytes FROM recovery_point WHERE cloud_id = ? AND vm_id = ? ORDER BY at DESC',
      ),
      add: database.prepare(
        'INSERT OR IGNORE INTO recovery_point (cloud_id, vm_id, at, id, kind, written_bytes) VALUES (?, ?, ?, ?, ?, ?)',
      ),
      remove: database.prepare('DELETE FROM recovery_point WHERE cloud_id = ? AND vm_id = ? AND at = ?'),
      removeAll: database.prepare('DELETE FROM recovery_point WHERE cloud_id = ? AND vm_id = ?'),
    };
  }

  /** Newest first. */
  list({ cloudId, vmId }: VmRef): StoredPoint[] {
    return this.#sql.list.all(cloudId, vmId);
  }

  /** Adds the point and drops those that the policy no longer keeps. */
  add(ref: VmRef, point: StoredPoint, policy: ProtectionPolicy): void {
    this.#sql.add.run(ref.cloudId, ref.vmId, point.at, point.id, point.kind, point.writtenBytes);
    const all = this.list(ref);
    const kept = new Set(keptPoints(all, policy).map(({ id }) => id));
    for (const { id, at } of all) if (!kept.has(id)) this.#sql.remove.run(ref.cloudId, ref.vmId, at);
  }

  /** Forgets those that are not named. */
  retain(ref: VmRef, ids: ReadonlySet<string>): void {
    for (const { id, at } of this.list(ref)) if (!ids.has(id)) this.#sql.remove.run(ref.cloudId, ref.vmId, at);
  }

  removeAll({ cloudId, vmId }: VmRef): void {
    this.#sql.removeAll.run(cloudId, vmId);
  }
}
