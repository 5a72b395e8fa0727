/** Jobs with their graphs and facts, what they claim, and what their facts mean for promises. */
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { DrillEvent } from '../../shared/domain/drill.ts';
import type { PolicyChange } from '../../shared/domain/policy.ts';
import type { Phase, VmEvent } from '../../shared/domain/protected-vm.ts';
import type { Fact, JobState } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import type { JobId, PairingId, ProtectedVmId, VaultId, VmId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { OpenCommitWindow, Pairing, ProtectedVm, ReplicaAddresses } from './promise-store.ts';
import type { MovedRules } from './rule-store.ts';
import type { VmSettings } from './vm-settings.ts';

/** Every job was asked for as an operation. */
export type JobKind = OperationRequest['kind'];

export interface Job {
  readonly id: JobId;
  readonly vaultId: VaultId;
  readonly kind: JobKind;
  /** What it works on, for people: the name of a pairing, a plan, a VM. */
  readonly target: string;
  readonly startedBy: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly state: JobState;
  /** SHA-256 over kind and input, hex: the same id with another content is refused. */
  readonly requestDigest: string;
  /** What the report needs to know that no fact tells: see operations/input.ts. */
  readonly input: unknown;
}

export interface PairingChange {
  readonly id: PairingId;
  readonly policy: PolicyChange;
  readonly networks?: Pairing['networks'] | undefined;
}

/** A job as it is opened: with its graph and what it claims. */
export interface NewJob {
  readonly job: Omit<Job, 'endedAt' | 'state'>;
  readonly graph: Graph<StepWork>;
  /** VMs that exist: claimed, in the phase given, with the drill given where one is, and raised to the epoch given where one is. */
  readonly claims: readonly {
    readonly id: ProtectedVmId;
    readonly phases: readonly Phase[];
    readonly epoch?: number;
    readonly drill?: JobId | null;
    readonly attempts?: Partial<VmSettings>;
  }[];
  /** VMs that this job brings into being, claimed by it from the start. */
  readonly newVms: readonly Omit<ProtectedVm, 'busyWith' | 'drill' | 'commitWindow' | 'nextEpoch'>[];
  readonly newPairing?: Pairing;
  /** Of a pairing from now on; what is not named stays as it is then, whoever changed it meanwhile. */
  readonly changedPairing?: PairingChange;
  /** Rules of one pairing hold for another from now on. */
  readonly movedRules?: MovedRules;
  /** A pairing that nothing stands on, and nothing begins in from now on. */
  readonly endedPairing?: PairingId;
  /** VMs whose protection a person ends: no rule puts them back. */
  readonly excludes?: readonly { readonly vmId: VmId; readonly name: string }[];
  /** A rule wants the new VMs, and no person. */
  readonly byRule?: boolean;
}

export interface StoredFact {
  /** 1, 2, 3 ... within the job. */
  readonly seq: number;
  readonly fact: Fact;
}

/** What becomes of a promise when a fact is written; in the same transaction. */
export type Projection =
  | { readonly vm: ProtectedVmId; readonly event: VmEvent | DrillEvent; readonly pairingId?: PairingId }
  /** The job needs it no more, and goes on without it. */
  | { readonly released: ProtectedVmId }
  /** The job ends as it stands: of a VM that it holds, and was on the way with, nothing is known. */
  | { readonly left: ProtectedVmId }
  | { readonly appliedTo: ProtectedVmId; readonly settings: Partial<VmSettings> }
  /** If it is failed over now. */
  | { readonly commitWindowOf: ProtectedVmId; readonly endsAt: number }
  | { readonly pairing: PairingId; readonly state: Pairing['state'] | 'gone'; readonly replicaAddresses?: ReplicaAddresses };

export interface JobFilter {
  readonly state?: JobState;
  readonly kind?: JobKind;
  readonly limit: number;
  /** Only those that started earlier. */
  readonly before?: number;
}

export interface JobStore {
  /**
   * The one place where races are settled, in one transaction. The same id with the same digest answers `existing`.
   * Throws ERR_ID_REUSED, ERR_VM_BUSY (naming the job), ERR_OPERATION_NOT_ALLOWED, ERR_CONFLICT (a VM protected already, the name
   * of a pairing taken), ERR_NOT_PREPARED (the pairing is being removed), ERR_STALE_VERSION (the epoch is no newer),
   * ERR_NOT_FOUND; all the reasons are in `problems`.
   */
  open(job: NewJob): Promise<'opened' | 'existing'>;
  /**
   * Appends facts with their projections, all or none. An `ended` fact ends the job and releases what it claimed. Throws
   * ERR_OPERATION_NOT_ALLOWED (the phase does not know the event, the job does not hold the VM or has ended), ERR_NOT_FOUND.
   */
  append(vaultId: VaultId, jobId: JobId, facts: readonly Fact[], projections: readonly Projection[]): Promise<void>;
  find(vaultId: VaultId, id: JobId): Promise<Job | null>;
  /** Newest first. */
  list(vaultId: VaultId, filter: JobFilter): Promise<Job[]>;
  graph(vaultId: VaultId, id: JobId): Promise<Graph<StepWork>>;
  facts(vaultId: VaultId, id: JobId, afterSeq?: number): Promise<StoredFact[]>;
  /** Jobs of every vault that have not ended, oldest first: what a restart continues. */
  unended(): Promise<Job[]>;
  /**
   * Removes jobs that ended before that moment, with their facts, the oldest first, at most `most`; answers how many. One that has not ended stays,
   * and one that a VM still names: for a test copy that is there, or for a failover that is not committed.
   */
  purge(vaultId: VaultId, endedBefore: number, most: number): Promise<number>;
  /** Of every vault, those that end first in front. */
  commitWindows(): Promise<OpenCommitWindow[]>;
  /** Nothing happens by itself any more to these VMs of that failover, and they say why. */
  lapseCommitWindow(window: Omit<OpenCommitWindow, 'endsAt'>, why: string): Promise<void>;
}
