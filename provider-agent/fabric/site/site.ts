/**
 * A site that keeps the rules of Hyper-V Replica by itself, over a machinery that does what they decide (machinery.ts): clouds, hosts, storage,
 * networks and VMs. All it knows is in its database, written the instant it happens, so a killed process finds its book as it was.
 */
import type { FirstCopy } from '../../../shared/domain/first-copy.ts';
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { CloudId, JobId, NetworkId, PairingId, VmRef } from '../../../shared/ids.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import type {
  Act,
  DrillNetworkView,
  Fabric,
  HostsPreparation,
  InventoryChanges,
  NetworkExposure,
  NetworkMapping,
  RecoveryPoint,
  ReplicaTarget,
  ReplicationHost,
  TestCopyView,
  VmView,
} from '../fabric.ts';
import { TlsTransport } from '../peer/tls-transport.ts';
import { inventoryViewOf } from './cycle-tally.ts';
import type { SqliteDatabase } from './database.ts';
import { drillNetworks, makeDrillNetworkWork, networkExposure, removeDrillNetworkWork } from './drill-networks.ts';
import { connectTestCopyWork, startTestFailoverWork, startTestVmWork, stopTestFailoverWork, testCopyView } from './drill-operations.ts';
import { completeFailoverWork, prepareFailoverWork, startFailoverWork, stopFailoverWork } from './failover-operations.ts';
import { importInitialReplicationWork, startInitialReplicationWork } from './first-copy-operations.ts';
import { prepareHostsWork, releaseHostsWork } from './host-operations.ts';
import type { Machinery } from './machinery.ts';
import type { OrderedFaults } from './ordered-faults.ts';
import { cloudNotFound } from './refusals.ts';
import { type ListenAt, ReplicationDoor } from './replication-door.ts';
import { ReplicationAnswer, ReplicationRequest } from './replication-frames.ts';
import { configureReplicaWork, enableReplicationWork, removeReplicationWork, setReplicationPolicyWork } from './replication-operations.ts';
import { ReplicationReceiver } from './replication-receiver.ts';
import { ReplicationSender } from './replication-sender.ts';
import type { ReplicationTransport } from './replication-transport.ts';
import { becomeReplicaWork, resynchronizeWork, reverseReplicationWork } from './reversal-operations.ts';
import type { SiteModel } from './site-model.ts';
import { resumeReplicationWork, suspendReplicationWork } from './suspension-operations.ts';
import { TaskRunner } from './task-runner.ts';
import { deleteVmWork, startVmWork, stopVmWork, writeEpochWork } from './vm-operations.ts';
import { viewOf } from './vm-record.ts';
import { World } from './world.ts';

export interface SiteOptions {
  readonly definition: SiteModel;
  readonly database: SqliteDatabase;
  readonly machinery: Machinery;
  readonly faults: OrderedFaults;
  readonly clock: Clock;
  readonly random: Random;
  /** In place of the listen address of the definition. */
  readonly replicationListen?: ListenAt;
  /** Without one: mutual TLS. */
  readonly transport?: ReplicationTransport;
  /** How often to look whether another process ordered a fault; null: nobody else can. */
  readonly lookMs: number | null;
}

export class Site implements Fabric {
  protected readonly world: World;
  protected readonly door: ReplicationDoor;
  readonly #database: SqliteDatabase;
  readonly #runner: TaskRunner;
  readonly #sender: ReplicationSender;
  protected isClosed = false;

