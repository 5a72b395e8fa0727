/** The receiving side of replication: makes replicas and takes their points, for peers that a preparation authorises. */
import { FarshoreError, toFarshoreError } from '../../../shared/errors.ts';
import type { CloudId, VmRef } from '../../../shared/ids.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './operation.ts';
import { keptPoints } from './recovery-points.ts';
import { accessDenied, failed, wrongState } from './refusals.ts';
import type { ReplicationAnswer, ReplicationRequest, SentPoint } from './replication-frames.ts';
import type { ReplicationSource } from './replication-transport.ts';
import { reversalHere, reverseHere } from './reversal-operations.ts';
import { type Adapter, notReplicated, type VmRecord, vmRef } from './vm-record.ts';
import { needOf, type World } from './world.ts';

/** A replica that heard nothing for so long is in warning (hyperv/facts.md, section 3). */
export const STALE_AFTER_MS = 3_600_000;

type Refused = Extract<ReplicationAnswer, { type: 'done' }>['refused'][number];
type SiteMessage = Extract<ReplicationAnswer, { type: 'machinery' }>['message'];
type CreateReplicaRequest = Extract<ReplicationRequest, { type: 'createReplica' }>;

export class ReplicationReceiver {
  readonly #world: World;
  readonly #onChange: () => void;

  constructor(world: World, onChange: () => void) {
    this.#world = world;
    this.#onChange = onChange;
  }

  async receive(source: ReplicationSource, request: ReplicationRequest): Promise<ReplicationAnswer> {
    try {
      this.#refuseWhenDark();
      return await this.#answer(source, request);
    } catch (thrown) {
      return { type: 'refused', ...refusalOf(thrown) };
    } finally {
      this.#onChange();
    }
  }

