/**
 * The store port: all that the control plane remembers. Every row lies under a vault. `operations`, `channel` and `api`
 * know only these interfaces; `sqlite.ts` is the embedded database behind them.
 *
 * What a promise says is durable when it resolves (WAL, synchronous FULL). Three kinds of fact, one writer each: wishes are
 * written by `api`, promises (phase, active location, epoch) by `jobs`, observations by `channel`. Moments are milliseconds since 1970 throughout.
 */
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { DrillEvent } from '../../shared/domain/drill.ts';
import type { PolicyChange, ProtectionPolicy } from '../../shared/domain/policy.ts';
import type { ActiveLocation, Phase, VmEvent } from '../../shared/domain/protected-vm.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import type { VaultSettings } from '../../shared/domain/vault-settings.ts';
import type { Fact, JobState } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import type {
  AgentId,
  CloudId,
  JobId,
  NetworkId,
  PairingId,
  PlanId,
  ProtectedVmId,
  SiteId,
  UserId,
  VaultId,
  VmId,
} from '../../shared/ids.ts';
import type { AgentMessage, VmReport } from '../../shared/protocol/egress.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { AccountStore } from './account-store.ts';
import type { EnrolmentStore } from './enrolment-store.ts';
import type { MovedRules, RuleStore } from './rule-store.ts';
import type { VmSettings } from './vm-settings.ts';

export interface Site {
  readonly id: SiteId;
  readonly vaultId: VaultId;
  readonly name: string;
  readonly createdAt: number;
}

