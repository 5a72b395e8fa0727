/**
 * The store port: all that the control plane remembers. Every row lies under a vault. `operations`, `channel` and `api`
 * know only these interfaces; `sqlite.ts` is the embedded database behind them.
 *
 * What a promise says is durable when it resolves (WAL, synchronous FULL). Three kinds of fact, one writer each: wishes are
 * written by `api`, promises (phase, active location, epoch) by `jobs`, observations by `channel`. Moments are milliseconds since 1970 throughout.
 */
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import type { VaultSettings } from '../../shared/domain/vault-settings.ts';
import type { AgentId, CloudId, NetworkId, PlanId, SiteId, UserId, VaultId, VmId } from '../../shared/ids.ts';
import type { AgentMessage, VmReport } from '../../shared/protocol/egress.ts';
import type { AccountStore } from './account-store.ts';
import type { EnrolmentStore } from './enrolment-store.ts';
import type { JobStore } from './job-store.ts';
import type { PromiseStore } from './promise-store.ts';
import type { RuleStore } from './rule-store.ts';

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
