/** Two sites of emulated Hyper-V hosts, each with its fabric, in virtual time. */
import type { HyperVConfig } from '../../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { networkIdOf } from '../../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { InMemoryReplicationNetwork } from '../../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { SimulatedSite } from '../../../provider-agent/fabric/simulated/simulated-site.ts';
import type { SiteDefinition } from '../../../provider-agent/fabric/simulated/site-definition.ts';
import { SiteId } from '../../../shared/ids.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import type { ContractPair, ContractSide } from '../../contract/contract-walk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { definition, generated, uuidOf } from '../simulated-sites.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { EmulatedHyperV } from './emulated-hyperv.ts';
import type { EmulatedSite } from './hosts.ts';
import { configOf, type EmulatedPowerShell, fabricOf, scvmmConfigOf } from './powershell-fabric.ts';

export interface EmulatedPair extends ContractPair {
  readonly hyperV: EmulatedHyperV;
  readonly clock: VirtualClock;
  readonly sites: { readonly primary: EmulatedSite; readonly recovery: EmulatedSite };
}

export async function openEmulatedSite(
  made: SiteDefinition,
  clock: Clock,
  random: Random,
  network: InMemoryReplicationNetwork,
  databaseFile = ':memory:',
): Promise<EmulatedSite> {
  const siteId = SiteId.parse(uuidOf(made.name));
  return {
    siteId,
    definition: made,
    site: await SimulatedSite.open({ definition: made, databaseFile, clock, random, transport: network.join(siteId) }),
  };
}

/** Two sites of plain hosts, or each with an SCVMM. */
export async function openEmulatedPair(powerShell: EmulatedPowerShell, mode: 'plain' | 'scvmm' = 'plain'): Promise<EmulatedPair> {
  const clock = new VirtualClock();
  const network = new InMemoryReplicationNetwork();
  const reading = await openEmulatedSite(definition('reading', { Gold: generated('Gold', 2) }), clock, new SeededRandom(1), network);
  const slough = await openEmulatedSite(definition('slough', { Silver: '' }), clock, new SeededRandom(2), network);
  const hyperV = new EmulatedHyperV([reading, slough]);
  powerShell.use(hyperV);
  const made = mode === 'plain' ? configOf : scvmmConfigOf;
  const networkOf = ({ definition: { name, networks } }: EmulatedSite, wanted: string) =>
    mode === 'plain' ? networkIdOf(name, wanted) : (networks.find((network) => network.name === wanted)?.id ?? networkIdOf(name, wanted));
  const sideOf = (site: EmulatedSite, config: HyperVConfig): ContractSide => ({
    fabric: fabricOf(config, powerShell.host),
    siteId: site.siteId,
    cloudId: site.definition.clouds[0]?.id as ContractSide['cloudId'],
    networkId: networkOf(site, 'LAN'),
    issue: async (hosts) => hosts.map(({ host }) => ({ host, pfx: new Uint8Array([1]), passphrase: 'unopened' })),
  });
  const vms = reading.definition.vms.map(({ cloudId, id }) => ({ cloudId, vmId: id }));
  return {
    hyperV,
    clock,
    sites: { primary: reading, recovery: slough },
    primary: sideOf(reading, made(reading, [slough])),
    recovery: sideOf(slough, made(slough, [reading])),
    vms: vms as unknown as ContractPair['vms'],
    isolatedId: networkOf(slough, 'Bubble'),
    rootPem: 'unopened',
    until: (condition) => clock.advanceUntil(condition),
    now: () => clock.now(),
    close: async () => {
      await reading.site.close();
      await slough.site.close();
    },
  };
}
