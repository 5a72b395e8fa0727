/**
 * The states of replication and what leads from one to the next, as Hyper-V Replica has them (hyperv/facts.md,
 * section 3). Only this table changes mode, state and health together; an event that is not in it for the state at
 * hand is refused and changes nothing.
 */
import type { ReplicationHealth, ReplicationMode, ReplicationState } from '../fabric.ts';

export type ReplicationEvent =
  /** Enable-VMReplication at the primary. */
  | 'enabled'
  /** ... and what it makes at the other side. */
  | 'replicaCreated'
  /** Start-VMInitialReplication. */
  | 'initialReplicationStarted'
  /** Start-VMInitialReplication -DestinationPath: all of it stands in a folder. */
  | 'initialReplicationExported'
  /** The other side confirmed the first copy. */
  | 'initialReplicationConfirmed'
  /** The first copy has arrived. */
  | 'firstPointReceived'
  /** Start-VMFailover -Prepare at the primary: the last changes have arrived. */
  | 'failoverPrepared'
  /** Start-VMFailover at the replica. */
  | 'failoverStarted'
  /** Stop-VMFailover, on either side. */
  | 'failoverStopped'
  /** Complete-VMFailover. */
  | 'failoverCompleted'
  /** The host crashed while the primary ran: its change log cannot be trusted. */
  | 'primaryCrashed'
  /** Resume-VMReplication -Resynchronize at the primary ... */
  | 'resynchronizationStarted'
  /** ... and the other side has confirmed the differences. */
  | 'resynchronized'
  /** Suspend-VMReplication, on either side ... */
  | 'suspended'
  /** ... and Resume-VMReplication. */
  | 'resumed'
  /** Set-VMReplication -AsReplica at the former primary. */
  | 'becameReplica'
  /** Set-VMReplication -Reverse after a planned failover, on either side. */
  | 'rolesSwapped'
  /** Set-VMReplication -Reverse where the former primary became a replica before. */
  | 'reversed'
  /** Remove-VMReplication, on one side. */
  | 'removed';

export interface ReplicationPhase {
  readonly mode: ReplicationMode;
  readonly state: ReplicationState;
}

export interface ReplicationTransition {
  readonly on: ReplicationEvent;
  readonly from: ReplicationPhase;
  readonly to: ReplicationPhase & { readonly health: ReplicationHealth };
}

const none: ReplicationPhase = { mode: 'none', state: 'disabled' };
const primary = (state: ReplicationState): ReplicationPhase => ({ mode: 'primary', state });
const replica = (state: ReplicationState): ReplicationPhase => ({ mode: 'replica', state });
const row = (from: ReplicationPhase, on: ReplicationEvent, to: ReplicationPhase, health: ReplicationHealth): ReplicationTransition => ({
  on,
  from,
  to: { ...to, health },
});

const replicated: readonly ReplicationPhase[] = [
  primary('readyForInitialReplication'),
  primary('initialReplicationInProgress'),
  primary('waitingForInitialReplication'),
  primary('replicating'),
  primary('suspended'),
  primary('preparedForFailover'),
  primary('waitingForStartResynchronize'),
  primary('resynchronizing'),
  replica('waitingForInitialReplication'),
  replica('replicating'),
  replica('suspended'),
  replica('failedOverWaitingCompletion'),
  replica('failedOver'),
];

export const replicationTransitions: readonly ReplicationTransition[] = [
  row(none, 'enabled', primary('readyForInitialReplication'), 'warning'),
  row(none, 'replicaCreated', replica('waitingForInitialReplication'), 'warning'),
  row(primary('readyForInitialReplication'), 'initialReplicationStarted', primary('initialReplicationInProgress'), 'normal'),
  row(primary('readyForInitialReplication'), 'initialReplicationExported', primary('waitingForInitialReplication'), 'warning'),
  row(primary('waitingForInitialReplication'), 'initialReplicationConfirmed', primary('replicating'), 'normal'),
  row(primary('initialReplicationInProgress'), 'initialReplicationConfirmed', primary('replicating'), 'normal'),
  row(replica('waitingForInitialReplication'), 'firstPointReceived', replica('replicating'), 'normal'),
  row(primary('replicating'), 'failoverPrepared', primary('preparedForFailover'), 'normal'),
  row(primary('preparedForFailover'), 'failoverStopped', primary('replicating'), 'normal'),
  row(replica('replicating'), 'failoverStarted', replica('failedOverWaitingCompletion'), 'warning'),
  row(replica('suspended'), 'failoverStarted', replica('failedOverWaitingCompletion'), 'warning'),
  row(replica('failedOverWaitingCompletion'), 'failoverStopped', replica('replicating'), 'normal'),
  row(replica('failedOverWaitingCompletion'), 'failoverCompleted', replica('failedOver'), 'warning'),
  row(primary('replicating'), 'primaryCrashed', primary('waitingForStartResynchronize'), 'critical'),
  row(primary('suspended'), 'primaryCrashed', primary('waitingForStartResynchronize'), 'critical'),
  row(primary('resynchronizing'), 'primaryCrashed', primary('waitingForStartResynchronize'), 'critical'),
  row(primary('replicating'), 'suspended', primary('suspended'), 'warning'),
  row(primary('suspended'), 'resumed', primary('replicating'), 'normal'),
  row(replica('replicating'), 'suspended', replica('suspended'), 'critical'),
  row(replica('suspended'), 'resumed', replica('replicating'), 'normal'),
  row(primary('waitingForStartResynchronize'), 'resynchronizationStarted', primary('resynchronizing'), 'warning'),
  row(primary('resynchronizing'), 'resynchronized', primary('replicating'), 'normal'),
  row(primary('preparedForFailover'), 'rolesSwapped', replica('replicating'), 'normal'),
  ...replicated
    .filter(({ mode }) => mode === 'primary')
    .map((from) => row(from, 'becameReplica', replica('waitingForInitialReplication'), 'warning')),
  ...(['failedOverWaitingCompletion', 'failedOver'] as const).flatMap((state) => [
    row(replica(state), 'rolesSwapped', primary('replicating'), 'normal'),
    row(replica(state), 'reversed', primary('readyForInitialReplication'), 'warning'),
  ]),
  ...replicated.map((from) => row(from, 'removed', none, 'notApplicable')),
];

/** Where the event leads, or null where the state does not allow it. */
export function nextReplication(from: ReplicationPhase, on: ReplicationEvent): ReplicationTransition['to'] | null {
  return replicationTransitions.find((t) => t.on === on && t.from.mode === from.mode && t.from.state === from.state)?.to ?? null;
}

/** A test copy is made of a replica that takes changes; nothing becomes of the replica by it. */
export function mayBeTested({ mode, state }: ReplicationPhase): boolean {
  return mode === 'replica' && state === 'replicating';
}

/** A replica's disks belong to replication until a failover: it cannot be started before. */
export function mayStart({ mode, state }: ReplicationPhase): boolean {
  if (mode === 'replica') return state === 'failedOverWaitingCompletion' || state === 'failedOver';
  return state !== 'preparedForFailover';
}
