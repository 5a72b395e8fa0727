/**
 * Test failover: the test copy of a replica is made, connected, started and removed (hyperv/facts.md, section 3). The copy is a
 * VM of its own on the host of its replica; the record of the replica is never written here.
 */
import { explainNoPlace, pickPlace } from '../../../shared/domain/placement.ts';
import { type NetworkId, VmId, type VmRef } from '../../../shared/ids.ts';
import type { Act, TestCopyView } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './operation.ts';
import type { StoredPoint } from './recovery-points.ts';
import { cloudNotFound, cmdletClass, failed, hostDown, noRecoveryPoint, wrongState } from './refusals.ts';
import { mayBeTested } from './replication-states.ts';
import type { Work } from './task-runner.ts';
import { type Adapter, networkIdsOf, notReplicated, type TestCopyRecord, type VmRecord, vmRef } from './vm-record.ts';
import { needOf, type World } from './world.ts';

export function startTestFailoverWork(world: World, replica: VmRef, recoveryPointId: string | null): Work<void> {
  let id = '';
  const begin = (copyId: string) => {
    const vm = world.need(replica, 'startTestFailover');
    if (!mayBeTested(vm.replication)) throw wrongState('startTestFailover', vm, 'a replica that is replicating');
    if (world.vms.testCopyOf(replica) !== null) throw copyExists(vm);
    const points = world.points.list(replica);
    const point = recoveryPointId === null ? points[0] : points.find(({ id }) => id === recoveryPointId);
    if (point === undefined) throw noRecoveryPoint('startTestFailover', vm, recoveryPointId);
    const copy = copyOf(vm, point, VmId.parse(copyId), world.clock.now());
    refuseWithoutRoom(copy, world);
    return { copy, vm };
  };
  return {
    operation: 'startTestFailover',
    subject: replica,
    check: () => void begin(world.random.uuid()),
    async prepare() {
      id = world.random.uuid();
      const { copy, vm } = begin(id);
      await world.machinery.makeTestCopy(copy, vm);
    },
    effect() {
      const { copy } = begin(id);
      world.hosts.occupy(copy, 1);
      world.vms.add(copy);
    },
    lie: () => undefined,
  };
}

export function connectTestCopyWork(world: World, replica: VmRef, networkId: NetworkId): Work<void> {
  const begin = () => {
    const copy = needCopy(world, replica, 'connectTestCopy');
    if (copy.power !== 'off') throw wrongState('connectTestCopy', copy, 'a test copy that is off');
    const network = world.hosts.network(networkId);
    if (network === null) throw failed('ERR_NETWORK_NOT_FOUND', 'connectTestCopy', `the site has no VM network ${networkId}`);
    return { copy, subnet: network.subnets[0]?.name ?? '' };
  };
  return {
    operation: 'connectTestCopy',
    subject: replica,
    check: () => void begin(),
    effect() {
      const { copy, subnet } = begin();
      // The address of the failover, on another wire.
      const adapters = copy.adapters.map(
        (adapter): Adapter => ({ ...adapter, connected: adapter.planned === null ? null : { ...adapter.planned, networkId, subnet } }),
      );
      world.vms.put({ ...copy, adapters });
    },
    lie: () => undefined,
  };
}

export function startTestVmWork(world: World, replica: VmRef): Work<void> {
  const startable = () => {
    const copy = needCopy(world, replica, 'startTestVm');
    if (copy.power !== 'off') throw wrongState('startTestVm', copy, 'a test copy that is off');
    return copy;
  };
  return {
    operation: 'startTestVm',
    subject: replica,
    check: () => void startable(),
    prepare: () => world.machinery.start(startable()),
    effect(act) {
      const copy = startable();
      const now = world.clock.now();
      notePower(world, copy, 'on', 'startTestVm', act);
      const guestAnswersAt = now + world.machinery.guestStartMs(copy);
      world.vms.put({ ...copy, power: 'running', guestAnswersAt, written: { bytes: copy.written.bytes, at: now } });
    },
    lie: () => undefined,
  };
}

export function stopTestFailoverWork(world: World, replica: VmRef): Work<void> {
  const removable = () => needCopy(world, replica, 'stopTestFailover');
  return {
    operation: 'stopTestFailover',
    subject: replica,
    check: () => void removable(),
    async prepare() {
      await world.machinery.switchOff(removable());
      await world.machinery.remove(removable());
    },
    effect(act) {
      const copy = removable();
      if (copy.power === 'running') notePower(world, copy, 'off', 'stopTestFailover', act);
      world.hosts.occupy(copy, -1);
      world.vms.removeTestCopy(copy.ref);
    },
    lie: () => undefined,
  };
}

export function testCopyView({ ref, name, power, adapters, testCopy }: TestCopyRecord): TestCopyView {
  return { ref, name, power, networkIds: networkIdsOf(adapters), recoveryPoint: testCopy.point };
}

function copyOf(vm: VmRecord, { id, at, kind, writtenBytes }: StoredPoint, copyId: VmId, now: number): TestCopyRecord {
  return {
    ...vm,
    ref: vmRef(vm.ref.cloudId, copyId),
    name: `${vm.name} - Test`,
    // Differencing disks: they take room only as the copy writes.
    disks: [],
    adapters: vm.adapters.map((adapter): Adapter => ({ ...adapter, connected: null })),
    power: 'off',
    crashed: false,
    guestAnswersAt: null,
    written: { bytes: writtenBytes, at: now },
    epoch: 0,
    replication: { ...notReplicated, mode: 'testReplica' },
    testCopy: { replicaId: vm.ref.vmId, point: { id, at, kind } },
    dueAt: null,
  };
}

/** A copy stands on the host of its replica and nowhere else. */
function refuseWithoutRoom(copy: VmRecord, world: World): void {
  const cloud = world.hosts.cloud(copy.ref.cloudId);
  if (cloud === null) throw cloudNotFound('startTestFailover', copy.ref.cloudId);
  const rooms = world.hosts.rooms(cloud).filter(({ host }) => host === copy.host);
  const placement = pickPlace(needOf(copy, []), rooms);
  if (placement.kind === 'noPlace')
    throw failed('ERR_NO_PLACE', 'startTestFailover', `no room for '${copy.name}': ${explainNoPlace(placement.verdicts)}`);
}

function needCopy(world: World, replica: VmRef, operation: Operation): TestCopyRecord {
  const copy = world.vms.testCopyOf(replica);
  if (copy === null) {
    const message = `Virtual machine ${replica.vmId} has no test virtual machine.`;
    throw new FabricError('ERR_NO_TEST_COPY', 'InvalidOperation', cmdletClass(operation), message);
  }
  if (!world.hosts.isUp(copy.host)) throw hostDown(operation, copy.host);
  return copy;
}

function notePower(world: World, copy: VmRecord, change: 'on' | 'off', cause: 'startTestVm' | 'stopTestFailover', act: Act): void {
  const { commandId, epoch } = act;
  world.tasks.notePower({ at: world.clock.now(), host: copy.host, change, cause, commandId, epoch }, copy.ref);
}

function copyExists(vm: VmRecord): FabricError {
  const message = `A test virtual machine of '${vm.name}' exists already.`;
  return new FabricError('ERR_TEST_COPY_EXISTS', 'InvalidOperation', cmdletClass('startTestFailover'), message);
}
