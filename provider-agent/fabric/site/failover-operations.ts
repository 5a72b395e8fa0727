/** Failover of a replica, with its primary prepared or not, taking it back, and giving up the way back (hyperv/facts.md, section 3). */
import type { CommandId, VmRef } from '../../../shared/ids.ts';
import type { RecoveryPoint } from '../fabric.ts';
import type { StoredPoint } from './recovery-points.ts';
import { noRecoveryPoint, wrongState } from './refusals.ts';
import type { Work } from './task-runner.ts';
import type { Adapter, ReplicaPart, VmRecord } from './vm-record.ts';
import type { World } from './world.ts';

/** Has all that a primary wrote arrive at its replica; throws the refusal. Answers the moment of the point that was made. */
export type SendLast = (vm: VmRecord) => Promise<{ readonly id: string; readonly at: number; readonly writtenBytes: number }>;

export function prepareFailoverWork(world: World, ref: VmRef, sendLast: SendLast): Work<void> {
  let sent = { id: '', at: 0, writtenBytes: 0 };
  const begin = () => {
    const vm = world.need(ref, 'prepareFailover');
    const replication = world.advance(vm, 'failoverPrepared', 'prepareFailover', 'a primary that is off and replicating');
    if (vm.power !== 'off' || replication.primary === null)
      throw wrongState('prepareFailover', vm, 'a primary that is off and replicating');
    return { vm, replication, primary: replication.primary };
  };
  return {
    operation: 'prepareFailover',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      sent = await sendLast(begin().vm);
    },
    effect() {
      const { vm, replication, primary } = begin();
      const confirmedBytes = Math.max(primary.confirmedBytes, sent.writtenBytes);
      const confirmed = { ...primary, confirmedBytes, preparedPointId: sent.id };
      world.vms.put({ ...vm, replication: { ...replication, lastPointAt: sent.at, primary: confirmed }, dueAt: null });
    },
    lie: () => undefined,
  };
}

export function startFailoverWork(world: World, ref: VmRef, recoveryPointId: string | null): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'startFailover');
    const replication = world.advance(vm, 'failoverStarted', 'startFailover', 'a replica that is replicating');
    const points = world.points.list(ref);
    const point = recoveryPointId === null ? points[0] : points.find(({ id }) => id === recoveryPointId);
    if (point === undefined) throw noRecoveryPoint('startFailover', vm, recoveryPointId);
    return { vm, replication, point };
  };
  return {
    operation: 'startFailover',
    subject: ref,
    check: () => void begin(),
    async prepare({ commandId }) {
      const { vm, point } = begin();
      await world.machinery.writeNote(vm, { epoch: vm.epoch, failover: { commandId, recoveryPoint: withoutContent(point) } });
      await world.machinery.failOver(vm, point);
    },
    effect({ commandId }) {
      const { vm, replication, point } = begin();
      world.vms.put({
        ...vm,
        adapters: vm.adapters.map((adapter): Adapter => ({ ...adapter, connected: adapter.planned })),
        written: writtenIn(point, world),
        replication: { ...replication, replica: withFailover(vm, point, commandId) },
        dueAt: null,
      });
    },
    lie: () => undefined,
  };
}

/** Turns a replica off when it runs: what it wrote since the failover is lost, as with the cmdlet. A prepared primary goes on replicating. */
export function stopFailoverWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'stopFailover');
    return { vm, replication: world.advance(vm, 'failoverStopped', 'stopFailover', 'a failover that was begun and not completed') };
  };
  return {
    operation: 'stopFailover',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      const { vm } = begin();
      if (vm.replication.primary !== null) return;
      await world.machinery.switchOff(vm);
      await world.machinery.takeBack(vm);
      await world.machinery.writeNote(vm, { epoch: vm.epoch, failover: null });
    },
    effect(act) {
      const { vm, replication } = begin();
      const now = world.clock.now();
      if (replication.primary !== null) {
        const primary = { ...replication.primary, preparedPointId: null };
        return world.vms.put({ ...vm, replication: { ...replication, primary }, dueAt: now });
      }
      if (vm.power === 'running')
        world.tasks.notePower(
          { at: now, host: vm.host, change: 'off', cause: 'stopFailover', commandId: act.commandId, epoch: act.epoch },
          ref,
        );
      const newest = world.points.list(ref)[0];
      world.vms.put({
        ...vm,
        power: 'off',
        guestAnswersAt: null,
        adapters: vm.adapters.map((adapter): Adapter => ({ ...adapter, connected: null })),
        written: newest === undefined ? vm.written : writtenIn(newest, world),
        replication: { ...replication, replica: notFailedOver(vm) },
        dueAt: now,
      });
    },
    lie: () => undefined,
  };
}

export function completeFailoverWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'completeFailover');
    return {
      vm,
      replication: world.advance(vm, 'failoverCompleted', 'completeFailover', 'a replica that was failed over and not completed'),
    };
  };
  return {
    operation: 'completeFailover',
    subject: ref,
    check: () => void begin(),
    prepare: () => world.machinery.commit(begin().vm),
    effect() {
      const { vm, replication } = begin();
      world.points.removeAll(ref);
      world.vms.put({ ...vm, replication });
    },
    lie: () => undefined,
  };
}

function writtenIn(point: StoredPoint, world: World): VmRecord['written'] {
  return { bytes: point.writtenBytes, at: world.clock.now() };
}

function withFailover({ replication: { replica } }: VmRecord, point: StoredPoint, commandId: CommandId): ReplicaPart | null {
  if (replica === null) return null;
  const { id, writtenBytes } = point;
  return {
    ...replica,
    failover: { commandId, recoveryPoint: withoutContent(point), writtenBytes, isPlanned: id === replica.preparedPointId },
  };
}

function withoutContent({ id, at, kind }: StoredPoint): RecoveryPoint {
  return { id, at, kind };
}

function notFailedOver({ replication: { replica } }: VmRecord): ReplicaPart | null {
  return replica && { ...replica, failover: null };
}
