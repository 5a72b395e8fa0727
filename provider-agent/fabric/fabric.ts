/**
 * The fabric port: all that the agent can read and do at the site it lives on. Drivers are `hyperv/`, and `site/` over a
 * pretended or a real machinery. Handlers know only this interface.
 *
 * Reads are cheap and incremental. Every mutation takes an `Act`: which command causes it and under which
 * epoch, so that each change of the fabric can be traced to one authorised step. A mutation called in the
 * wrong state throws a FabricError and changes nothing, as the cmdlets do; callers look first. States and
 * transitions are those of Hyper-V Replica (its PowerShell names, in camelCase).
 */
import type { FirstCopy } from '../../shared/domain/first-copy.ts';
import type { ProtectionPolicy, ReplicationSettings } from '../../shared/domain/policy.ts';
import type { CloudId, CommandId, JobId, NetworkId, PairingId, SiteId, VmRef } from '../../shared/ids.ts';

/** Why a mutation happens. Drivers write it into the fabric's own task log where it has one. */
export interface Act {
  readonly commandId: CommandId;
  readonly epoch: number;
  /** Aborts a call that hangs; what it did by then is unknown, so the caller looks again. */
  readonly signal?: AbortSignal;
}

export type PowerState = 'running' | 'off' | 'starting' | 'stopping' | 'paused' | 'saved' | 'critical';

export type ReplicationState =
  | 'disabled'
  | 'readyForInitialReplication'
  | 'initialReplicationInProgress'
  | 'waitingForInitialReplication'
  | 'replicating'
  | 'preparedForFailover'
  | 'failedOverWaitingCompletion'
  | 'failedOver'
  | 'suspended'
  | 'error'
  | 'waitingForStartResynchronize'
  | 'resynchronizing';

export type ReplicationMode = 'none' | 'primary' | 'replica' | 'testReplica';
export type ReplicationHealth = 'notApplicable' | 'normal' | 'warning' | 'critical';

export interface CloudView {
  readonly id: CloudId;
  readonly name: string;
}

export interface NetworkView {
  readonly id: NetworkId;
  readonly name: string;
}

export interface VmView {
  readonly ref: VmRef;
  readonly name: string;
  readonly power: PowerState;
  /** VM networks its adapters are connected to; empty for an unconnected VM. */
  readonly networkIds: readonly NetworkId[];
  readonly replication: ReplicationView;
  /** The highest epoch written to the VM at this site; 0 where none was. */
  readonly epoch: number;
  /** As people wrote them; in SCVMM the tag of the VM. */
  readonly tags: readonly string[];
  /** Null where it is not failed over, or where that was not done through this port. */
  readonly failover: FailoverNote | null;
}

/** What a failover leaves with the VM, beside the epoch: whose work it is, and which point the VM stands on. */
export interface FailoverNote {
  readonly commandId: CommandId;
  readonly recoveryPoint: RecoveryPoint;
}

export interface ReplicationView {
  readonly mode: ReplicationMode;
  readonly state: ReplicationState;
  readonly health: ReplicationHealth;
  /** How a replica was failed over: `planned` holds all that its primary wrote, which is prepared. `none` where it was not. */
  readonly failoverType: 'none' | 'planned' | 'unplanned';
  /** When the newest recovery point was current at the primary; milliseconds since 1970, null before the first. */
  readonly lastPointAt: number | null;
  /** When the first copy begins, of a primary that waits for that moment. */
  readonly firstCopyAt?: number;
  /** How it replicates; null where it does not. */
  readonly settings: ReplicationSettings | null;
  /** Of a primary, in the inventory only. It is no news by itself: it is as of the moment that something else of the VM changed. */
  readonly measure?: ReplicationMeasure;
}

/** How the cycles of a primary went, as the fabric counts them. Null is what it does not know. */
export interface ReplicationMeasure {
  /** When counting began; milliseconds since 1970. */
  readonly since: number | null;
  readonly cycles: number;
  readonly missed: number;
  readonly errors: number;
  readonly averageBytes: number | null;
  readonly maximumBytes: number | null;
  /** Written, and not at the replica yet. */
  readonly pendingBytes: number | null;
  readonly averageLatencyMs: number | null;
  readonly maximumLatencyMs: number | null;
}

export interface RecoveryPoint {
  readonly id: string;
  /** The moment at the primary that it holds; milliseconds since 1970. */
  readonly at: number;
  readonly kind: 'crashConsistent' | 'applicationConsistent';
}

/** The copy that a drill made of a replica: a VM of its own, beside the replica, which goes on replicating. */
export interface TestCopyView {
  /** Its own id, which nothing but the site knows. */
  readonly ref: VmRef;
  /** `<name of the replica> - Test`. */
  readonly name: string;
  readonly power: PowerState;
  readonly networkIds: readonly NetworkId[];
  /** What it was made from. It is kept with the copy: the points of the replica move on. */
  readonly recoveryPoint: RecoveryPoint;
}

