/** What a site knows of one VM; stored as one JSON document, written whole. */
import type { AdapterSource, AdapterTarget } from '../../../shared/domain/network-map.ts';
import { type ProtectionPolicy, settingsOf } from '../../../shared/domain/policy.ts';
import type { CloudId, NetworkId, PairingId, SiteId, VmId, VmRef } from '../../../shared/ids.ts';
import type {
  FailoverNote,
  PowerState,
  RecoveryPoint,
  ReplicaTarget,
  ReplicationHealth,
  ReplicationMode,
  ReplicationState,
  VmView,
} from '../fabric.ts';

export interface Adapter {
  /** Where it is connected now; null is unconnected. */
  readonly connected: AdapterTarget | null;
  /** Of a replica: how the adapter stands at the primary. */
  readonly source: AdapterSource | null;
  /** Of a replica: where a failover connects it. */
  readonly planned: AdapterTarget | null;
}

/** What the VM has written since it was made: `bytes` up to `at`, and its change rate from then on while it runs. */
export interface Written {
  readonly bytes: number;
  readonly at: number;
}

/** What only the machinery of the site understands: how long a pretended guest takes to start, how a real machine is built. */
export type Traits = Readonly<Record<string, unknown>>;

export interface VmRecord {
  readonly ref: VmRef;
  readonly name: string;
  readonly host: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly disks: readonly { readonly sizeBytes: number; readonly storage: string }[];
  readonly adapters: readonly Adapter[];
  readonly changeBytesPerSecond: number;
  /** Absent where its machinery needs to know no more of it. */
  readonly traits?: Traits;
  /** Absent in databases that are older than tags. */
  readonly tags?: readonly string[];
  readonly power: PowerState;
  /** Its host died while it ran: on its return the replica has to be compared. */
  readonly crashed: boolean;
  /** From when the guest answers, while it runs. */
  readonly guestAnswersAt: number | null;
  readonly written: Written;
  readonly epoch: number;
  readonly replication: ReplicationRecord;
  /** Of the test copy that a drill made of a replica; absent for every other VM. */
  readonly testCopy?: { readonly replicaId: VmId; readonly point: RecoveryPoint };
  readonly dueAt: number | null;
}

export type TestCopyRecord = VmRecord & Required<Pick<VmRecord, 'testCopy'>>;

export interface ReplicationRecord {
  readonly mode: ReplicationMode;
  readonly state: ReplicationState;
  readonly health: ReplicationHealth;
  readonly lastPointAt: number | null;
  readonly policy: ProtectionPolicy | null;
  readonly primary: PrimaryPart | null;
  readonly replica: ReplicaPart | null;
}

export interface PrimaryPart {
  readonly target: ReplicaTarget;
  readonly pairingId: PairingId;
  /** How much of what was written the other side has confirmed. */
  readonly confirmedBytes: number;
  readonly lastApplicationPointAt: number | null;
  /** The point of the last changes, while it is prepared for a failover. */
  readonly preparedPointId: string | null;
  /** What the first copy has to carry: after a reversal the differences, else all disks. */
  readonly firstCopyBytes: number | null;
  /** When it begins, while it waits for that moment. */
  readonly firstCopyAt?: number | null;
  /** Absent until there was something to count. */
  readonly tally?: CycleTally;
}

/** Of its cycles since `since`: how many there were, and how much and how long all of them together. */
export interface CycleTally {
  readonly since: number;
  readonly cycles: number;
  readonly missed: number;
  readonly errors: number;
  readonly bytes: number;
  readonly maximumBytes: number;
  readonly latencyMs: number;
  readonly maximumLatencyMs: number;
}

export interface ReplicaPart {
  readonly siteId: SiteId;
  readonly cloudId: CloudId;
  readonly pairingId: PairingId;
  readonly lastReceivedAt: number;
  /** The point that holds all that its primary wrote before it was prepared for a failover; null when others came after. */
  readonly preparedPointId: string | null;
  /** The recovery point that it was failed over to, and what the primary had written by then. */
  readonly failover: (FailoverNote & { readonly writtenBytes: number; readonly isPlanned: boolean }) | null;
}

export const notReplicated: ReplicationRecord = {
  mode: 'none',
  state: 'disabled',
  health: 'notApplicable',
  lastPointAt: null,
  policy: null,
  primary: null,
  replica: null,
};

export function vmRef(cloudId: CloudId, vmId: VmId): VmRef {
  return { cloudId, vmId };
}

/** Whether replication has a say in it: a test copy stands beside replication, as a VM does that was never protected. */
export function replicates({ replication }: VmRecord): boolean {
  return replication.mode !== 'none' && replication.mode !== 'testReplica';
}

export function viewOf(record: VmRecord): VmView {
  const { mode, state, health, lastPointAt, primary, replica, policy } = record.replication;
  const firstCopyAt = primary?.firstCopyAt ?? null;
  const failover = replica?.failover ?? null;
  const failoverType = failover === null ? 'none' : failover.isPlanned ? 'planned' : 'unplanned';
  return {
    ref: record.ref,
    name: record.name,
    power: record.power,
    networkIds: networkIdsOf(record.adapters),
    replication: {
      mode,
      state,
      health,
      failoverType,
      lastPointAt,
      ...(firstCopyAt !== null && { firstCopyAt }),
      settings: policy === null ? null : settingsOf(policy),
    },
    epoch: record.epoch,
    tags: record.tags ?? [],
    failover: noteOf(record),
  };
}

export function noteOf({ replication: { replica } }: VmRecord): FailoverNote | null {
  const failover = replica?.failover ?? null;
  return failover && { commandId: failover.commandId, recoveryPoint: failover.recoveryPoint };
}

/** The networks that they are connected to. */
export function networkIdsOf(adapters: readonly Adapter[]): NetworkId[] {
  return [...new Set(adapters.flatMap(({ connected }) => (connected === null ? [] : [connected.networkId])))];
}

export function writtenBytesAt(record: VmRecord, at: number): number {
  if (record.power !== 'running' || at <= record.written.at) return record.written.bytes;
  return record.written.bytes + Math.floor(((at - record.written.at) / 1000) * record.changeBytesPerSecond);
}

/** The record with what was written so far counted up to `at`: call it before the power changes. */
export function settleWritten(record: VmRecord, at: number): VmRecord {
  return { ...record, written: { bytes: writtenBytesAt(record, at), at } };
}

export function diskBytes(record: VmRecord): number {
  return record.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
