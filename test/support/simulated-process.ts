/**
 * A process to be killed: opens a simulated site on the database file given, with two clouds that replicate to each
 * other, and drives every VM round through failovers without end. It prints the id of each command that was answered.
 */

import type { Act } from '../../provider-agent/fabric/fabric.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { CommandId, SiteId, type VmRef } from '../../shared/ids.ts';
import { pause } from '../../shared/ports.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { definition, generated, policy, preparation, uuidOf } from './simulated-sites.ts';

export const timings =
  'timings: { startVm: { median: 3 ms }, startFailover: { median: 4 ms }, stopFailover: { median: 2 ms }, enableReplication: { median: 2 ms } }\nreplication: { retryAfter: 100 ms }';
export const killedSite = definition('both', { Gold: generated('Gold', 30), Silver: '' }, timings);
export const killedSiteId = SiteId.parse(uuidOf('both'));

export async function openKilledSite(databaseFile: string): Promise<SimulatedSite> {
  const transport = new InMemoryReplicationNetwork().join(killedSiteId);
  return SimulatedSite.open({ definition: killedSite, databaseFile, clock: systemClock, random: systemRandom, transport });
}

async function main(databaseFile: string): Promise<void> {
  const site = await openKilledSite(databaseFile);
  const [gold, silver] = killedSite.clouds;
  if (gold === undefined || silver === undefined) throw new Error('the site has no two clouds');
  const act = (): Act => ({ commandId: CommandId.parse(systemRandom.uuid()), epoch: 1 });
  await site.prepareHosts(await preparation(site, gold.id, { siteId: killedSiteId, cloudId: silver.id }), act());
  const { address } = await site.prepareHosts(await preparation(site, silver.id, { siteId: killedSiteId, cloudId: gold.id }), act());

  const next = async (primary: VmRef, replica: VmRef): Promise<void> => {
    const view = await site.findVm(replica);
    const command = act();
    const state = view?.replication.state;
    const isEnabled = (await site.findVm(primary))?.replication.mode === 'primary';
    if (!isEnabled)
      await site.enableReplication(primary, { siteId: killedSiteId, cloudId: silver.id, address: address ?? '' }, policy, command);
    else if (state === 'waitingForInitialReplication') {
      if ((await site.findVm(primary))?.replication.state !== 'readyForInitialReplication') return pause(systemClock, 2);
      await site.startInitialReplication(primary, firstCopyNow, command);
    } else if (state === 'replicating') await site.startFailover(replica, null, command);
    else if (view?.power === 'off') await site.startVm(replica, command);
    else await site.stopFailover(replica, command);
    process.stdout.write(`${command.commandId}\n`);
  };

  const drive = async (vmId: VmRef['vmId']): Promise<never> => {
    for (;;) await next({ cloudId: gold.id, vmId }, { cloudId: silver.id, vmId });
  };
  await Promise.all(killedSite.vms.map(({ id }) => drive(id)));
}

if (import.meta.main) await main(process.argv[2] ?? '');
