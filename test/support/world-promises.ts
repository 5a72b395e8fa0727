/** What is promised of each VM, and what both sites have of it: read when a run is over, for the checker. */
import { type Side, sidesOf } from '../../control-plane/operations/compile.ts';
import type { Pairing, ProtectedVm } from '../../control-plane/store/promise-store.ts';
import type { VmView } from '../../provider-agent/fabric/fabric.ts';
import type { PromisedVm } from './trace.ts';
import { siteIdOf, type WorldCore } from './world-core.ts';

export async function promisedVms(world: WorldCore, vms: readonly ProtectedVm[], pairings: readonly Pairing[]): Promise<PromisedVm[]> {
  const at = async ({ siteId, ref }: Side) => {
    const name = world.siteNames.find((site) => siteIdOf(site) === siteId);
    return name === undefined ? null : world.site(name).fabric.findVm(ref);
  };
  const inWords = (vm: VmView | null) => (vm === null ? 'none' : `${vm.replication.mode}/${vm.replication.state}`);
  return Promise.all(
    vms.map(async (vm) => {
      const pairing = pairings.find(({ id }) => id === vm.pairingId);
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
        failover: note && `${note.commandId.replace(/\/\d+$/, '')} to ${note.recoveryPoint.id}`,
      };
    }),
  );
}
