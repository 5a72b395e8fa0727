/** What a primary counts of its cycles, and what the inventory tells of it. First copies and last changes are no cycles. */
import type { ReplicationMeasure, ReplicationState, VmView } from '../fabric.ts';
import type { SentPoint } from './replication-frames.ts';
import { type CycleTally, type PrimaryPart, type VmRecord, viewOf, writtenBytesAt } from './vm-record.ts';

const begunAt = (since: number): CycleTally => ({
  since,
  cycles: 0,
  missed: 0,
  errors: 0,
  bytes: 0,
  maximumBytes: 0,
  latencyMs: 0,
  maximumLatencyMs: 0,
});

/** `takenAt` is null where the other side did not take the point. */
export function countCycle(primary: PrimaryPart, state: ReplicationState, point: SentPoint, takenAt: number | null): PrimaryPart {
  if (state !== 'replicating' || point.isFirst) return primary;
  const tally = primary.tally ?? begunAt(point.at);
  if (takenAt === null) return { ...primary, tally: { ...tally, errors: tally.errors + 1 } };
  const bytes = Math.max(0, point.writtenBytes - primary.confirmedBytes);
  const latencyMs = Math.max(0, Math.round(takenAt - point.at));
  return {
    ...primary,
    tally: {
      ...tally,
      cycles: tally.cycles + 1,
      bytes: tally.bytes + bytes,
      maximumBytes: Math.max(tally.maximumBytes, bytes),
      latencyMs: tally.latencyMs + latencyMs,
      maximumLatencyMs: Math.max(tally.maximumLatencyMs, latencyMs),
    },
  };
}

/** Its moment had come, and nothing could be sent. */
export function missCycle(primary: PrimaryPart, state: ReplicationState, now: number): PrimaryPart {
  if (state !== 'replicating') return primary;
  const tally = primary.tally ?? begunAt(now);
  return { ...primary, tally: { ...tally, missed: tally.missed + 1 } };
}

/** `countsBytes`: the book says how much a VM has written, which only pretended ones do. */
export function inventoryViewOf(record: VmRecord, now: number, countsBytes: boolean): VmView {
  const view = viewOf(record);
  const { primary } = record.replication;
  return primary === null ? view : { ...view, replication: { ...view.replication, measure: measureOf(record, primary, now, countsBytes) } };
}

function measureOf(record: VmRecord, { tally, confirmedBytes }: PrimaryPart, now: number, countsBytes: boolean): ReplicationMeasure {
  const sized = (value: number) => (countsBytes ? value : null);
  const { since, cycles, missed, errors, bytes, maximumBytes, latencyMs, maximumLatencyMs } = tally ?? { ...begunAt(0), since: null };
  return {
    since: since === null ? null : Math.floor(since),
    cycles,
    missed,
    errors,
    averageBytes: sized(Math.round(bytes / Math.max(1, cycles))),
    maximumBytes: sized(maximumBytes),
    pendingBytes: sized(Math.max(0, writtenBytesAt(record, now) - confirmedBytes)),
    averageLatencyMs: cycles === 0 ? null : Math.round(latencyMs / cycles),
    maximumLatencyMs: cycles === 0 ? null : maximumLatencyMs,
  };
}
