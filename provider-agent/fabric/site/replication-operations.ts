/** Setting replication up and taking it away, on the primary and on the replica (hyperv/facts.md, section 3). */
import { chooseAdapter, mappedNetwork } from '../../../shared/domain/network-map.ts';
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { NetworkMapping, ReplicaTarget } from '../fabric.ts';
import { accessDenied, failed, notApplicable, wrongState } from './refusals.ts';
import type { ReplicaSpec } from './replication-frames.ts';
import type { ReplicationPeer } from './replication-transport.ts';
import type { Work } from './task-runner.ts';
import { type Adapter, notReplicated, type PrimaryPart, type VmRecord } from './vm-record.ts';
import { needOf, type World } from './world.ts';

/** Has the replica made at the other side; throws its refusal. Making it twice for the same primary changes nothing. */
export type CreateReplica = (
  peer: ReplicationPeer,
  vm: ReplicaSpec,
  primary: VmRef,
  target: ReplicaTarget,
  policy: ProtectionPolicy,
) => Promise<void>;

export function enableReplicationWork(
  world: World,
  ref: VmRef,
  target: ReplicaTarget,
  policy: ProtectionPolicy,
  createReplica: CreateReplica,
): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'enableReplication');
    const replication = world.advance(vm, 'enabled', 'enableReplication', 'a VM that does not replicate');
    const preparation = world.preparations
      .all()
      .find((p) => p.cloudId === ref.cloudId && p.peer.siteId === target.siteId && p.peer.cloudId === target.cloudId);
    if (preparation === undefined)
      throw accessDenied('enableReplication', `The hosts of the cloud of '${vm.name}' are not prepared to send replicas to that site.`);
    return { vm, replication, pairingId: preparation.pairingId };
  };
  return {
    operation: 'enableReplication',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      const { vm, pairingId } = begin();
      await createReplica({ address: target.address, siteId: target.siteId, pairingId }, specOf(vm, world), ref, target, policy);
    },
    effect() {
      const { vm, replication, pairingId } = begin();
      const primary = { target, pairingId, confirmedBytes: 0, lastApplicationPointAt: null, preparedPointId: null, firstCopyBytes: null };
      world.vms.put({ ...vm, replication: { ...replication, policy, primary, replica: null, lastPointAt: null } });
    },
    lie: () => undefined,
  };
}

/** Networks and addresses for the day of the failover. A replica on a host that does not reach them moves to one that does. */
export function configureReplicaWork(world: World, ref: VmRef, networks: readonly NetworkMapping[]): Work<void> {
  const configurable = (): VmRecord => {
    const vm = world.need(ref, 'configureReplica');
    const { mode, state } = vm.replication;
    if (mode !== 'replica' || state === 'failedOver' || state === 'failedOverWaitingCompletion')
      throw wrongState('configureReplica', vm, 'a replica that is not failed over');
    return vm;
  };
  return {
    operation: 'configureReplica',
    subject: ref,
    check: () => void configurable(),
    effect() {
      const vm = configurable();
      world.addresses.release(ref);
      const adapters = vm.adapters.map((adapter) => plan(world, ref, adapter, networks));
      const networkIds = adapters.flatMap(({ planned }) => (planned === null ? [] : [planned.networkId]));
      const cloud = world.hosts.cloud(ref.cloudId);
      const room = cloud === null ? undefined : world.hosts.rooms(cloud, vm).find(({ host }) => host === vm.host);
      const host = networkIds.every((id) => room?.networkIds.includes(id))
        ? vm.host
        : world.place(ref.cloudId, needOf(vm, networkIds), 'configureReplica', vm);
      world.hosts.occupy(vm, -1);
      const placed = { ...vm, host, adapters };
      world.hosts.occupy(placed, 1);
      world.vms.put(placed);
    },
    lie: () => undefined,
  };
}

/** Has the replica keep to the policy; throws its refusal. */
export type SendPolicy = (primary: PrimaryPart, vmId: VmRef['vmId'], policy: ProtectionPolicy) => Promise<void>;

export function setReplicationPolicyWork(world: World, ref: VmRef, policy: ProtectionPolicy, sendPolicy: SendPolicy): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'setReplicationPolicy');
    if (vm.replication.primary === null) throw notApplicable('setReplicationPolicy', vm);
    return { vm, primary: vm.replication.primary };
  };
  return {
    operation: 'setReplicationPolicy',
    subject: ref,
    check: () => void begin(),
    prepare: () => sendPolicy(begin().primary, ref.vmId, policy),
    effect() {
      const { vm } = begin();
      const dueAt = vm.dueAt === null ? null : Math.min(vm.dueAt, world.clock.now() + policy.copyFrequencySeconds * 1000);
      world.vms.put({ ...vm, replication: { ...vm.replication, policy }, dueAt });
    },
    lie: () => undefined,
  };
}

export function removeReplicationWork(world: World, ref: VmRef): Work<void> {
  const begin = (): VmRecord => {
    const vm = world.need(ref, 'removeReplication');
    if (vm.replication.mode === 'none') throw notApplicable('removeReplication', vm);
    world.advance(vm, 'removed', 'removeReplication', 'a VM that replicates');
    return vm;
  };
  return {
    operation: 'removeReplication',
    subject: ref,
    check: () => void begin(),
    prepare: () => world.machinery.endReplication(begin()),
    effect() {
      const vm = begin();
      world.points.removeAll(ref);
      world.vms.put({ ...vm, replication: notReplicated, dueAt: null });
    },
    lie: () => undefined,
  };
}

function plan(world: World, ref: VmRef, adapter: Adapter, networks: readonly NetworkMapping[]): Adapter {
  // It has its own place here, from before it was a replica.
  if (adapter.source === null) {
    const { planned } = adapter;
    if (planned?.address != null) world.addresses.reserve(planned.networkId, planned.address, ref);
    return adapter;
  }
  const to = mappedNetwork(networks, adapter.source.networkId);
  const network = to === null ? null : world.hosts.network(to);
  if (to !== null && network === null) throw failed('ERR_NETWORK_NOT_FOUND', 'configureReplica', `the site has no VM network ${to}`);
  const choice = chooseAdapter(adapter.source, network, to === null ? () => false : world.addresses.takenIn(to));
  if (choice.kind === 'noAddress') {
    const why = {
      noSubnet: 'has no subnet of the family of its address',
      noPool: 'has no static pool',
      poolUsedUp: 'has no free address in its static pool',
    }[choice.why];
    throw failed(
      'ERR_NO_ADDRESS',
      'configureReplica',
      `the network ${choice.network}${choice.subnet === null ? '' : `, subnet ${choice.subnet},`} ${why}`,
    );
  }
  if (choice.kind === 'unconnected') return { ...adapter, planned: null };
  if (choice.target.address !== null) world.addresses.reserve(choice.target.networkId, choice.target.address, ref);
  return { ...adapter, planned: choice.target };
}

function specOf(vm: VmRecord, world: World): ReplicaSpec {
  return {
    vmId: vm.ref.vmId,
    name: vm.name,
    cores: vm.cores,
    memoryBytes: vm.memoryBytes,
    disks: vm.disks.map((disk) => ({ ...disk })),
    adapters: vm.adapters.flatMap(({ connected }) =>
      connected === null ? [] : [{ networkId: connected.networkId, subnet: connected.subnet, address: connected.address }],
    ),
    changeBytesPerSecond: vm.changeBytesPerSecond,
    traits: world.machinery.traitsForReplica(vm) as ReplicaSpec['traits'],
  };
}