export interface RegistrationKeyRow {
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  readonly createdAt: number;
  readonly createdBy: UserId;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

export interface Agent {
  readonly id: AgentId;
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  readonly registeredAt: number;
  readonly revokedAt: number | null;
  readonly lastSeenAt: number | null;
  readonly version: string;
}

export interface RevokedCertificate {
  readonly serial: string;
  readonly revokedAt: number;
}

export interface Cloud {
  readonly siteId: SiteId;
  readonly id: CloudId;
  readonly name: string;
}

export interface Network {
  readonly siteId: SiteId;
  readonly id: NetworkId;
  readonly name: string;
}

/** The last report of one VM at one site, and when it came. */
export interface VmObservation {
  readonly siteId: SiteId;
  readonly report: VmReport;
  readonly observedAt: number;
}

/** One end of a pairing. */
export interface CloudRef {
  readonly siteId: SiteId;
  readonly cloudId: CloudId;
}

export interface ReplicaAddresses {
  readonly primary: string | null;
  readonly recovery: string | null;
}

export interface Pairing {
  readonly id: PairingId;
  readonly vaultId: VaultId;
  readonly name: string;
  readonly primary: CloudRef;
  readonly recovery: CloudRef;
  readonly policy: ProtectionPolicy;
  readonly networks: readonly { readonly from: NetworkId; readonly to: NetworkId }[];
  readonly state: 'pairing' | 'paired' | 'failed' | 'unpairing';
  /** Where each side receives replicas; known once paired. */
  readonly replicaAddresses: ReplicaAddresses;
  readonly createdAt: number;
}

/** Past its end the failover is taken back. */
export interface CommitWindow {
  readonly endsAt: number;
  readonly failover: JobId;
  /** Why that was not possible; nothing happens by itself any more. Null: it is open, or is still acted upon. */
  readonly lapsed: string | null;
}

/** The VMs of one failover whose window is open, or has ended and was not acted upon yet. */
export interface OpenCommitWindow extends Omit<CommitWindow, 'lapsed'> {
  readonly vaultId: VaultId;
  readonly vms: readonly ProtectedVmId[];
}

export interface ProtectedVm {
  readonly id: ProtectedVmId;
  readonly vaultId: VaultId;
  readonly pairingId: PairingId;
  readonly vmId: VmId;
  readonly name: string;
  readonly phase: Phase;
  readonly activeLocation: ActiveLocation;
  /** The side that sends; a failover leads to the other. */
  readonly replicatesFrom: ActiveLocation;
  readonly epoch: number;
  /** The job that works on it now. */
  readonly busyWith: JobId | null;
  /** The drill whose test copy of it is there, or may be. */
  readonly drill: JobId | null;
  /** Of the failover that moved it, when its plan has one; null once it is committed or taken back. */
  readonly commitWindow: CommitWindow | null;
  /** What of its pairing was set at it. */
  readonly applied: VmSettings;
  /** What a job was last opened for to set at it: nothing is tried twice by itself. */
  readonly attempted: VmSettings;
  readonly createdAt: number;
}

export interface Plan {
  readonly id: PlanId;
  readonly vaultId: VaultId;
  readonly name: string;
  readonly version: number;
  readonly document: RecoveryPlan;
  readonly createdAt: number;
  readonly createdBy: UserId;
  /** Null: nobody has approved this version. */
  readonly approval: PlanApproval | null;
}

export interface PlanApproval {
  readonly by: UserId;
  readonly at: number;
  readonly comment: string;
}

export interface StoredVaultSettings {
  readonly settings: VaultSettings;
  /** Null: they were never changed. */
  readonly changed: { readonly at: number; readonly by: UserId } | null;
}

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
  readonly newVms: readonly Omit<ProtectedVm, 'busyWith' | 'drill' | 'commitWindow'>[];
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

export interface SiteStore {
  create(site: Site): Promise<void>;
  list(vaultId: VaultId): Promise<Site[]>;
  find(vaultId: VaultId, id: SiteId): Promise<Site | null>;
  addRegistrationKey(row: RegistrationKeyRow): Promise<void>;
  registrationKeys(vaultId: VaultId, siteId: SiteId): Promise<RegistrationKeyRow[]>;
  agents(vaultId: VaultId): Promise<Agent[]>;
  /** The agent that speaks for the site: the newest. Null when that is revoked: whom it replaced stays replaced. */
  agentOf(vaultId: VaultId, siteId: SiteId): Promise<Agent | null>;
  findAgent(id: AgentId): Promise<Agent | null>;
  noteSeen(id: AgentId, at: number, version: string): Promise<void>;
  /** Idempotent. False when there is no such agent in the vault. */
  revokeAgent(vaultId: VaultId, id: AgentId, at: number): Promise<boolean>;
  /** The certificates of every revoked agent that have not ended by themselves, of all vaults: what the revocation list names. */
  revokedCertificates(now: number): Promise<RevokedCertificate[]>;
}

type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;

export interface ObservationStore {
  /** Takes a report of changes over; `full` forgets first what the site reported before. Answers the digest over all of the site. */
  take(vaultId: VaultId, siteId: SiteId, message: InventoryMessage, at: number): Promise<{ readonly digest: string }>;
  digest(vaultId: VaultId, siteId: SiteId): Promise<string | null>;
  clouds(vaultId: VaultId): Promise<Cloud[]>;
  networks(vaultId: VaultId): Promise<Network[]>;
  vms(
    vaultId: VaultId,
    where?: { readonly siteId?: SiteId; readonly cloudId?: CloudId; readonly vmIds?: readonly VmId[] },
  ): Promise<VmObservation[]>;
}

export interface WishStore {
  savePlan(plan: Omit<Plan, 'version' | 'approval'>): Promise<Plan>;
  /** The newest version, or the one given. */
  findPlan(vaultId: VaultId, idOrName: string, version?: number): Promise<Plan | null>;
  plans(vaultId: VaultId): Promise<Plan[]>;
  /** All that there were, newest first. */
  versions(vaultId: VaultId, id: PlanId): Promise<Plan[]>;
  /** The first approval of a version stays. Throws ERR_OWN_APPROVAL, ERR_NOT_FOUND. */
  approvePlan(vaultId: VaultId, id: PlanId, version: number, approval: PlanApproval): Promise<void>;
  settings(vaultId: VaultId): Promise<StoredVaultSettings>;
  setSettings(vaultId: VaultId, settings: VaultSettings, by: UserId, at: number): Promise<void>;
}

export interface PromiseStore {
  pairings(vaultId: VaultId): Promise<Pairing[]>;
  findPairing(vaultId: VaultId, id: PairingId): Promise<Pairing | null>;
  protectedVms(
    vaultId: VaultId,
    where?: { readonly pairingId?: PairingId; readonly ids?: readonly ProtectedVmId[]; readonly names?: readonly string[] },
  ): Promise<ProtectedVm[]>;
  /** VMs that replicate, that no job works on, and that lack what their pairing says and no job was opened for yet; at most `most`. */
  vmsBehind(pairing: Pairing, most: number): Promise<ProtectedVm[]>;
  /** Of VMs whose protection has ended after an ownership decision. */
  lastEpochs(vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>>;
}

/** Small documents of the installation that outlive a restart: the set-up secret's hash, key material by name. */
export interface SettingStore {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
}

export interface Store {
  readonly accounts: AccountStore;
  readonly sites: SiteStore;
  readonly enrolment: EnrolmentStore;
  readonly observations: ObservationStore;
  readonly wishes: WishStore;
  readonly promises: PromiseStore;
  readonly rules: RuleStore;
  readonly jobs: JobStore;
  readonly settings: SettingStore;
  close(): Promise<void>;
}
