/** Simulated sites for tests: short site files, and a pair of sites that is ready to replicate. */
import { createHash } from 'node:crypto';
import type { Act, Fabric, HostsPreparation } from '../../provider-agent/fabric/fabric.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import type { SiteDefinition } from '../../provider-agent/fabric/simulated/site-definition.ts';
import { readSiteFile } from '../../provider-agent/fabric/simulated/site-definition.ts';
import type { ReplicationTransport } from '../../provider-agent/fabric/site/replication-transport.ts';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { CommandId, PairingId, SiteId, type VmRef } from '../../shared/ids.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

export const policy = { ...defaultPolicy, copyFrequencySeconds: 30 as const };

let acts = 0;

/** Each call is a command of its own. */
export function act(over: Partial<Act> = {}): Act {
  return { commandId: CommandId.parse(`job/step/${++acts}`), epoch: 1, ...over };
}

export function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A site whose operations take no time unless `extra` says so. */
export function siteText(name: string, clouds: Readonly<Record<string, string>>, extra = ''): string {
  return `
name: ${name}
clouds: [${Object.keys(clouds)
    .map((cloud) => `{ name: ${cloud} }`)
    .join(', ')}]
hosts:
  - { name: ${name}-1, cores: 4096, memory: 400 TB }
  - { name: ${name}-2, cores: 4096, memory: 400 TB }
storage: [{ name: Gold, capacity: 2000 TB }]
networks:
  - name: LAN
    subnets: [{ name: a, cidr: 10.0.0.0/16, pool: { from: 10.0.0.10, to: 10.0.200.250, gateway: 10.0.0.1 } }]
  - name: Bubble
    isolated: true
    subnets: [{ name: a, cidr: 10.0.0.0/16 }]
${extra}
vms:
${Object.values(clouds).join('\n')}
`.replace(/vms:\s*$/, '');
}

export function generated(cloud: string, count: number, name = 'vm-{0000}'): string {
  return `  - generate: { count: ${count}, namePattern: '${name}', cloud: ${cloud}, cores: 1, memory: 1 GB, changeRate: 1 MB/s, disks: [{ size: 10 GB, storage: Gold }], adapters: [{ network: LAN, address: pool }] }`;
}

export function definition(name: string, clouds: Readonly<Record<string, string>>, extra = ''): SiteDefinition {
  return readSiteFile(siteText(name, clouds, extra), `${name}.yaml`);
}

export interface SitePair {
  readonly primary: SimulatedSite;
  readonly recovery: SimulatedSite;
  readonly primarySiteId: SiteId;
  readonly recoverySiteId: SiteId;
  readonly primaryDefinition: SiteDefinition;
  readonly recoveryDefinition: SiteDefinition;
  readonly clock: VirtualClock;
  /** Where the recovery site receives replicas; set by `preparePair`. */
  address: string;
  close(): Promise<void>;
}

export interface PairOptions {
  readonly vms?: number;
  readonly primaryExtra?: string;
  readonly recoveryExtra?: string;
  readonly databaseFiles?: readonly [string, string];
  readonly seed?: number;
}

/** Two sites on one virtual clock, replicating in memory; hosts are not yet prepared. */
export async function openPair({
  vms = 2,
  primaryExtra = '',
  recoveryExtra = '',
  databaseFiles = [':memory:', ':memory:'],
  seed = 1,
}: PairOptions = {}): Promise<SitePair> {
  const clock = new VirtualClock();
  const network = new InMemoryReplicationNetwork();
  const primarySiteId = SiteId.parse(uuidOf('primary'));
  const recoverySiteId = SiteId.parse(uuidOf('recovery'));
  const primaryDefinition = definition('reading', { Gold: generated('Gold', vms) }, primaryExtra);
  const recoveryDefinition = definition('slough', { Silver: '' }, recoveryExtra);
  const open = (made: SiteDefinition, databaseFile: string, transport: ReplicationTransport, random: Random, on: Clock) =>
    SimulatedSite.open({ definition: made, databaseFile, clock: on, random, transport });
  const primary = await open(primaryDefinition, databaseFiles[0], network.join(primarySiteId), new SeededRandom(seed), clock);
  const recovery = await open(recoveryDefinition, databaseFiles[1], network.join(recoverySiteId), new SeededRandom(seed + 1), clock);
  return {
    primary,
    recovery,
    primarySiteId,
    recoverySiteId,
    primaryDefinition,
    recoveryDefinition,
    clock,
    address: '',
    close: async () => {
      await primary.close();
      await recovery.close();
    },
  };
}

export const pairingId = PairingId.parse(uuidOf('pairing'));

/** Prepares the hosts of both clouds. In memory nothing opens the certificates. */
export async function preparePair(pair: SitePair): Promise<SitePair> {
  const primaryCloud = pair.primaryDefinition.clouds[0];
  const recoveryCloud = pair.recoveryDefinition.clouds[0];
  if (primaryCloud === undefined || recoveryCloud === undefined) throw new Error('a site without a cloud');
  await pair.primary.prepareHosts(
    await preparation(pair.primary, primaryCloud.id, { siteId: pair.recoverySiteId, cloudId: recoveryCloud.id }),
    act(),
  );
  const { address } = await pair.recovery.prepareHosts(
    await preparation(pair.recovery, recoveryCloud.id, { siteId: pair.primarySiteId, cloudId: primaryCloud.id }),
    act(),
  );
  pair.address = address ?? '';
  return pair;
}

export async function preparation(
  fabric: Fabric,
  cloudId: HostsPreparation['cloudId'],
  peer: HostsPreparation['peer'],
): Promise<HostsPreparation> {
  const hosts = await fabric.replicationHosts(cloudId);
  const certificates = hosts.map(({ host }) => ({ host, pfx: new Uint8Array([1]), passphrase: 'none' }));
  return { pairingId, cloudId, authentication: 'certificate', port: null, certificates, rootPem: '', peer };
}

/** A primary VM and its replica. */
export function refsOf(pair: SitePair, index = 0): { atPrimary: VmRef; atRecovery: VmRef } {
  const vm = pair.primaryDefinition.vms[index];
  const recoveryCloud = pair.recoveryDefinition.clouds[0];
  if (vm === undefined || recoveryCloud === undefined) throw new Error(`the pair has no VM ${index}`);
  return { atPrimary: { cloudId: vm.cloudId, vmId: vm.id }, atRecovery: { cloudId: recoveryCloud.id, vmId: vm.id } };
}

/** Takes VM `index` through protection until both sides replicate. */
export async function protect(
  pair: SitePair,
  index = 0,
  withPolicy: typeof policy | typeof defaultPolicy = policy,
): Promise<{ atPrimary: VmRef; atRecovery: VmRef }> {
  const refs = refsOf(pair, index);
  const target = { siteId: pair.recoverySiteId, cloudId: refs.atRecovery.cloudId, address: pair.address };
  await pair.primary.enableReplication(refs.atPrimary, target, withPolicy, act());
  const from = pair.primaryDefinition.networks[0]?.id;
  const to = pair.recoveryDefinition.networks[0]?.id;
  await pair.recovery.configureReplica(refs.atRecovery, from === undefined || to === undefined ? [] : [{ from, to }], act());
  await pair.primary.startInitialReplication(refs.atPrimary, firstCopyNow, act());
  await pair.clock.advanceUntil(async () => (await pair.primary.findVm(refs.atPrimary))?.replication.state === 'replicating');
  return refs;
}
