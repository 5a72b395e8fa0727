/** The part of the store port that protection rules need: rules as people want them, and what is remembered of single VMs. */
import type { RuleMatch } from '../../shared/domain/protection-rules.ts';
import type { JobId, PairingId, RuleId, UserId, VaultId, VmId } from '../../shared/ids.ts';

/** VMs of a pairing's primary cloud that fit are protected by themselves. */
export interface ProtectionRule {
  readonly id: RuleId;
  readonly vaultId: VaultId;
  readonly pairingId: PairingId;
  readonly match: RuleMatch;
  readonly createdAt: number;
  readonly createdBy: UserId;
  /** Null while it holds. */
  readonly removedAt: number | null;
  readonly removedBy: UserId | null;
}

export interface MovedRules {
  readonly from: PairingId;
  readonly to: PairingId;
  /** Null where it is no user of the vault. */
  readonly by: UserId | null;
}

/** A VM that no rule takes, because a person took it out of protection. */
export interface RuleExclusion {
  readonly vaultId: VaultId;
  readonly vmId: VmId;
  readonly name: string;
  readonly at: number;
  /** Name of the user. */
  readonly by: string;
  /** That ended its protection, or was cancelled; null where a person said so outright. */
  readonly jobId: JobId | null;
}

export interface RuleAttempt {
  readonly vmId: VmId;
  /** Since a person had a say in it. */
  readonly attempts: number;
  /** The last that a rule started. */
  readonly jobId: JobId;
}

export interface RuleStore {
  /** Throws ERR_CONFLICT where the pairing has the same rule already, ERR_NOT_PREPARED while it is being removed. */
  add(rule: ProtectionRule): Promise<void>;
  /** False when no rule of that id holds. */
  remove(vaultId: VaultId, id: RuleId, at: number, by: UserId): Promise<boolean>;
  /** Oldest first, removed ones too. */
  list(vaultId: VaultId): Promise<ProtectionRule[]>;
  exclusions(vaultId: VaultId): Promise<RuleExclusion[]>;
  exclude(exclusion: RuleExclusion): Promise<void>;
  /** Attempts count from nothing again. False when it was not excluded. */
  lift(vaultId: VaultId, vmId: VmId): Promise<boolean>;
  attempts(vaultId: VaultId): Promise<RuleAttempt[]>;
}
