/**
 * Networks that are made for drills. One is there as long as test copies of its drill are connected to it or are about to be: the
 * first that is connected makes it, and the clean-up of the last removes it, whatever ended in between. So nobody has to remember it.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, NetworkId } from '../../shared/ids.ts';
import type { ArgsOf } from '../../shared/protocol/commands.ts';
import type { DrillNetworkView } from '../fabric/fabric.ts';
import type { HandlerContext } from './handlers.ts';
import { lookActLook } from './reach.ts';

/** One that is there, or one that is made for the drill. */
export type DrillNetwork = ArgsOf<'drill.connect'>['network'];

/** Makes it where it is to be made and is not there; it stays at least until `connect` has ended. */
export function withDrillNetwork<T>(network: DrillNetwork, context: HandlerContext, connect: (id: NetworkId) => Promise<T>): Promise<T> {
  if (typeof network === 'string') return connect(network);
  const { drill, like } = network;
  const { networkTurns } = context;
  return networkTurns.whileConnecting(drill, async () => connect(await networkTurns.run(() => make(drill, like, context))));
}

/** Of the drill, or of all where none is named: those that nobody uses. */
export function removeUnusedNetworks(drill: JobId | undefined, context: HandlerContext): Promise<void> {
  const { fabric, act, networkTurns } = context;
  return networkTurns.run(async () => {
    for (const network of await fabric.drillNetworks()) {
      if (drill !== undefined && network.drill !== drill) continue;
      await lookActLook({
        look: () => findDrillNetwork(network.drill, context),
        isReached: (found) => found === null || found.copies > 0 || networkTurns.isConnecting(found.drill),
        act: () => fabric.removeDrillNetwork(network.drill, act),
      });
    }
  });
}

export async function findDrillNetwork(drill: JobId, { fabric }: HandlerContext): Promise<DrillNetworkView | null> {
  return (await fabric.drillNetworks()).find((network) => network.drill === drill) ?? null;
}

async function make(drill: JobId, like: NetworkId, context: HandlerContext): Promise<NetworkId> {
  const made = await lookActLook({
    look: () => findDrillNetwork(drill, context),
    isReached: (found) => found !== null,
    act: () => context.fabric.makeDrillNetwork(drill, like, context.act),
  });
  if (made === null) throw new FarshoreError('ERR_NETWORK_NOT_FOUND', `the network of the drill ${drill} is not there`);
  return made.id;
}
