/** The receiving side of replication: makes replicas and takes their points, for peers that a preparation authorises. */
import { FarshoreError, toFarshoreError } from '../../../shared/errors.ts';
import type { CloudId, VmRef } from '../../../shared/ids.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './fault.ts';
import { accessDenied, failed, wrongState } from './refusals.ts';
import type { ReplicationAnswer, ReplicationRequest, SentPoint } from './replication-frames.ts';
import type { ReplicationSource } from './replication-transport.ts';
import { reverseHere } from './reversal-operations.ts';
import { type Adapter, notReplicated, type VmRecord, vmRef } from './vm-record.ts';
import { needOf, type World } from './world.ts';

/** A replica that heard nothing for so long is in warning (hyperv/facts.md, section 3). */
export const STALE_AFTER_MS = 3_600_000;

type CreateReplicaRequest = Extract<ReplicationRequest, { type: 'createReplica' }>;

export class ReplicationReceiver {
  readonly #world: World;
  readonly #onChange: () => void;

  constructor(world: World, onChange: () => void) {
    this.#world = world;
    this.#onChange = onChange;
  }

  receive(source: ReplicationSource, request: ReplicationRequest): ReplicationAnswer {
    try {
      this.#refuseWhenDark();
      if (request.type === 'createReplica') {
        this.#world.transaction(() => this.#create(source, request));
        return { type: 'done', refused: [] };
      }
      if (request.type === 'setPolicy') {
        this.#world.transaction(() => this.#setPolicy(source, request));
        return { type: 'done', refused: [] };
      }
      if (request.type === 'reverse') {
        this.#authorise(source, request.cloudId);
        return this.#world.transaction(() => ({
          type: 'reversed',
          ...reverseHere(this.#world, vmRef(request.cloudId, request.vmId), source, request),
        }));
      }
      return { type: 'done', refused: this.#take(source, request.points) };
    } catch (thrown) {
      return { type: 'refused', ...refusalOf(thrown) };
    } finally {
      this.#onChange();
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
      guestStart: null,
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

  #take(source: ReplicationSource, points: readonly SentPoint[]): Extract<ReplicationAnswer, { type: 'done' }>['refused'] {
    return this.#world.transaction(() =>
      points.flatMap((point) => {
        try {
          this.#takeOne(source, point);
          return [];
        } catch (thrown) {
          return [{ vmId: point.vmId, cloudId: point.cloudId, ...refusalOf(thrown) }];
        }
      }),
    );
  }

  /** Throws before it changes anything. */
  #takeOne(source: ReplicationSource, { cloudId, vmId, isFirst, isPrepared, ...point }: SentPoint): void {
    const world = this.#world;
    const { vm, replica, policy } = this.#replicaOf(source, vmRef(cloudId, vmId), 'startInitialReplication');
    const { state, lastPointAt } = vm.replication;
    const isAwaited = state === 'waitingForInitialReplication' && isFirst;
    if (!isAwaited && state !== 'replicating') throw wrongState('startInitialReplication', vm, 'a replica that takes changes');
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
