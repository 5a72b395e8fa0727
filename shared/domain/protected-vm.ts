/**
 * The life of one protected VM, as the control plane promises it. Pure.
 *
 * A phase is a promise about the world and causes nothing by itself; work is done on the way from one phase to the
 * next, by the steps of a job. How far that work has come is told by the job, never by another phase.
 */
import { FarshoreError } from '../errors.ts';
import { whyNotBesideACopy } from './drill.ts';

export const phases = {
  enabling: 'replication is being switched on; there is nothing to recover from',
  seeding: 'replication is on; the first full copy has not arrived',
  protected: 'runs on the active side, and the other holds a recovery point',
  failingOver: 'a job is moving it; which side will run it is not settled',
  interrupted:
    'work on it was broken off, and what of that is left at its sites is not known: look there; then take it back, fail over again, or commit what runs there',
  failedOver: 'runs on the side it was failed over to; the other recovery points are kept until commit',
  committed: 'runs on the side it was failed over to for good, and nothing protects it there',
  reversing: 'a job turns its replication round; nothing protects it until that is done',
  disabling: 'protection is being ended',
} as const;
export type Phase = keyof typeof phases;
export const PHASES = Object.keys(phases) as [Phase, ...Phase[]];

/** A job is on the way with it: what it comes to is not settled. */
export const isUnderWay = (phase: Phase): boolean => ['enabling', 'failingOver', 'reversing', 'disabling'].includes(phase);

export type ActiveLocation = 'primary' | 'recovery';
export const otherSide = (location: ActiveLocation): ActiveLocation => (location === 'primary' ? 'recovery' : 'primary');

export type VmEvent =
  | 'replicationEnabled'
  | 'firstCopyArrived'
  | 'adopted'
  | 'failoverStarted'
  | 'failoverUndone'
  | 'failoverInterrupted'
  | 'workLeft'
  | 'replicaStarted'
  | 'takeBackStarted'
  | 'takeBackGivenUp'
  | 'failoverCommitted'
  | 'reversalStarted'
  | 'reversalGivenUp'
  | 'replicationReversed'
  | 'moveStarted'
  | 'moveGivenUp'
  | 'protectionEnding'
  | 'protectionEnded'
  | 'protectionGivenUp';

interface Transition {
  readonly from: Phase;
  readonly on: VmEvent;
  /** Null: it is no longer a protected VM. */
  readonly to: Phase | null;
  /** The end of its replication that it runs at from now on. */
  readonly runsAt?: 'source' | 'target';
  /** Source and target change places. */
  readonly reverses?: true;
  readonly why: string;
}

/** The whole life; docs/states.md is drawn from it. A protected VM is born `enabling`. */
export const transitions: readonly Transition[] = [
  { from: 'enabling', on: 'replicationEnabled', to: 'seeding', why: 'both sides replicate; the first copy is on its way' },
  {
    from: 'enabling',
    on: 'adopted',
    to: 'protected',
    why: 'it replicated before it was protected, and its replica holds a recovery point',
  },
  { from: 'enabling', on: 'protectionEnded', to: null, why: 'enabling failed and was undone' },
  { from: 'seeding', on: 'firstCopyArrived', to: 'protected', why: 'a recovery point exists' },
  { from: 'seeding', on: 'protectionEnded', to: null, why: 'the first copy failed and enabling was undone' },
  { from: 'seeding', on: 'protectionEnding', to: 'disabling', why: 'a person asked' },
  {
    from: 'protected',
    on: 'protectionEnded',
    to: null,
    why: 'it was cancelled at its last moment, and undone',
  },
  { from: 'protected', on: 'failoverStarted', to: 'failingOver', why: 'a person or a plan asked' },
  { from: 'seeding', on: 'moveStarted', to: 'enabling', why: 'it leaves its replica for one at another site' },
  { from: 'protected', on: 'moveStarted', to: 'enabling', why: 'it leaves its replica for one at another site' },
  { from: 'enabling', on: 'moveGivenUp', to: 'protected', why: 'it could not leave its replica, and a person left it where it is' },
  { from: 'protected', on: 'protectionEnding', to: 'disabling', why: 'a person asked' },
  {
    from: 'failingOver',
    on: 'failoverUndone',
    to: 'protected',
    runsAt: 'source',
    why: 'everything that was done for it was taken back',
  },
  {
    from: 'failingOver',
    on: 'failoverInterrupted',
    to: 'interrupted',
    why: 'a part of it could not be taken back, or came up nowhere, and a person left it so',
  },
  ...(['enabling', 'failingOver', 'failedOver', 'reversing', 'disabling'] as const).map((from) => ({
    from,
    on: 'workLeft' as const,
    to: 'interrupted' as const,
    why: 'a person left it as it is at its sites, where what was done is not known',
  })),
  {
    from: 'interrupted',
    on: 'failoverCommitted',
    to: 'committed',
    runsAt: 'target',
    why: 'its site says that it is failed over there, and a person wants to keep that',
  },
  { from: 'interrupted', on: 'takeBackStarted', to: 'failingOver', why: 'a person asked to take back what is left of the failover' },
  { from: 'interrupted', on: 'failoverStarted', to: 'failingOver', why: 'a person asked to fail over again' },
  { from: 'failingOver', on: 'replicaStarted', to: 'failedOver', runsAt: 'target', why: 'the replica runs; commit is pending' },
  {
    from: 'failedOver',
    on: 'takeBackStarted',
    to: 'failingOver',
    why: 'a person asked to take the failover back, or for another recovery point',
  },
  {
    from: 'failingOver',
    on: 'takeBackGivenUp',
    to: 'failedOver',
    runsAt: 'target',
    why: 'it could not be taken back, and a person left it where it is',
  },
  { from: 'failedOver', on: 'failoverCommitted', to: 'committed', why: 'the other recovery points were given up' },
  { from: 'committed', on: 'reversalStarted', to: 'reversing', why: 'a person asked' },
  { from: 'reversing', on: 'reversalGivenUp', to: 'committed', why: 'it could not be turned round, and a person left it as it is' },
  {
    from: 'reversing',
    on: 'replicationReversed',
    to: 'seeding',
    reverses: true,
    why: 'the side it runs on sends, and the other takes its changes',
  },
  { from: 'committed', on: 'protectionEnding', to: 'disabling', why: 'a person asked' },
  { from: 'disabling', on: 'protectionEnded', to: null, why: 'neither side replicates any more' },
  ...PHASES.map((from) => ({
    from,
    on: 'protectionGivenUp' as const,
    to: null,
    why: 'a person forced it while a side was away; what is left there is cleaned when it is back',
  })),
];

