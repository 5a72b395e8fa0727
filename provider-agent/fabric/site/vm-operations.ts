/** What is done to a VM itself: shut it down, start it, delete it, write its epoch. */
import type { VmRef } from '../../../shared/ids.ts';
import { wrongState } from './refusals.ts';
import { mayStart } from './replication-states.ts';
import type { Work } from './task-runner.ts';
import { noteOf, settleWritten, type VmRecord } from './vm-record.ts';
import type { World } from './world.ts';

export function startVmWork(world: World, ref: VmRef): Work<void> {
  const startable = (): VmRecord => {
    const vm = world.need(ref, 'startVm');
    if (vm.power !== 'off' || !mayStart(vm.replication)) throw wrongState('startVm', vm, 'a VM that is off and not a replica at rest');
    return vm;
  };
  return {
    operation: 'startVm',
    subject: ref,
    check: () => void startable(),
    prepare: () => world.machinery.start(startable()),
    effect(act) {
      const vm = startable();
      const now = world.clock.now();
      world.tasks.notePower({ at: now, host: vm.host, change: 'on', cause: 'startVm', commandId: act.commandId, epoch: act.epoch }, ref);
      world.vms.put({
        ...vm,
        power: 'running',
        guestAnswersAt: now + world.machinery.guestStartMs(vm),
        written: { bytes: vm.written.bytes, at: now },
      });
    },
    lie: () => undefined,
  };
}

export function stopVmWork(world: World, ref: VmRef): Work<void> {
  const stoppable = (): VmRecord => {
    const vm = world.need(ref, 'stopVm');
    if (vm.power !== 'running') throw wrongState('stopVm', vm, 'a VM that runs');
    return vm;
  };
  return {
    operation: 'stopVm',
    subject: ref,
    check: () => void stoppable(),
    prepare: () => world.machinery.shutDown(stoppable()),
    effect(act) {
      const vm = stoppable();
      const now = world.clock.now();
      world.tasks.notePower({ at: now, host: vm.host, change: 'off', cause: 'stopVm', commandId: act.commandId, epoch: act.epoch }, ref);
      world.vms.put({ ...settleWritten(vm, now), power: 'off', guestAnswersAt: null });
    },
    lie: () => undefined,
  };
}

export function deleteVmWork(world: World, ref: VmRef): Work<void> {
  const deletable = (): VmRecord => {
    const vm = world.need(ref, 'deleteVm');
    if (vm.power !== 'off' || vm.replication.mode !== 'none') throw wrongState('deleteVm', vm, 'a VM that is off and does not replicate');
    return vm;
  };
  return {
    operation: 'deleteVm',
    subject: ref,
    check: () => void deletable(),
    prepare: () => world.machinery.remove(deletable()),
    effect() {
      world.hosts.occupy(deletable(), -1);
      world.points.removeAll(ref);
      world.addresses.release(ref);
      world.vms.remove(ref);
    },
    lie: () => undefined,
  };
}

export function writeEpochWork(world: World, ref: VmRef, epoch: number): Work<void> {
  return {
    operation: 'writeEpoch',
    subject: ref,
    check: () => void world.need(ref, 'writeEpoch'),
    async prepare() {
      const vm = world.need(ref, 'writeEpoch');
      if (epoch > vm.epoch) await world.machinery.writeNote(vm, { epoch, failover: noteOf(vm) });
    },
    effect() {
      const vm = world.need(ref, 'writeEpoch');
      if (epoch > vm.epoch) world.vms.put({ ...vm, epoch });
    },
    lie: () => undefined,
  };
}
