/**
 * A whole site in one object: clouds, hosts, storage, networks and VMs that obey the rules of Hyper-V Replica. It is a
 * product part, for the demo, development, tests and rehearsals on a laptop. All it knows is in its database, written
 * the instant it happens, so a killed process finds its site again exactly as the kill left it.
 */
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
import { openDatabase, type SqliteDatabase } from './database.ts';
import { drillNetworks, makeDrillNetworkWork, networkExposure, removeDrillNetworkWork } from './drill-networks.ts';
import { connectTestCopyWork, startTestFailoverWork, startTestVmWork, stopTestFailoverWork, testCopyView } from './drill-operations.ts';
import { completeFailoverWork, prepareFailoverWork, startFailoverWork, stopFailoverWork } from './failover-operations.ts';
import type { FaultDesk } from './fault-desk.ts';
import { prepareHostsWork, releaseHostsWork } from './host-operations.ts';
import type { SimulatedPoint } from './recovery-points.ts';
import { cloudNotFound } from './refusals.ts';
import { type ListenAt, ReplicationDoor } from './replication-door.ts';
import { ReplicationAnswer, ReplicationRequest } from './replication-frames.ts';
import {
  configureReplicaWork,
  enableReplicationWork,
  removeReplicationWork,
  setReplicationPolicyWork,
  startInitialReplicationWork,
} from './replication-operations.ts';
import { ReplicationReceiver } from './replication-receiver.ts';
import { ReplicationSender } from './replication-sender.ts';
import type { ReplicationTransport } from './replication-transport.ts';
import { becomeReplicaWork, resynchronizeWork, reverseReplicationWork } from './reversal-operations.ts';
import type { SiteDefinition, VmDefinition } from './site-definition.ts';
import type { PowerChange, TaskEntry } from './task-log.ts';
import { TaskRunner } from './task-runner.ts';
import { deleteVmWork, startVmWork, stopVmWork, writeEpochWork } from './vm-operations.ts';
import { type Adapter, type VmRecord, viewOf, writtenBytesAt } from './vm-record.ts';
import { World } from './world.ts';

export interface SimulatedSiteOptions {
  readonly definition: SiteDefinition;
  /** A path, or `:memory:`. */
  readonly databaseFile: string;
  readonly clock: Clock;
  readonly random: Random;
  /** In place of the listen address of the definition. */
  readonly replicationListen?: ListenAt;
  /** Without one: mutual TLS. */
  readonly transport?: ReplicationTransport;
}

/** What Measure-VMReplication tells of a primary, and what the VM wrote so far. */
export interface ReplicationMeasure {
  readonly writtenBytes: number;
  readonly pendingBytes: number;
  readonly lagMs: number | null;
}

const LOOK_FOR_FAULTS_MS = 500;

export class SimulatedSite implements Fabric {
  readonly #database: SqliteDatabase;
  readonly #world: World;
  readonly #runner: TaskRunner;
  readonly #sender: ReplicationSender;
  readonly #door: ReplicationDoor;
  #isClosed = false;

