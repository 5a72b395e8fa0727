/** How things stand in a world, in a few words for scenarios. VMs go by the names they have at reading. */
import { type Side, sidesOf } from '../../control-plane/operations/compile.ts';
import type { VmView } from '../../provider-agent/fabric/fabric.ts';
import type { CloudId, JobId, VmRef } from '../../shared/ids.ts';
import type { PromisedVm } from './trace.ts';
import type { SiteName, World } from './world.ts';
import { siteIdOf } from './world-core.ts';

export const refOf = (world: World, site: SiteName, name: string): VmRef => ({
  cloudId: world.definition(site).clouds[0]?.id as CloudId,
  vmId: world.definition('reading').vms.find((vm) => vm.name === name)?.id as never,
});

/** `running primary/replicating`, or `none`. */
export async function viewOf(world: World, site: SiteName, name: string): Promise<string> {
  const vm = await world.site(site).fabric.findVm(refOf(world, site, name));
  return vm === null ? 'none' : `${vm.power} ${vm.replication.mode}/${vm.replication.state}`;
}

export const stateOf = async (world: World, id: JobId) => (await world.job(id))?.job.state;

/** Every protected VM, with what both sites have of it. */
export async function promisedVms(world: World): Promise<PromisedVm[]> {
  const pairings = new Map((await world.pairings()).map((pairing) => [pairing.id, pairing]));
  const at = async ({ siteId, ref }: Side) => {
    const name = world.siteNames.find((site) => siteIdOf(site) === siteId);
    return name === undefined ? null : world.site(name).fabric.findVm(ref);
  };
  const inWords = (vm: VmView | null) => (vm === null ? 'none' : `${vm.replication.mode}/${vm.replication.state}`);
  const vms = await world.protectedVms();
  return Promise.all(
    vms.map(async (vm) => {
      const pairing = pairings.get(vm.pairingId);
      if (pairing === undefined) throw new Error(`${vm.name} has no pairing`);
      const sides = sidesOf({ vm, pairing });
      const [source, target] = await Promise.all([at(sides.source), at(sides.target)]);
      const note = target?.failover ?? null;
      return {
        id: vm.id,
        name: vm.name,
        phase: vm.phase,
        isBusy: vm.busyWith !== null,
        source: inWords(source),
        target: inWords(target),
        failover: note && `${note.commandId} to ${note.recoveryPoint.id}`,
      };
    }),
  );
}
