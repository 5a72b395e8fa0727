/** Handlers that suspend replication and resume it, at either end. Nothing else resumes what is suspended: a person had a reason. */
import type { Handlers } from './handlers.ts';
import { findExisting, reach, wrongState } from './reach.ts';
import { comesToReplicate } from './replication.ts';

type SuspensionKind = 'replication.admitSuspension' | 'replication.suspend' | 'replication.resume';

export const suspensionHandlers: Pick<Handlers, SuspensionKind> = {
  async 'replication.admitSuspension'({ vm: ref, role }, context) {
    const vm = await findExisting(ref, context);
    const { mode, state } = vm.replication;
    if (mode !== role || (state !== 'replicating' && state !== 'suspended'))
      throw wrongState(vm, `only a ${role} that replicates is suspended or resumed`);
    return {};
  },

  async 'replication.suspend'({ vm: ref }, context) {
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.state === 'suspended',
        async act(vm) {
          if (vm.replication.state !== 'replicating') throw wrongState(vm, 'only what replicates is suspended');
          await context.fabric.suspendReplication(ref, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replication.resume'({ vm: ref }, context) {
    await reach(
      {
        ref,
        isReached: (vm) => vm !== null && comesToReplicate(vm),
        async act(vm) {
          if (vm.replication.state !== 'suspended') throw wrongState(vm, 'only what is suspended is resumed');
          await context.fabric.resumeReplication(ref, context.act);
        },
      },
      context,
    );
    return {};
  },
};
