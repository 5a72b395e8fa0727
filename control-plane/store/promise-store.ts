/** Promises of the control plane: pairings and protected VMs. Written by jobs and by nobody else. */
import type { ProtectionPolicy } from '../../shared/domain/policy.ts';
import type { ActiveLocation, Phase } from '../../shared/domain/protected-vm.ts';
import type { CloudId, JobId, NetworkId, PairingId, ProtectedVmId, SiteId, VaultId, VmId } from '../../shared/ids.ts';
import type { VmSettings } from './vm-settings.ts';

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
  /** That of the next ownership decision: above what was decided here, and above what sites have told that they have seen. */
  readonly nextEpoch: number;
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

export interface PromiseStore {
  pairings(vaultId: VaultId): Promise<Pairing[]>;
  findPairing(vaultId: VaultId, id: PairingId): Promise<Pairing | null>;
  protectedVms(
    vaultId: VaultId,
    where?: { readonly pairingId?: PairingId; readonly ids?: readonly ProtectedVmId[]; readonly names?: readonly string[] },
  ): Promise<ProtectedVm[]>;
  /** VMs that replicate, that no job works on, and that lack what their pairing says and no job was opened for yet; at most `most`. */
  vmsBehind(pairing: Pairing, most: number): Promise<ProtectedVm[]>;
  /** Of VMs whose protection has ended after an ownership decision, or that sites have told of: the newest. */
  lastEpochs(vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>>;
  /** The last decision that was made here about each VM, protected now or before. */
  decidedEpochs(vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>>;
  /**
   * Sites have seen these decisions: the next one is above them. What goes on under an earlier one stays under it, so that sites which
   * know better refuse it. Lowers none.
   */
  raiseEpochs(vaultId: VaultId, epochs: ReadonlyMap<VmId, number>): Promise<void>;
}
