/** How things stand in a world, in a few words for scenarios. VMs go by the names they have at reading. */
import { protectionHandlers } from '../../control-plane/api/protection-handlers.ts';
import { JobInput } from '../../shared/api/job-input.ts';
import type { CloudId, JobId, VmRef } from '../../shared/ids.ts';
import type { SiteName, World } from './world.ts';
import { vaultId } from './world-core.ts';

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

/** The codes with which its steps failed, in order. */
export const failuresOf = async (world: World, id: JobId) =>
  (await world.job(id))?.facts.flatMap((fact) => (fact.type === 'failed' ? [fact.error.code] : []));

/** What the job keeps of what was asked. */
export const inputOf = async (world: World, id: JobId) => JobInput.parse((await world.job(id))?.job.input);

/** The protected VMs as people are shown them. */
export async function shownVms(world: World) {
  const { store, hub, runner } = world.controlPlane;
  const handlers = protectionHandlers({ store, operations: runner, presence: hub, clock: world.clock } as never);
  return (await handlers.listProtectedVms({ caller: { vaultId }, query: {} } as never)).protectedVms;
}