/** Who can be reached over a VM network. */
export interface NetworkExposure {
  /** It has a way out: to a physical network, a gateway, another site. */
  readonly leadsOut: boolean;
  /** How many VMs other than test copies are connected to it. */
  readonly otherVms: number;
}

/** A network that was made for a drill. */
export interface DrillNetworkView {
  readonly drill: JobId;
  readonly id: NetworkId;
  /** How many test copies are connected to it. */
  readonly copies: number;
}

/** What changed since a cursor. `full` says that the lists are everything there is and the caller forgets the rest. */
export interface InventoryChanges {
  readonly cursor: string;
  readonly full: boolean;
  readonly clouds: readonly CloudView[];
  readonly networks: readonly NetworkView[];
  readonly vms: readonly VmView[];
  readonly removedVms: readonly VmRef[];
}

/** A host or broker and the names its replication certificate must carry. Names of hosts never leave the site. */
export interface ReplicationHost {
  readonly host: string;
  readonly dnsNames: readonly string[];
}

export interface HostCertificate {
  readonly host: string;
  /** PKCS#12 with certificate, key and chain, as Windows hosts import it, and the pass phrase that opens it. */
  readonly pfx: Uint8Array;
  readonly passphrase: string;
}

export interface HostsPreparation {
  readonly pairingId: PairingId;
  readonly cloudId: CloudId;
  readonly authentication: 'certificate' | 'kerberos';
  /** Null: the default of the authentication. */
  readonly port: number | null;
  /** One for each host that `replicationHosts` named. */
  readonly certificates: readonly HostCertificate[];
  /** The replication root of the vault: a peer's chain must end in it, PEM. */
  readonly rootPem: string;
  /** The site that may send replicas here and that replicas go to, and its cloud of the pairing. */
  readonly peer: { readonly siteId: SiteId; readonly cloudId: CloudId };
}

export interface ReplicaTarget {
  readonly siteId: SiteId;
  readonly cloudId: CloudId;
  /** `host:port` where that site receives replicas. */
  readonly address: string;
}

/** Which target network an adapter of the primary goes to; adapters on a network not named stay unconnected. */
export interface NetworkMapping {
  readonly from: NetworkId;
  readonly to: NetworkId;
}

export interface Fabric {
  /** Everything when `cursor` is null or no longer known, else only what changed since. */
  readInventory(cursor: string | null): Promise<InventoryChanges>;
  /** One VM as it is now, or null. Always fresh: handlers decide by it. */
  findVm(ref: VmRef): Promise<VmView | null>;
  recoveryPoints(ref: VmRef): Promise<readonly RecoveryPoint[]>;

  /** The test copy of the replica, or null; always fresh. Copies are in no inventory. */
  findTestCopy(replica: VmRef): Promise<TestCopyView | null>;
  /** Null: the site has no such network. Always fresh, and `leadsOut` where it cannot be told. */
  networkExposure(networkId: NetworkId): Promise<NetworkExposure | null>;

  /** Those that were made for drills and are there, also empty ones. They are in no inventory. Always fresh. */
  drillNetworks(): Promise<readonly DrillNetworkView[]>;

  /** The hosts and brokers of the cloud that replicate. */
  replicationHosts(cloudId: CloudId): Promise<readonly ReplicationHost[]>;
  /**
   * Firewall, certificate, replica server, authorisation on every host of the cloud, so that it can send and receive: whoever
   * fails over wants to come back. Answers where replicas are received. Repeating it changes nothing.
   */
  prepareHosts(preparation: HostsPreparation, act: Act): Promise<{ readonly address: string }>;
  releaseHosts(pairingId: PairingId, cloudId: CloudId, act: Act): Promise<void>;

  /** Primary: disabled -> readyForInitialReplication; creates the replica, off and unconnected, in the target cloud. */
  enableReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void>;
  /**
   * Primary: readyForInitialReplication -> initialReplicationInProgress, and by itself -> replicating. At a later time: it stays
   * readyForInitialReplication with `firstCopyAt` until then. Exported: -> waitingForInitialReplication when all stands in the folder,
   * and by itself -> replicating when the replica has taken it in.
   */
  startInitialReplication(ref: VmRef, firstCopy: FirstCopy, act: Act): Promise<void>;
  /** Replica: waitingForInitialReplication -> replicating, from the folder that its primary exported to, wherever that stands now. */
  importInitialReplication(ref: VmRef, folder: string, act: Act): Promise<void>;
  /** Replica: sets the networks and reserves the addresses that it gets when it is failed over. One that was the primary keeps its own. */
  configureReplica(ref: VmRef, networks: readonly NetworkMapping[], act: Act): Promise<void>;
  /** Primary, in any state: frequency, recovery points and compression from now on, at its replica too. Repeating it changes nothing. */
  setReplicationPolicy(ref: VmRef, policy: ProtectionPolicy, act: Act): Promise<void>;
  /** This side only; the replica VM stays. A side without replication is an error, as with Remove-VMReplication. */
  removeReplication(ref: VmRef, act: Act): Promise<void>;
  /** Recovery: deletes a VM that is off and no longer replicates. */
  deleteVm(ref: VmRef, act: Act): Promise<void>;

