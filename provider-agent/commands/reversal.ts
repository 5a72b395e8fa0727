/** Handlers that turn replication round after a failover, and that bring a primary which fell out of step back to replicating. */
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { VmView } from '../fabric/fabric.ts';
import type { HandlerContext, Handlers } from './handlers.ts';
import { findExisting, isFailedOver, isPrepared, reach, shutDown, wrongState } from './reach.ts';
import { comesToReplicate } from './replication.ts';

type ReversalKind =
  | 'replication.admitReversal'
  | 'replication.becomeReplica'
  | 'replication.reverse'
  | 'replica.admit'
  | 'replication.resynchronize';

const MUST_BE_OFF = 'the former primary must be off: what it wrote since the failover is lost when it becomes a replica';

export const reversalHandlers: Pick<Handlers, ReversalKind> = {
  async 'replication.admitReversal'({ vm: ref, role, shutDown: mayBeShutDown }, context) {
    const vm = await findExisting(ref, context);
    const { mode, failoverType } = vm.replication;
    if (role === 'replica') {
      if (!isFailedOver(vm) && mode !== 'primary') throw wrongState(vm, 'only a replica that was failed over is made the primary');
      return { isPlanned: failoverType === 'planned' };
    }
    // What it wrote since the failover is given up with the reversal, so nobody may be at work on it.
    if (mode === 'none') throw wrongState(vm, 'the former primary must still replicate');
    if (vm.power !== 'off' && !(mayBeShutDown && vm.power === 'running')) throw wrongState(vm, MUST_BE_OFF);
    return { isPlanned: isPrepared(vm) };
  },

  async 'replication.becomeReplica'({ vm: ref, isPlanned, shutDown: mayBeShutDown }, context) {
    if (mayBeShutDown && (await findExisting(ref, context)).replication.mode === 'primary') await shutDown(ref, context);
    context.progress('reversing');
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.mode === 'replica' || (isPlanned && isPrepared(vm)),
        async act(vm) {
          if (vm.power !== 'off') throw wrongState(vm, MUST_BE_OFF);
          await context.fabric.becomeReplica(ref, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replication.reverse'({ vm: ref, target, policy }, context) {
    context.progress('reversing');
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.mode === 'primary',
        async act(vm) {
          if (!isFailedOver(vm)) throw wrongState(vm, 'only a replica that was failed over is made the primary');
          await context.fabric.reverseReplication(ref, target, policy, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replica.admit'({ vm: ref }, context) {
    const vm = await findExisting(ref, context);
    if (isFailedOver(vm)) throw new FarshoreError('ERR_REPLICA_FAILED_OVER', 'the replica was failed over, and takes no changes');
    if (vm.replication.mode !== 'replica') throw wrongState(vm, 'only a replica takes changes');
    return {};
  },

  async 'replication.resynchronize'({ vm: ref }, context) {
    // One whose first copy comes later is wanted now, and nothing copies one that was exported.
    const waits = ({ replication: { state, firstCopyAt } }: VmView) =>
      firstCopyAt !== undefined || state === 'waitingForInitialReplication';
    const isReached = (vm: VmView | null) => vm !== null && comesToReplicate(vm) && !waits(vm);
    await reach({ ref, isReached, act: (vm) => mend(vm, context) }, context);
    return {};
  },
};

/** What it takes depends on what keeps the primary from replicating. */
async function mend(vm: VmView, { fabric, act }: HandlerContext): Promise<void> {
  if (vm.replication.mode !== 'primary') throw wrongState(vm, 'only a primary is resynchronized');
  switch (vm.replication.state) {
    case 'readyForInitialReplication':
      return fabric.startInitialReplication(vm.ref, firstCopyNow, act);
    case 'preparedForFailover':
      return fabric.stopFailover(vm.ref, act);
    case 'waitingForInitialReplication':
      throw wrongState(vm, 'its first copy was exported: it is taken in at the recovery site (importFirstCopy), or the VM is unprotected');
    case 'suspended':
      return fabric.resumeReplication(vm.ref, act);
    case 'waitingForStartResynchronize':
      return fabric.resynchronize(vm.ref, act);
    default:
      throw wrongState(vm, 'there is no way from here to replicating but to protect it anew');
  }
}
