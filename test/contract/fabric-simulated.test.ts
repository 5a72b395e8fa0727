/** The simulated site keeps the contract of the fabric port: between two sites and between two clouds of one, over TLS and in memory. */
import type { HostCertificate, ReplicationHost } from '../../provider-agent/fabric/fabric.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import type { SiteDefinition } from '../../provider-agent/fabric/simulated/site-definition.ts';
import type { ReplicationTransport } from '../../provider-agent/fabric/site/replication-transport.ts';
import type { CloudDefinition } from '../../provider-agent/fabric/site/site-model.ts';
import { type NetworkId, SiteId, type VmRef } from '../../shared/ids.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { makeVaultCertificates } from '../support/replication-certificates.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { definition, generated, uuidOf } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { ContractPair, ContractSide } from './contract-walk.ts';
import { describeFabricContract } from './fabric-contract.ts';
import { describeOlderPointContract } from './fabric-contract-reversal.ts';

const readingId = SiteId.parse(uuidOf('reading'));
const sloughId = SiteId.parse(uuidOf('slough'));
const certificates = makeVaultCertificates();
type Issue = (hosts: readonly ReplicationHost[]) => Promise<readonly HostCertificate[]>;

const inMemory: Issue = async (hosts) => hosts.map(({ host }) => ({ host, pfx: new Uint8Array([1]), passphrase: '' }));

async function open(made: SiteDefinition, clock: Clock, random: Random, transport?: ReplicationTransport): Promise<SimulatedSite> {
  return SimulatedSite.open({
    definition: made,
    databaseFile: ':memory:',
    clock,
    random,
    ...(transport === undefined ? {} : { transport }),
  });
}

function sideOf(
  fabric: SimulatedSite,
  siteId: SiteId,
  made: SiteDefinition,
  cloud: CloudDefinition | undefined,
  issue: Issue,
): ContractSide {
  const network = made.networks[0];
  if (cloud === undefined || network === undefined) throw new Error('a site without a cloud or a network');
  return { fabric, siteId, cloudId: cloud.id, networkId: network.id, issue };
}

function vmsOf(made: SiteDefinition): readonly [VmRef, VmRef] {
  const [first, second] = made.vms.map(({ cloudId, id }) => ({ cloudId, vmId: id }));
  if (first === undefined || second === undefined) throw new Error('a site with fewer than two VMs');
  return [first, second];
}

function isolatedOf({ networks }: SiteDefinition): NetworkId {
  const network = networks.find(({ isIsolated }) => isIsolated);
  if (network === undefined) throw new Error('a site without an isolated network');
  return network.id;
}

const reading = definition('reading', { Gold: generated('Gold', 2) });
const slough = definition('slough', { Silver: '' });

async function pairOf(
  clock: Clock,
  random: Random,
  issueAt: (siteId: SiteId) => Promise<Issue>,
  until: ContractPair['until'],
  join?: (siteId: SiteId) => ReplicationTransport,
): Promise<ContractPair> {
  const primary = await open(reading, clock, random, join?.(readingId));
  const recovery = await open(slough, clock, random, join?.(sloughId));
  return {
    primary: sideOf(primary, readingId, reading, reading.clouds[0], await issueAt(readingId)),
    recovery: sideOf(recovery, sloughId, slough, slough.clouds[0], await issueAt(sloughId)),
    vms: vmsOf(reading),
    isolatedId: isolatedOf(slough),
    rootPem: (await certificates).rootPem,
    until,
    now: () => clock.now(),
    close: async () => {
      await primary.close();
      await recovery.close();
    },
  };
}

const issueByVault = async (siteId: SiteId) => (await certificates).siteIssuer(siteId);

describeFabricContract('simulated, two sites over TLS', () =>
  pairOf(systemClock, systemRandom, issueByVault, (condition) => until('the pair gets there', condition)),
);

const pairInMemory = () => {
  const clock = new VirtualClock();
  const network = new InMemoryReplicationNetwork();
  return pairOf(
    clock,
    new SeededRandom(1),
    async () => inMemory,
    (condition) => clock.advanceUntil(condition),
    (siteId) => network.join(siteId),
  );
};

describeFabricContract('simulated, two sites in memory', pairInMemory);
describeOlderPointContract('simulated, two sites in memory', pairInMemory);

describeFabricContract('simulated, two clouds of one site over TLS', async () => {
  const made = definition('both', { Gold: generated('Gold', 2), Silver: '' });
  const site = await open(made, systemClock, systemRandom);
  const issue = await issueByVault(readingId);
  return {
    primary: sideOf(site, readingId, made, made.clouds[0], issue),
    recovery: sideOf(site, readingId, made, made.clouds[1], issue),
    vms: vmsOf(made),
    isolatedId: isolatedOf(made),
    rootPem: (await certificates).rootPem,
    until: (condition) => until('the site gets there', condition),
    now: () => Date.now(),
    close: () => site.close(),
  };
});