  protected constructor({ database, transport: given, replicationListen, lookMs, ...parts }: SiteOptions) {
    const { definition, clock } = parts;
    this.#database = database;
    const transport = given ?? new TlsTransport(clock, { request: ReplicationRequest, answer: ReplicationAnswer });
    this.world = new World({ database, ...parts });
    const receiver = new ReplicationReceiver(this.world, () => this.wake());
    this.#sender = new ReplicationSender(this.world, transport, () => this.settleFaults(), lookMs);
    this.#runner = new TaskRunner(
      this.world,
      () => this.settleFaults(),
      () => this.wake(),
    );
    this.door = new ReplicationDoor(
      this.world,
      transport,
      (source, request) => receiver.receive(source, request),
      replicationListen ?? definition.replication.listen,
    );
  }

  /** Throws what its machinery or its certificates lack. */
  protected async begin(): Promise<void> {
    try {
      await this.world.machinery.open(this.world);
      this.door.usePreparations(this.world.preparations.all());
      this.settleFaults();
      if (!this.world.faults.isSiteDark) await this.door.reopen();
      this.wake();
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  /** To be called after every change. */
  protected wake(): void {
    this.#sender.wake();
  }

  /** Where faults can be ordered, does what began and ended of them. */
  protected settleFaults(): void {}

  async readInventory(cursor: string | null): Promise<InventoryChanges> {
    const { vms, hosts, instanceId, machinery } = this.world;
    const [instance, number] = (cursor ?? '').split(' ');
    const since = Number(number);
    const full = instance !== instanceId || !Number.isSafeInteger(since) || since > vms.version;
    const from = full ? 0 : since;
    const now = this.world.clock.now();
    return {
      cursor: `${instanceId} ${vms.version}`,
      full,
      clouds: hosts.cloudsSince(from),
      networks: hosts.networksSince(from),
      vms: vms.changedSince(from).map((vm) => inventoryViewOf(vm, now, machinery.carry === undefined)),
      removedVms: full ? [] : vms.removedSince(from),
    };
  }

  async findVm(ref: VmRef): Promise<VmView | null> {
    const vm = this.world.vms.find(ref);
    return vm === null ? null : viewOf(vm);
  }

  async recoveryPoints(ref: VmRef): Promise<readonly RecoveryPoint[]> {
    return this.world.points.list(ref).map(({ id, at, kind }) => ({ id, at, kind }));
  }

  async findTestCopy(replica: VmRef): Promise<TestCopyView | null> {
    const copy = this.world.vms.testCopyOf(replica);
    return copy === null ? null : testCopyView(copy);
  }

  async networkExposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    return networkExposure(this.world, networkId);
  }

  async drillNetworks(): Promise<readonly DrillNetworkView[]> {
    return drillNetworks(this.world);
  }

  async replicationHosts(cloudId: CloudId): Promise<readonly ReplicationHost[]> {
    const cloud = this.world.hosts.cloud(cloudId);
    if (cloud === null) throw cloudNotFound('prepareHosts', cloudId);
    const { hosts } = this.world.definition;
    return cloud.hosts.map((host) => ({ host, dnsNames: hosts.find(({ name }) => name === host)?.dnsNames ?? [host] }));
  }

  prepareHosts(preparation: HostsPreparation, act: Act): Promise<{ readonly address: string }> {
    return this.#runner.run(prepareHostsWork(this.world, this.door, preparation), act);
  }

  releaseHosts(pairingId: PairingId, cloudId: CloudId, act: Act): Promise<void> {
    return this.#runner.run(releaseHostsWork(this.world, this.door, pairingId, cloudId), act);
  }

  enableReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(enableReplicationWork(this.world, ref, target, policy, this.#sender.createReplica), act);
  }

  startInitialReplication(ref: VmRef, firstCopy: FirstCopy, act: Act): Promise<void> {
    return this.#runner.run(startInitialReplicationWork(this.world, ref, firstCopy), act);
  }

  importInitialReplication(ref: VmRef, folder: string, act: Act): Promise<void> {
    return this.#runner.run(importInitialReplicationWork(this.world, ref, folder), act);
  }

  configureReplica(ref: VmRef, networks: readonly NetworkMapping[], act: Act): Promise<void> {
    return this.#runner.run(configureReplicaWork(this.world, ref, networks), act);
  }

  setReplicationPolicy(ref: VmRef, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(setReplicationPolicyWork(this.world, ref, policy, this.#sender.sendPolicy), act);
  }

  removeReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(removeReplicationWork(this.world, ref), act);
  }

  deleteVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(deleteVmWork(this.world, ref), act);
  }

  prepareFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(prepareFailoverWork(this.world, ref, this.#sender.sendLast), act);
  }

  startFailover(ref: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#runner.run(startFailoverWork(this.world, ref, recoveryPointId), act);
  }

  stopFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopFailoverWork(this.world, ref), act);
  }

  completeFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(completeFailoverWork(this.world, ref), act);
  }

  becomeReplica(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(becomeReplicaWork(this.world, ref), act);
  }

  reverseReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(reverseReplicationWork(this.world, ref, target, policy, this.#sender.askToReverse), act);
  }

  suspendReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(suspendReplicationWork(this.world, ref), act);
  }

  resumeReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(resumeReplicationWork(this.world, ref), act);
  }

  resynchronize(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(resynchronizeWork(this.world, ref), act);
  }

  startTestFailover(replica: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#runner.run(startTestFailoverWork(this.world, replica, recoveryPointId), act);
  }

  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void> {
    return this.#runner.run(makeDrillNetworkWork(this.world, drill, like), act);
  }

  removeDrillNetwork(drill: JobId, act: Act): Promise<void> {
    return this.#runner.run(removeDrillNetworkWork(this.world, drill), act);
  }

  connectTestCopy(replica: VmRef, networkId: NetworkId, act: Act): Promise<void> {
    return this.#runner.run(connectTestCopyWork(this.world, replica, networkId), act);
  }

  startTestVm(replica: VmRef, act: Act): Promise<void> {
    return this.#runner.run(startTestVmWork(this.world, replica), act);
  }

  stopTestFailover(replica: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopTestFailoverWork(this.world, replica), act);
  }

  stopVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopVmWork(this.world, ref), act);
  }

  startVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(startVmWork(this.world, ref), act);
  }

  async hostOf(ref: VmRef): Promise<string | null> {
    return this.world.vms.find(ref)?.host ?? null;
  }

  async addressesOf(ref: VmRef): Promise<readonly string[]> {
    return this.world.need(ref, 'startVm').adapters.flatMap(({ connected }) => connected?.address ?? []);
  }

  async guestAnswers(ref: VmRef): Promise<boolean> {
    const vm = this.world.need(ref, 'startVm');
    return vm.power === 'running' && (await this.world.machinery.guestAnswers(vm));
  }

  writeEpoch(ref: VmRef, epoch: number, act: Act): Promise<void> {
    return this.#runner.run(writeEpochWork(this.world, ref, epoch), act);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#sender.close();
    this.#runner.close();
    await this.door.close();
    await this.world.machinery.close();
    this.#database.close();
  }
}
