/**
 * Turning replication round after a failover, and comparing two copies that fell out of step (hyperv/facts.md, section 3).
 *
 * After a planned failover both copies are equal at one point, so the roles are swapped and nothing is copied. Else the
 * former primary becomes a replica first, and the first copy carries what either side wrote since the two were equal.
 */
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { ReplicaTarget } from '../fabric.ts';
import { wrongState } from './refusals.ts';
import type { ReplicationAnswer, ReplicationRequest } from './replication-frames.ts';
import type { ReplicationPeer } from './replication-transport.ts';
import type { Work } from './task-runner.ts';
import { type Adapter, type PrimaryPart, type ReplicaPart, type VmRecord, writtenBytesAt } from './vm-record.ts';
import type { World } from './world.ts';

export type Reversal = Omit<Extract<ReplicationRequest, { type: 'reverse' }>, 'type'>;
/** Has the former primary be the replica; throws its refusal. Asking twice changes nothing. */
export type AskToReverse = (peer: ReplicationPeer, reversal: Reversal) => Promise<Extract<ReplicationAnswer, { type: 'reversed' }>>;

export function becomeReplicaWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'becomeReplica');
    const replication = world.advance(vm, 'becameReplica', 'becomeReplica', 'a primary');
    if (vm.power !== 'off' || vm.replication.primary === null) throw wrongState('becomeReplica', vm, 'a primary that is off');
    return { vm, replication, primary: vm.replication.primary };
  };
  return {
    operation: 'becomeReplica',
    subject: ref,
    check: () => void begin(),
    prepare: () => world.machinery.becomeReplica(begin().vm, null),
    effect() {
      const { vm, replication, primary } = begin();
      world.vms.put({ ...asReplica(vm, world.clock.now()), replication: { ...replication, ...replicaParts(primary, world) } });
    },
    lie: () => undefined,
  };
}

export function reverseReplicationWork(
  world: World,
  ref: VmRef,
  target: ReplicaTarget,
  policy: ProtectionPolicy,
  ask: AskToReverse,
): Work<void> {
  let other = { isSwapped: false, writtenBytes: 0 };
  const begin = () => {
    const vm = world.need(ref, 'reverseReplication');
    const replication = world.advance(vm, other.isSwapped ? 'rolesSwapped' : 'reversed', 'reverseReplication', FAILED_OVER);
    const { replica } = vm.replication;
    if (replica?.failover == null) throw wrongState('reverseReplication', vm, FAILED_OVER);
    return { vm, replication, replica, failover: replica.failover };
  };
  return {
    operation: 'reverseReplication',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      const { replica, failover } = begin();
      const peer = { address: target.address, siteId: target.siteId, pairingId: replica.pairingId };
      const { cloudId } = target;
      const former = { cloudId, vmId: ref.vmId, primaryCloudId: ref.cloudId, failoverPointId: failover.recoveryPoint.id, policy };
      other = await ask(peer, former);
      await world.machinery.becomePrimary(begin().vm);
    },
    effect() {
      const { vm, replication, replica, failover } = begin();
      const now = world.clock.now();
      const since = (bytes: number) => Math.max(0, bytes - failover.writtenBytes);
      const primary: PrimaryPart = {
        target,
        pairingId: replica.pairingId,
        confirmedBytes: other.isSwapped ? failover.writtenBytes : 0,
        lastApplicationPointAt: null,
        preparedPointId: null,
        firstCopyBytes: since(writtenBytesAt(vm, now)) + since(other.writtenBytes),
      };
      const lastPointAt = other.isSwapped ? vm.replication.lastPointAt : null;
      world.points.removeAll(ref);
      world.vms.put({
        ...vm,
        replication: { ...replication, lastPointAt, policy, primary, replica: null },
        dueAt: other.isSwapped ? now : null,
      });
    },
    lie: () => undefined,
  };
}

const FAILED_OVER = 'a replica that was failed over';

/**
 * At the former primary: what its answer to the other side is, and whether it becomes the replica by it. Throws where it is neither prepared
 * for exactly that point nor a replica.
 */
export function reversalHere(world: World, ref: VmRef, peer: Omit<ReplicationPeer, 'address'>, reversal: Reversal) {
  const vm = world.need(ref, 'reverseReplication');
  const { mode, state, primary, replica, lastPointAt } = vm.replication;
  const isOf = (siteId: string | undefined, cloudId: string | undefined) => siteId === peer.siteId && cloudId === reversal.primaryCloudId;
  const writtenBytes = vm.written.bytes;
  if (
    mode === 'replica' &&
    isOf(replica?.siteId, replica?.cloudId) &&
    (state === 'waitingForInitialReplication' || state === 'replicating')
  )
    return { vm, answer: { isSwapped: state === 'replicating', writtenBytes }, swapped: null };
  const isPrepared = state === 'preparedForFailover' && primary?.preparedPointId === reversal.failoverPointId;
  if (!isPrepared || primary === null || lastPointAt === null || !isOf(primary.target.siteId, primary.target.cloudId))
    throw wrongState('reverseReplication', vm, 'a former primary that is prepared for that failover or was made a replica');
  const replication = world.advance(vm, 'rolesSwapped', 'reverseReplication', 'a primary prepared for a failover');
  const { policy } = reversal;
  const swapped = {
    ...asReplica(vm, world.clock.now()),
    replication: { ...replication, ...replicaParts(primary, world), policy, lastPointAt },
  };
  return { vm, answer: { isSwapped: true, writtenBytes }, swapped };
}

/** ... and that it is done. */
export function reverseHere(world: World, ref: VmRef, peer: Omit<ReplicationPeer, 'address'>, reversal: Reversal) {
  const { vm, answer, swapped } = reversalHere(world, ref, peer, reversal);
  if (swapped === null) return answer;
  const at = swapped.replication.lastPointAt;
  const point = { id: reversal.failoverPointId, at, kind: 'crashConsistent', writtenBytes: vm.written.bytes } as const;
  world.points.add(ref, point, reversal.policy);
  world.vms.put(swapped);
  return answer;
}

export function resynchronizeWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'resynchronize');
    const needed = 'a primary that waits to be resynchronized';
    return { vm, replication: world.advance(vm, 'resynchronizationStarted', 'resynchronize', needed) };
  };
  return {
    operation: 'resynchronize',
    subject: ref,
    check: () => void begin(),
    effect() {
      const { vm, replication } = begin();
      const now = world.clock.now();
      const differing = writtenBytesAt(vm, now) - (vm.replication.primary?.confirmedBytes ?? 0);
      world.vms.put({ ...vm, replication, dueAt: now + world.machinery.copyMs(Math.max(0, differing)) });
    },
    lie: () => undefined,
  };
}

/** Unconnected, as a replica is; a failover back connects it as it was. */
function asReplica(vm: VmRecord, now: number): VmRecord {
  const adapters = vm.adapters.map(
    ({ connected, source, planned }): Adapter => ({ connected: null, source, planned: connected ?? planned }),
  );
  return { ...vm, adapters, written: { bytes: vm.written.bytes, at: now }, dueAt: null };
}

function replicaParts({ target, pairingId }: PrimaryPart, world: World) {
  const replica: ReplicaPart = {
    siteId: target.siteId,
    cloudId: target.cloudId,
    pairingId,
    lastReceivedAt: world.clock.now(),
    preparedPointId: null,
    failover: null,
  };
  return { primary: null, replica, lastPointAt: null };
}