  private constructor({ definition, databaseFile, clock, random, replicationListen, transport: given }: SimulatedSiteOptions) {
    this.#database = openDatabase(databaseFile);
    const transport = given ?? new TlsTransport(clock, { request: ReplicationRequest, answer: ReplicationAnswer });
    let isReady = false;
    this.#world = new World(this.#database, definition, clock, random, () => {
      if (isReady) this.#settleFaults();
    });
    const wake = () => this.#sender.wake();
    const receiver = new ReplicationReceiver(this.#world, wake);
    this.#sender = new ReplicationSender(
      this.#world,
      transport,
      () => this.#settleFaults(),
      databaseFile === ':memory:' ? null : LOOK_FOR_FAULTS_MS,
    );
    this.#runner = new TaskRunner(this.#world, () => this.#settleFaults(), wake);
    this.#door = new ReplicationDoor(
      this.#world,
      transport,
      (source, request) => receiver.receive(source, request),
      replicationListen ?? definition.replication.listen,
    );
    isReady = true;
  }

  static async open(options: SimulatedSiteOptions): Promise<SimulatedSite> {
    const site = new SimulatedSite(options);
    try {
      site.#door.usePreparations(site.#world.preparations.all());
      site.#settleFaults();
      if (!site.#world.faults.isSiteDark) await site.#door.reopen();
      site.#sender.wake();
      return site;
    } catch (thrown) {
      await site.close();
      throw thrown;
    }
  }

  /** Where faults are ordered and seen. */
  get faults(): FaultDesk {
    return this.#world.faults;
  }

  async readInventory(cursor: string | null): Promise<InventoryChanges> {
    const { vms, hosts, instanceId } = this.#world;
    const [instance, number] = (cursor ?? '').split(' ');
    const since = Number(number);
    const full = instance !== instanceId || !Number.isSafeInteger(since) || since > vms.version;
    const from = full ? 0 : since;
    return {
      cursor: `${instanceId} ${vms.version}`,
      full,
      clouds: hosts.cloudsSince(from),
      networks: hosts.networksSince(from),
      vms: vms.changedSince(from).map(viewOf),
      removedVms: full ? [] : vms.removedSince(from),
    };
  }

  async findVm(ref: VmRef): Promise<VmView | null> {
    const vm = this.#world.vms.find(ref);
    return vm === null ? null : viewOf(vm);
  }

  async recoveryPoints(ref: VmRef): Promise<readonly RecoveryPoint[]> {
    return this.#world.points.list(ref).map(({ id, at, kind }) => ({ id, at, kind }));
  }

  async findTestCopy(replica: VmRef): Promise<TestCopyView | null> {
    const copy = this.#world.vms.testCopyOf(replica);
    return copy === null ? null : testCopyView(copy);
  }

  async networkExposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    return networkExposure(this.#world, networkId);
  }

  async drillNetworks(): Promise<readonly DrillNetworkView[]> {
    return this.madeForDrills();
  }

  async replicationHosts(cloudId: CloudId): Promise<readonly ReplicationHost[]> {
    const cloud = this.#world.hosts.cloud(cloudId);
    if (cloud === null) throw cloudNotFound('prepareHosts', cloudId);
    const domain = this.#world.definition.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    return cloud.hosts.map((host) => ({ host, dnsNames: [`${host}.${domain}.example`] }));
  }

  prepareHosts(preparation: HostsPreparation, act: Act): Promise<{ readonly address: string }> {
    return this.#runner.run(prepareHostsWork(this.#world, this.#door, preparation), act);
  }

  releaseHosts(pairingId: PairingId, cloudId: CloudId, act: Act): Promise<void> {
    return this.#runner.run(releaseHostsWork(this.#world, this.#door, pairingId, cloudId), act);
  }

  enableReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(enableReplicationWork(this.#world, ref, target, policy, this.#sender.createReplica), act);
  }

  startInitialReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(startInitialReplicationWork(this.#world, ref), act);
  }

  configureReplica(ref: VmRef, networks: readonly NetworkMapping[], act: Act): Promise<void> {
    return this.#runner.run(configureReplicaWork(this.#world, ref, networks), act);
  }

  setReplicationPolicy(ref: VmRef, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(setReplicationPolicyWork(this.#world, ref, policy, this.#sender.sendPolicy), act);
  }

  removeReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(removeReplicationWork(this.#world, ref), act);
  }

  deleteVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(deleteVmWork(this.#world, ref), act);
  }

  prepareFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(prepareFailoverWork(this.#world, ref, this.#sender.sendLast), act);
  }

  startFailover(ref: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#runner.run(startFailoverWork(this.#world, ref, recoveryPointId), act);
  }

  stopFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopFailoverWork(this.#world, ref), act);
  }

  completeFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(completeFailoverWork(this.#world, ref), act);
  }

  becomeReplica(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(becomeReplicaWork(this.#world, ref), act);
  }

  reverseReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#runner.run(reverseReplicationWork(this.#world, ref, target, policy, this.#sender.askToReverse), act);
  }

  resynchronize(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(resynchronizeWork(this.#world, ref), act);
  }

  startTestFailover(replica: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#runner.run(startTestFailoverWork(this.#world, replica, recoveryPointId), act);
  }

  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void> {
    return this.#runner.run(makeDrillNetworkWork(this.#world, drill, like), act);
  }

  removeDrillNetwork(drill: JobId, act: Act): Promise<void> {
    return this.#runner.run(removeDrillNetworkWork(this.#world, drill), act);
  }

  connectTestCopy(replica: VmRef, networkId: NetworkId, act: Act): Promise<void> {
    return this.#runner.run(connectTestCopyWork(this.#world, replica, networkId), act);
  }

  startTestVm(replica: VmRef, act: Act): Promise<void> {
    return this.#runner.run(startTestVmWork(this.#world, replica), act);
  }

  stopTestFailover(replica: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopTestFailoverWork(this.#world, replica), act);
  }

  stopVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(stopVmWork(this.#world, ref), act);
  }

  startVm(ref: VmRef, act: Act): Promise<void> {
    return this.#runner.run(startVmWork(this.#world, ref), act);
  }

  async hostOf(ref: VmRef): Promise<string | null> {
    return this.#world.vms.find(ref)?.host ?? null;
  }

  async addressesOf(ref: VmRef): Promise<readonly string[]> {
    return this.#world.need(ref, 'startVm').adapters.flatMap(({ connected }) => connected?.address ?? []);
  }

  async guestAnswers(ref: VmRef): Promise<boolean> {
    const vm = this.#world.need(ref, 'startVm');
    return vm.power === 'running' && vm.guestAnswersAt !== null && this.#world.clock.now() >= vm.guestAnswersAt;
  }

  writeEpoch(ref: VmRef, epoch: number, act: Act): Promise<void> {
    return this.#runner.run(writeEpochWork(this.#world, ref, epoch), act);
  }

  /** Whether a host of the site answers. */
  isUp(host: string): boolean {
    this.#settleFaults();
    return this.#world.hosts.isUp(host);
  }

  /** Somebody makes a VM at the site while it runs. */
  addVm(definition: VmDefinition): void {
    this.#world.addVm(definition);
  }

  /** Somebody tags it while the site runs. */
  tagVm(ref: VmRef, tags: readonly string[]): void {
    this.#world.tag(ref, tags);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sender.close();
    this.#runner.close();
    await this.#door.close();
    this.#database.close();
  }

  /** Every task that the site was asked for, oldest first. */
  taskLog(): readonly TaskEntry[] {
    return this.#world.tasks.tasks();
  }

  /** Every time a VM went on or off, and why. */
  powerLog(): readonly PowerChange[] {
    return this.#world.tasks.powerChanges();
  }

  /** Recovery points with what the primary had written by then. Newest first. */
  pointsWithContent(ref: VmRef): readonly SimulatedPoint[] {
    return this.#world.points.list(ref);
  }

  /** Every test copy that is there, by the id of its replica. */
  testCopies(): ReadonlyMap<string, TestCopyView> {
    return new Map(this.#world.vms.testCopies().map((copy) => [copy.testCopy.replicaId, testCopyView(copy)] as const));
  }

  madeForDrills(): readonly DrillNetworkView[] {
    return drillNetworks(this.#world);
  }

  /** Adapters with networks and addresses, which the port does not show. */
  adapters(ref: VmRef): readonly Adapter[] {
    return this.#world.need(ref, 'configureReplica').adapters;
  }

  measureReplication(ref: VmRef): ReplicationMeasure | null {
    const vm: VmRecord | null = this.#world.vms.find(ref);
    if (vm === null) return null;
    const now = this.#world.clock.now();
    const writtenBytes = writtenBytesAt(vm, now);
    const { primary, lastPointAt } = vm.replication;
    return {
      writtenBytes,
      pendingBytes: primary === null ? 0 : writtenBytes - primary.confirmedBytes,
      lagMs: lastPointAt === null ? null : now - lastPointAt,
    };
  }

  #settleFaults(): void {
    if (this.#isClosed) return;
    const { began, ended } = this.#world.faults.settle();
    if (began.length === 0 && ended.length === 0) return;
    for (const fault of began) {
      if (fault.kind === 'hostDies') this.#world.hostDies(fault.host);
      if (fault.kind === 'siteDark') this.#door.closeSoon();
    }
    for (const fault of ended) {
      if (fault.kind === 'hostDies') this.#world.hostReturns(fault.host);
      // Where the port is taken meanwhile the site stays dark for replicas: its peers say so.
      if (fault.kind === 'siteDark') void this.#door.reopen().catch(() => undefined);
    }
    this.#sender.wake();
  }
}
