/**
 * Networks that are made for drills and removed with them. Each has the subnets of the network that it is made after, so that a
 * test copy gets the addresses of a failover there, and no way out. They are no part of the site file and of no inventory.
 */
import { type JobId, NetworkId } from '../../../shared/ids.ts';
import type { DrillNetworkView, NetworkExposure } from '../fabric.ts';
import type { DrillNetwork } from './host-store.ts';
import { failed } from './refusals.ts';
import type { Work } from './task-runner.ts';
import type { World } from './world.ts';

export function makeDrillNetworkWork(world: World, drill: JobId, like: NetworkId): Work<void> {
  const begin = () => {
    const model = world.hosts.network(like);
    if (model === null) throw failed('ERR_NETWORK_NOT_FOUND', 'makeDrillNetwork', `the site has no VM network ${like}`);
    if (networkOf(world, drill) !== undefined) throw failed('ERR_CONFLICT', 'makeDrillNetwork', `the drill ${drill} has a network already`);
    return { drill, name: `Drill ${drill}`, subnets: model.subnets };
  };
  return {
    operation: 'makeDrillNetwork',
    subject: {},
    check: () => void begin(),
    async prepare() {
      begin();
      await world.machinery.makeDrillNetwork(drill);
    },
    effect: () => world.hosts.addDrillNetwork({ ...begin(), id: NetworkId.parse(world.random.uuid()) }),
    lie: () => undefined,
  };
}

export function removeDrillNetworkWork(world: World, drill: JobId): Work<void> {
  const check = () => {
    const network = networkOf(world, drill);
    if (network === undefined) throw failed('ERR_NETWORK_NOT_FOUND', 'removeDrillNetwork', `the drill ${drill} has no network`);
    const copies = world.vms.copiesOn(network.id);
    const others = world.vms.onNetwork(network.id).length;
    if (copies + others > 0) throw failed('ERR_CONFLICT', 'removeDrillNetwork', `${copies + others} VMs are connected to it`);
  };
  return {
    operation: 'removeDrillNetwork',
    subject: {},
    check,
    async prepare() {
      check();
      await world.machinery.removeDrillNetwork(drill);
    },
    effect() {
      check();
      world.hosts.removeDrillNetwork(drill);
    },
    lie: () => undefined,
  };
}

export function drillNetworks({ hosts, vms }: World): DrillNetworkView[] {
  return hosts.drillNetworks().map(({ drill, id }) => ({ drill, id, copies: vms.copiesOn(id) }));
}

export async function networkExposure({ hosts, definition, vms, machinery }: World, networkId: NetworkId): Promise<NetworkExposure | null> {
  if (hosts.network(networkId) === null) return null;
  const known = definition.networks.find(({ id }) => id === networkId);
  const isMadeByUs = hosts.drillNetworks().some(({ id }) => id === networkId);
  return machinery.exposure(networkId, { leadsOut: !isMadeByUs && known?.isIsolated !== true, otherVms: vms.onNetwork(networkId).length });
}

function networkOf({ hosts }: World, drill: JobId): DrillNetwork | undefined {
  return hosts.drillNetworks().find((network) => network.drill === drill);
}
