/** Suspending replication and resuming it, at the primary or at the replica (hyperv/facts.md, section 3). */
import type { VmRef } from '../../../shared/ids.ts';
import type { Work } from './task-runner.ts';
import type { World } from './world.ts';

export function suspendReplicationWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'suspendReplication');
    return { vm, replication: world.advance(vm, 'suspended', 'suspendReplication', 'a VM that replicates') };
  };
  return {
    operation: 'suspendReplication',
    subject: ref,
    check: () => void begin(),
    effect() {
      const { vm, replication } = begin();
      world.vms.put({ ...vm, replication, dueAt: null });
    },
    lie: () => undefined,
  };
}

/** What was not sent meanwhile goes out at once. */
export function resumeReplicationWork(world: World, ref: VmRef): Work<void> {
  const begin = () => {
    const vm = world.need(ref, 'resumeReplication');
    return { vm, replication: world.advance(vm, 'resumed', 'resumeReplication', 'a VM whose replication is suspended') };
  };
  return {
    operation: 'resumeReplication',
    subject: ref,
    check: () => void begin(),
    effect() {
      const { vm, replication } = begin();
      world.vms.put({ ...vm, replication, dueAt: world.clock.now() });
    },
    lie: () => undefined,
  };
}