/** The kinds of job that work on protected VMs, and the phases each may start from. */
export const operationPhases = {
  plannedFailover: ['protected', 'interrupted'],
  unplannedFailover: ['protected', 'interrupted'],
  takeBack: ['failedOver', 'interrupted'],
  changeRecoveryPoint: ['failedOver'],
  commit: ['failedOver', 'interrupted'],
  reverseReplication: ['committed'],
  importFirstCopy: ['seeding'],
  suspend: ['protected'],
  resume: ['seeding', 'protected'],
  resynchronize: ['seeding', 'protected'],
  testFailover: ['protected'],
  cleanUpTest: ['protected', 'interrupted', 'failedOver'],
  unprotect: ['seeding', 'protected', 'committed'],
} as const satisfies Record<string, readonly Phase[]>;
export type VmOperation = keyof typeof operationPhases;
export const VM_OPERATIONS = Object.keys(operationPhases) as [VmOperation, ...VmOperation[]];

export interface VmLife {
  readonly phase: Phase;
  readonly activeLocation: ActiveLocation;
  /** The side that sends; a failover leads to the other. */
  readonly replicatesFrom: ActiveLocation;
}

/** Null: protection has ended. Throws ERR_OPERATION_NOT_ALLOWED for an event that the phase does not know. */
export function applyEvent(vm: VmLife, event: VmEvent): VmLife | null {
  const row = transitions.find((t) => t.from === vm.phase && t.on === event);
  if (!row) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `${event} while ${vm.phase}`);
  if (row.to === null) return null;
  const { activeLocation, replicatesFrom } = vm;
  const ends = { source: replicatesFrom, target: otherSide(replicatesFrom) };
  return {
    phase: row.to,
    activeLocation: row.runsAt === undefined ? activeLocation : ends[row.runsAt],
    replicatesFrom: row.reverses ? ends.target : ends.source,
  };
}

/** Its life, and what is going on with it now. */
export interface VmNow extends VmLife {
  /** The job that works on it. */
  readonly busyWith: string | null;
  /** The drill whose test copy of it is there, or may be. */
  readonly drill: string | null;
}

export interface OperationAllowance {
  readonly operation: VmOperation;
  readonly isAllowed: boolean;
  /** Why not, in words for a person; empty when it is allowed. */
  readonly reason: string;
}

/** Sent with every VM, so that no client works the rules out again. */
export function allowedOperations(vm: VmNow): OperationAllowance[] {
  return VM_OPERATIONS.map((operation) => {
    const reason = whyNot(vm, operation);
    return { operation, isAllowed: reason === '', reason };
  });
}

/** The reason why an operation may not start on the VM now; empty when it may. */
export function whyNot(vm: VmNow, operation: VmOperation): string {
  if (vm.busyWith) return `job ${vm.busyWith} works on it`;
  const from: readonly Phase[] = operationPhases[operation];
  if (from.includes(vm.phase)) return whyNotBesideACopy(vm.drill, operation);
  return `it is ${vm.phase}: ${phases[vm.phase]}; ${operation} starts from ${from.join(' or ')}`;
}
