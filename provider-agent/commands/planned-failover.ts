/**
 * Handlers of the parts of a planned failover that a failover without its primary does not have: looking whether both sides
 * are ready, and at the primary shutting down, sending the last changes, and taking both back.
 */
import { isoMoment } from '../../shared/ports.ts';
import type { VmView } from '../fabric/fabric.ts';
import { raiseEpoch } from './failover.ts';
import type { HandlerContext, Handlers } from './handlers.ts';
import { findExisting, isPrepared, reach, refuseIfSuspended, shutDown, wrongState } from './reach.ts';

type PlannedKind = 'failover.admit' | 'failover.prepare' | 'failover.unprepare';

export const plannedFailoverHandlers: Pick<Handlers, PlannedKind> = {
  async 'failover.admit'({ vm: ref, role }, context) {
    const vm = await findExisting(ref, context);
    const { mode, state } = vm.replication;
    refuseIfSuspended(vm);
    if (state !== 'replicating' || mode !== role) throw wrongState(vm, 'a planned failover needs a primary and a replica that replicate');
    const mayBe = role === 'primary' ? ['running', 'off'] : ['off'];
    if (!mayBe.includes(vm.power)) throw wrongState(vm, `the VM must be ${mayBe.join(' or ')} as a ${role}`);
    return { isRunning: vm.power === 'running' };
  },

  async 'failover.prepare'({ vm: ref }, context) {
    const before = await findExisting(ref, context);
    refuseIfSuspended(before);
    // Nothing is shut down that cannot be failed over afterwards.
    if (!isPrepared(before) && (before.replication.mode !== 'primary' || before.replication.state !== 'replicating'))
      throw wrongState(before, 'only a primary that replicates is shut down for a failover');
    await shutDown(ref, context);
    context.progress('sendingLastChanges');
    const vm = await reach({ ref, isReached: isPrepared, act: () => context.fabric.prepareFailover(ref, context.act) }, context);
    return { lastChangesAt: isoMoment(vm?.replication.lastPointAt ?? context.clock.now()) };
  },

  async 'failover.unprepare'({ vm: ref, isRunning }, context) {
    context.progress('cleaningUp');
    await reach({ ref, isReached: (vm) => !isPrepared(vm), act: () => context.fabric.stopFailover(ref, context.act) }, context);
    if (isRunning) await runAgain(ref, context);
    return {};
  },
};

async function runAgain(ref: VmView['ref'], context: HandlerContext): Promise<void> {
  context.progress('starting');
  await raiseEpoch(ref, context);
  await reach({ ref, isReached: (vm) => vm?.power === 'running', act: () => context.fabric.startVm(ref, context.act) }, context);
}
