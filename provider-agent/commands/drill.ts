/**
 * Handlers of drill.*: the test copy of a replica is made, connected, started and removed. They change the copy only; the replica
 * stays a replica, takes changes as before, and its epoch is not touched. A network is believed to lead nowhere only after a
 * look at it, which is taken again right before the copy is started.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, NetworkId, VmRef } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { TestCopyView } from '../fabric/fabric.ts';
import { findDrillNetwork, removeUnusedNetworks, withDrillNetwork } from './drill-networks.ts';
import { choosePoint, guestAnswer, STARTING_MS } from './failover.ts';
import type { HandlerContext, Handlers } from './handlers.ts';
import { findExisting, lookActLook, poll, refuseIfSuspended, wrongState } from './reach.ts';

type DrillKind = 'drill.admit' | 'drill.copy' | 'drill.connect' | 'drill.start' | 'drill.cleanUp';

export const drillHandlers: Pick<Handlers, DrillKind> = {
  async 'drill.admit'({ vm: ref, recoveryPoint, network }, context) {
    await refuseUnlessAtRest(ref, context);
    if ((await context.fabric.findTestCopy(ref)) !== null)
      throw new FarshoreError('ERR_TEST_COPY_EXISTS', 'the replica has a test copy already');
    await choosePoint(recoveryPoint, ref, context);
    // One that is to be made is made like this one, so it has to be there.
    if (typeof network === 'string') await refuseUnlessIsolated(network, context);
    else if (network !== null && (await context.fabric.networkExposure(network.like)) === null) throw noSuchNetwork(network.like);
    return {};
  },

  async 'drill.copy'({ vm: ref, recoveryPoint: choice }, context) {
    context.progress('makingTestCopy');
    const copy = await lookActLook({
      look: () => context.fabric.findTestCopy(ref),
      isReached: (found) => found !== null,
      async act() {
        await refuseUnlessAtRest(ref, context);
        const point = await choosePoint(choice, ref, context);
        // The latest is left to the fabric: one newer than ours may arrive before the copy is made.
        await context.fabric.startTestFailover(ref, choice.choose === 'latest' ? null : point.id, context.act);
      },
    });
    // Newer points arrive while the copy is there, so which one it was made from is told by the copy.
    const { recoveryPoint } = copy ?? (await findCopy(ref, context));
    return { recoveryPointId: recoveryPoint.id, recoveryPointAt: isoMoment(recoveryPoint.at) };
  },

  'drill.connect': ({ vm: ref, network: wanted }, context) =>
    withDrillNetwork(wanted, context, async (network) => {
      context.progress('checkingNetwork');
      await refuseUnlessIsolated(network, context);
      const copy = await findCopy(ref, context);
      if (copy.power === 'running') return refuseUnlessWithin(copy, network, context);
      // Adapters that a failover leaves unconnected stay so here: how it should look is not known, and repeating it changes nothing.
      await context.fabric.connectTestCopy(ref, network, context.act);
      return {};
    }),

  async 'drill.start'({ vm: ref, network: wanted, guestAnswersWithinSeconds }, context) {
    context.progress('starting');
    const hasBegun = async () => ((await findCopy(ref, context)).power === 'starting' ? null : true);
    await poll(context, hasBegun, context.clock.now() + STARTING_MS);
    await lookActLook({
      look: () => findCopy(ref, context),
      isReached: ({ power }) => power === 'running',
      async act(copy) {
        // One that was made is gone again where no adapter of any copy was to be connected.
        const network =
          wanted === null || typeof wanted === 'string' ? wanted : ((await findDrillNetwork(wanted.drill, context))?.id ?? null);
        await refuseUnlessWithin(copy, network, context);
        await context.fabric.startTestVm(ref, context.act);
      },
    });
    const runningAt = isoMoment(context.clock.now());
    const { ref: copyRef } = await findCopy(ref, context);
    return { runningAt, answeredAt: await guestAnswer(copyRef, guestAnswersWithinSeconds, context) };
  },

  async 'drill.cleanUp'({ vm: ref, drill }, context) {
    context.progress('cleaningUp');
    await removeTestCopy(ref, drill, context);
    return {};
  },
};

/** There may be none, and no replica either. With the last copy goes the network that was made for the drill; whoever knows of no drill looks at all. */
export async function removeTestCopy(ref: VmRef, drill: JobId | undefined, context: HandlerContext): Promise<void> {
  const { fabric, act } = context;
  await lookActLook({
    look: () => fabric.findTestCopy(ref),
    isReached: (copy) => copy === null,
    act: () => fabric.stopTestFailover(ref, act),
  });
  await removeUnusedNetworks(drill, context);
}

async function findCopy(ref: VmRef, { fabric }: HandlerContext): Promise<TestCopyView> {
  const copy = await fabric.findTestCopy(ref);
  if (copy === null) throw new FarshoreError('ERR_NO_TEST_COPY', 'the replica has no test copy');
  return copy;
}

async function refuseUnlessAtRest(ref: VmRef, context: HandlerContext): Promise<void> {
  const vm = await findExisting(ref, context);
  refuseIfSuspended(vm);
  const { mode, state } = vm.replication;
  if (mode !== 'replica' || state !== 'replicating') throw wrongState(vm, 'only a replica that takes changes has a test copy made');
}

const noSuchNetwork = (network: NetworkId) => new FarshoreError('ERR_NETWORK_NOT_FOUND', `the site has no VM network ${network}`);

/** Throws ERR_NETWORK_NOT_FOUND, ERR_NETWORK_NOT_ISOLATED. */
async function refuseUnlessIsolated(network: NetworkId, { fabric }: HandlerContext): Promise<void> {
  const exposure = await fabric.networkExposure(network);
  if (exposure === null) throw noSuchNetwork(network);
  const { leadsOut, otherVms } = exposure;
  if (leadsOut) throw new FarshoreError('ERR_NETWORK_NOT_ISOLATED', `the network ${network} leads out of the site`);
  if (otherVms > 0) throw new FarshoreError('ERR_NETWORK_NOT_ISOLATED', `${otherVms} VMs that are no test copies are on ${network}`);
}

/** Whoever connected the copy: it is on no other network than the one of the drill, and that one leads nowhere. */
async function refuseUnlessWithin(copy: TestCopyView, network: NetworkId | null, context: HandlerContext): Promise<Record<never, never>> {
  const other = copy.networkIds.find((id) => id !== network);
  if (other !== undefined) throw new FarshoreError('ERR_NETWORK_NOT_ISOLATED', `the test copy is connected to ${other}`);
  if (network !== null) await refuseUnlessIsolated(network, context);
  return {};
}