  #answer(source: ReplicationSource, request: ReplicationRequest): ReplicationAnswer | Promise<ReplicationAnswer> {
    switch (request.type) {
      case 'createReplica':
        this.#world.transaction(() => this.#create(source, request));
        return { type: 'done', refused: [] };
      case 'setPolicy':
        this.#world.transaction(() => this.#setPolicy(source, request));
        return { type: 'done', refused: [] };
      case 'reverse':
        return this.#reverse(source, request);
      case 'machinery':
        return this.#askMachinery(source, request);
      case 'sendPoints':
        return this.#takeAll(source, request.points);
    }
  }

  #refuseWhenDark(): void {
    if (this.#world.faults.isSiteDark) throw new FarshoreError('ERR_PEER_UNREACHABLE', 'the site is dark');
  }

  #authorise(source: ReplicationSource, cloudId: CloudId): void {
    const isAuthorised = this.#world.preparations
      .all()
      .some((p) => p.pairingId === source.pairingId && p.cloudId === cloudId && p.peer.siteId === source.siteId);
    if (!isAuthorised) throw accessDenied('enableReplication', 'The replica server does not take replicas for that cloud from this site.');
  }

  #create(source: ReplicationSource, { cloudId, primaryCloudId, vm: spec, policy }: CreateReplicaRequest): void {
    const world = this.#world;
    this.#authorise(source, cloudId);
    const ref = vmRef(cloudId, spec.vmId);
    const existing = world.vms.find(ref);
    if (existing !== null) {
      const { replica, state } = existing.replication;
      // The primary died between the making of the replica and its own note of it, and asks again.
      if (state === 'waitingForInitialReplication' && replica?.siteId === source.siteId && replica.cloudId === primaryCloudId) return;
      throw wrongState('enableReplication', existing, 'a recovery site that has no VM of that id in the cloud');
    }
    const classifications = world.hosts.storageNames();
    // There is no storage map yet: a classification goes to the one of the same name, else to the first.
    const disks = spec.disks.map((disk) => ({
      ...disk,
      storage: classifications.includes(disk.storage) ? disk.storage : (classifications[0] ?? disk.storage),
    }));
    const now = world.clock.now();
    const blank: VmRecord = {
      ref,
      name: spec.name,
      host: world.place(cloudId, needOf({ ...spec, disks }, []), 'enableReplication'),
      cores: spec.cores,
      memoryBytes: spec.memoryBytes,
      disks,
      adapters: spec.adapters.map((source): Adapter => ({ connected: null, source, planned: null })),
      changeBytesPerSecond: spec.changeBytesPerSecond,
      traits: spec.traits,
      power: 'off',
      crashed: false,
      guestAnswersAt: null,
      written: { bytes: 0, at: now },
      epoch: 0,
      replication: notReplicated,
      dueAt: null,
    };
    const replica = {
      siteId: source.siteId,
      cloudId: primaryCloudId,
      pairingId: source.pairingId,
      lastReceivedAt: now,
      preparedPointId: null,
      failover: null,
    };
    const replication = { ...world.advance(blank, 'replicaCreated', 'enableReplication', 'no VM'), policy, replica };
    world.hosts.occupy(blank, 1);
    world.vms.add({ ...blank, replication });
  }

  #replicaOf(source: ReplicationSource, ref: VmRef, operation: Operation) {
    const vm = this.#world.need(ref, operation);
    const { replica, policy } = vm.replication;
    if (replica === null || policy === null || replica.siteId !== source.siteId || replica.pairingId !== source.pairingId)
      throw accessDenied(operation, `Virtual machine '${vm.name}' is not a replica of that primary.`);
    return { vm, replica, policy };
  }

  #setPolicy(source: ReplicationSource, { cloudId, vmId, policy }: Extract<ReplicationRequest, { type: 'setPolicy' }>): void {
    const { vm } = this.#replicaOf(source, vmRef(cloudId, vmId), 'setReplicationPolicy');
    this.#world.vms.put({ ...vm, replication: { ...vm.replication, policy } });
  }

  async #reverse(source: ReplicationSource, request: Extract<ReplicationRequest, { type: 'reverse' }>): Promise<ReplicationAnswer> {
    this.#authorise(source, request.cloudId);
    const { machinery } = this.#world;
    const ref = vmRef(request.cloudId, request.vmId);
    return machinery.inTurn(ref, async () => {
      const { vm, swapped } = reversalHere(this.#world, ref, source, request);
      if (swapped !== null) await machinery.becomeReplica(vm, request.failoverPointId);
      return this.#world.transaction(() => ({ type: 'reversed', ...reverseHere(this.#world, ref, source, request) }));
    });
  }

  async #askMachinery(
    source: ReplicationSource,
    { cloudId, vmId, message }: Extract<ReplicationRequest, { type: 'machinery' }>,
  ): Promise<ReplicationAnswer> {
    const { machinery } = this.#world;
    const ref = vmRef(cloudId, vmId);
    return machinery.inTurn(ref, async () => {
      const { vm } = this.#replicaOf(source, ref, 'startInitialReplication');
      const { state } = vm.replication;
      if (machinery.answer === undefined || (state !== 'waitingForInitialReplication' && state !== 'replicating'))
        throw wrongState('startInitialReplication', vm, 'a replica that takes changes');
      return { type: 'machinery', message: (await machinery.answer(vm, source, message)) as SiteMessage };
    });
  }

  async #takeAll(source: ReplicationSource, points: readonly SentPoint[]): Promise<ReplicationAnswer> {
    const refused: Refused[] = [];
    const refuse = ({ vmId, cloudId }: SentPoint, thrown: unknown) => void refused.push({ vmId, cloudId, ...refusalOf(thrown) });
    if (this.#world.machinery.seal !== undefined) {
      for (const point of points) await this.#sealOne(source, point).catch((thrown) => refuse(point, thrown));
      return { type: 'done', refused };
    }
    this.#world.transaction(() => {
      for (const point of points) {
        try {
          this.#takeOne(source, point);
        } catch (thrown) {
          refuse(point, thrown);
        }
      }
    });
    return { type: 'done', refused };
  }

  async #sealOne(source: ReplicationSource, point: SentPoint): Promise<void> {
    const { machinery, points } = this.#world;
    const ref = vmRef(point.cloudId, point.vmId);
    await machinery.inTurn(ref, async () => {
      const { vm, policy } = this.#takerOf(source, point);
      await machinery.seal?.(vm, point, keptPoints(point.isFirst ? [point] : [...points.list(ref), point], policy));
      this.#world.transaction(() => this.#takeOne(source, point));
    });
  }

  #takerOf(source: ReplicationSource, { cloudId, vmId, isFirst }: SentPoint) {
    const taker = this.#replicaOf(source, vmRef(cloudId, vmId), 'startInitialReplication');
    const { state } = taker.vm.replication;
    const isAwaited = state === 'waitingForInitialReplication' && isFirst;
    if (!isAwaited && state !== 'replicating') throw wrongState('startInitialReplication', taker.vm, 'a replica that takes changes');
    return { ...taker, isAwaited };
  }

  /** Throws before it changes anything. */
  #takeOne(source: ReplicationSource, sent: SentPoint): void {
    const world = this.#world;
    const { vm, replica, policy, isAwaited } = this.#takerOf(source, sent);
    const { cloudId: _cloudId, vmId: _vmId, isFirst, isPrepared, ...point } = sent;
    const { lastPointAt } = vm.replication;
    const replication = isAwaited
      ? world.advance(vm, 'firstPointReceived', 'startInitialReplication', 'a replica that waits')
      : vm.replication;
    const now = world.clock.now();
    if (isFirst) world.points.removeAll(vm.ref);
    world.points.add(vm.ref, point, policy);
    world.vms.put({
      ...vm,
      written: { bytes: point.writtenBytes, at: now },
      replication: {
        ...replication,
        health: 'normal',
        lastPointAt: Math.max(lastPointAt ?? 0, point.at),
        replica: { ...replica, lastReceivedAt: now, preparedPointId: isPrepared ? point.id : null },
      },
      dueAt: now + STALE_AFTER_MS,
    });
  }
}

function refusalOf(thrown: unknown) {
  const error =
    thrown instanceof FabricError ? thrown : failed(toFarshoreError(thrown).code, 'enableReplication', toFarshoreError(thrown).message);
  return { code: error.code, errorId: error.errorId, message: error.message.slice(0, 2000) };
}