  /** Primary, off: replicating -> preparedForFailover; the other side holds all that was written, and this VM cannot be started. */
  prepareFailover(ref: VmRef, act: Act): Promise<void>;
  /**
   * Recovery: replicating or suspended -> failedOverWaitingCompletion, off, networks and addresses set. Null: the latest point. Leaves its note with
   * the VM; where fabric and note are written apart, the note comes first.
   */
  startFailover(ref: VmRef, recoveryPointId: string | null, act: Act): Promise<void>;
  /** Recovery: failedOverWaitingCompletion -> replicating; turns the VM off. Primary: preparedForFailover -> replicating. */
  stopFailover(ref: VmRef, act: Act): Promise<void>;
  /** Recovery: failedOverWaitingCompletion -> failedOver; the other recovery points are gone. */
  completeFailover(ref: VmRef, act: Act): Promise<void>;

  /** Primary, off, in any state -> replica, waitingForInitialReplication: what it holds is compared and overwritten later. */
  becomeReplica(ref: VmRef, act: Act): Promise<void>;
  /**
   * Replica that was failed over -> primary; the other end must be ready for it. After a planned failover both replicate at
   * once; where the other became a replica before, it is readyForInitialReplication, and the first copy carries the differences.
   */
  reverseReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void>;
  /** Primary: replicating -> suspended, sends nothing. Replica: replicating -> suspended, takes nothing, and can be failed over. */
  suspendReplication(ref: VmRef, act: Act): Promise<void>;
  /** Either end, suspended -> what it was before. */
  resumeReplication(ref: VmRef, act: Act): Promise<void>;
  /** Primary: waitingForStartResynchronize -> resynchronizing, and by itself -> replicating. Older recovery points are gone then. */
  resynchronize(ref: VmRef, act: Act): Promise<void>;
  /** Replica: replicating, and it stays so; makes its test copy on its host, off and unconnected. Null: the latest point. */
  startTestFailover(replica: VmRef, recoveryPointId: string | null, act: Act): Promise<void>;
  /**
   * Makes a VM network of the drill's own from the logical network that `like` is of, with its subnets and no way out. There is
   * none for the drill yet. The mark that says whose it is comes with it, in one step: a driver that crashes leaves no network that nobody knows.
   */
  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void>;
  /** The network made for the drill: nobody is connected to it. */
  removeDrillNetwork(drill: JobId, act: Act): Promise<void>;
  /** Connects the adapters of the copy, which is off, to one network, where a failover connects them at all, with the addresses of a failover. */
  connectTestCopy(replica: VmRef, networkId: NetworkId, act: Act): Promise<void>;
  /** The copy: off -> running. */
  startTestVm(replica: VmRef, act: Act): Promise<void>;
  /**
   * Removes the copy, running or not, whatever became of its replica since. Stop-VMFailover on a replica that was failed over
   * takes the failover back: there a driver removes the copy itself.
   */
  stopTestFailover(replica: VmRef, act: Act): Promise<void>;

  /** Running -> off: the guest shuts itself down. A VM that does not run is an error. */
  stopVm(ref: VmRef, act: Act): Promise<void>;
  /** Off -> running. A VM that runs is an error. */
  startVm(ref: VmRef, act: Act): Promise<void>;
  /** The host that the VM stands on; null where the fabric does not say. It never leaves the site. */
  hostOf(ref: VmRef): Promise<string | null>;
  /** Addresses that the VM has, or gets when it is started; none where the fabric knows of none. They never leave the site. */
  addressesOf(ref: VmRef): Promise<readonly string[]>;
  /** Whether the guest answers now. */
  guestAnswers(ref: VmRef): Promise<boolean>;
  /** Stores the epoch with the VM itself (an SCVMM custom property). Never lowers it. */
  writeEpoch(ref: VmRef, epoch: number, act: Act): Promise<void>;

  close(): Promise<void>;
}

/** What went wrong in the words of the fabric. It stays at the site: only `code` leaves it. */
export type FabricErrorId =
  | 'InvalidOperation'
  | 'ObjectNotFound'
  | 'AccessDenied'
  | 'OperationFailed'
  | 'OperationTimeout'
  | 'InvalidParameter';
