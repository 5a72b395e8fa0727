/**
 * The tables as the query layer sees them. Only types that SQLite and PostgreSQL share: text, whole numbers, null.
 * Moments are milliseconds since 1970; documents are JSON as text. All but `settings` and the agents' own keys lie under a vault.
 */
import type { ActiveLocation, Phase } from '../../shared/domain/protected-vm.ts';
import type { JobState } from '../../shared/engine/facts.ts';
import type {
  AgentId,
  CloudId,
  JobId,
  NetworkId,
  PairingId,
  PlanId,
  ProtectedVmId,
  RuleId,
  SiteId,
  UserId,
  VaultId,
  VmId,
} from '../../shared/ids.ts';
import type { Credential, Role } from './account-store.ts';
import type { JobKind } from './job-store.ts';
import type { Pairing } from './promise-store.ts';

interface InVault {
  vault_id: VaultId;
}

export interface Tables {
  vaults: { id: VaultId; name: string; created_at: number };
  users: InVault & { id: UserId; name: string; role: Role; password_hash: string; created_at: number };
  credentials: InVault & {
    hash: string;
    user_id: UserId;
    kind: Credential['kind'];
    name: string;
    role: Role;
    created_at: number;
    expires_at: number;
  };
  sites: InVault & { id: SiteId; name: string; created_at: number; inventory_digest: string | null };
  registration_keys: InVault & {
    hash: string;
    site_id: SiteId;
    created_at: number;
    created_by: UserId;
    expires_at: number;
    used_at: number | null;
  };
  agents: InVault & {
    id: AgentId;
    site_id: SiteId;
    /** The enrolled public key. */
    spki: string;
    certificate_serial: string;
    certificate_not_after: number;
    registered_at: number;
    revoked_at: number | null;
    last_seen_at: number | null;
    version: string;
  };
  certificates: InVault & { serial: string; agent_id: AgentId; not_after: number };
  renewal_proofs: InVault & { agent_id: AgentId; jti: string; forget_at: number };
  /** `item` is the hash that the thing adds to the site's inventory digest. */
  clouds: InVault & { site_id: SiteId; id: CloudId; name: string; item: string };
  networks: InVault & { site_id: SiteId; id: NetworkId; name: string; item: string };
  observed_vms: InVault & { site_id: SiteId; cloud_id: CloudId; vm_id: VmId; report: string; item: string; observed_at: number };
  pairings: InVault & {
    id: PairingId;
    name: string;
    primary_site_id: SiteId;
    primary_cloud_id: CloudId;
    recovery_site_id: SiteId;
    recovery_cloud_id: CloudId;
    policy: string;
    networks: string;
    state: Pairing['state'];
    primary_address: string | null;
    recovery_address: string | null;
    created_at: number;
  };
  protected_vms: InVault & {
    id: ProtectedVmId;
    pairing_id: PairingId;
    vm_id: VmId;
    name: string;
    phase: Phase;
    active_location: ActiveLocation;
    replicates_from: ActiveLocation;
    epoch: number;
    busy_with: JobId | null;
    drill: JobId | null;
    commit_window_ends_at: number | null;
    commit_window_of: JobId | null;
    applied_policy: string | null;
    applied_networks: string | null;
    attempted_policy: string | null;
    attempted_networks: string | null;
    commit_window_lapsed: string | null;
    created_at: number;
  };
  plans: InVault & { id: PlanId; name: string; newest_version: number };
  plan_versions: InVault & { plan_id: PlanId; version: number; document: string; created_at: number; created_by: UserId };
  plan_approvals: InVault & { plan_id: PlanId; version: number; approved_by: UserId; approved_at: number; comment: string };
  vault_settings: InVault & { settings: string; changed_by: UserId; changed_at: number };
  protection_rules: InVault & {
    id: RuleId;
    pairing_id: PairingId;
    match: string;
    created_at: number;
    created_by: UserId;
    removed_at: number | null;
    removed_by: UserId | null;
  };
  rule_exclusions: InVault & { vm_id: VmId; name: string; excluded_at: number; excluded_by: string; job_id: JobId | null };
  vm_epochs: InVault & { vm_id: VmId; epoch: number };
  rule_attempts: InVault & { vm_id: VmId; attempts: number; job_id: JobId };
  jobs: InVault & {
    id: JobId;
    kind: JobKind;
    target: string;
    started_by: string;
    started_at: number;
    ended_at: number | null;
    state: JobState;
    request_digest: string;
    input: string;
    /** Number of the newest fact; 0 before the first. */
    last_seq: number;
  };
  job_graphs: InVault & { job_id: JobId; graph: string };
  facts: InVault & { job_id: JobId; seq: number; fact: string };
  settings: { name: string; value: string };
}
