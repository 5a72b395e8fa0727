/** A site as the simulation takes it: names turned into ids, generated VMs written out, pool addresses given. */

import { readDocument } from '../../../shared/document.ts';
import { addressesIn } from '../../../shared/domain/ip-address.ts';
import type { MappableNetwork } from '../../../shared/domain/network-map.ts';
import { CloudId, NetworkId, VmId } from '../../../shared/ids.ts';
import { nameUuid } from '../name-uuid.ts';
import { splitAddress } from '../peer/tls-transport.ts';
import type { Operation } from '../site/operation.ts';
import type {
  AdapterDefinition,
  CloudDefinition,
  NetworkDefinition,
  ReplicationDefinition,
  SiteModel,
  VmDefinition,
} from '../site/site-model.ts';
import type { Distribution } from './distribution.ts';
import type { Fault } from './fault.ts';
import { SiteFile } from './site-file.ts';

/** A site that is pretended: besides what every site has, what takes how long there, and what goes wrong. */
export interface SiteDefinition extends SiteModel {
  readonly timings: Readonly<Record<Operation | 'guestStart', Distribution>>;
  readonly bandwidthBytesPerSecond: number;
  readonly faults: readonly Fault[];
}

type VmEntry = Exclude<SiteFile['vms'][number], { generate: unknown }>;

/** Throws ERR_DOCUMENT_INVALID with every mistake. */
export function readSiteFile(text: string, fileName: string): SiteDefinition {
  return defineSite(readDocument(text, fileName, SiteFile, { maxLength: 8 * 1024 * 1024 }));
}

/** `file` has passed its schema: every name it refers to exists. */
function defineSite(file: SiteFile): SiteDefinition {
  const networks = file.networks.map(
    (network): NetworkDefinition => ({
      id: network.id ?? NetworkId.parse(nameUuid(file.name, 'network', network.name)),
      name: network.name,
      subnets: network.subnets,
      isIsolated: network.isolated,
    }),
  );
  const networkIds = (names: readonly string[] | undefined) =>
    networks.filter(({ name }) => names?.includes(name) ?? true).map(({ id }) => id);
  const clouds = file.clouds.map(
    (cloud): CloudDefinition => ({
      id: cloud.id ?? CloudId.parse(nameUuid(file.name, 'cloud', cloud.name)),
      name: cloud.name,
      hosts: cloud.hosts ?? file.hosts.map(({ name }) => name),
    }),
  );
  const domain = file.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const entries = file.vms.flatMap((entry) => ('generate' in entry ? generated(entry.generate) : [entry]));
  return {
    name: file.name,
    clouds,
    hosts: file.hosts.map((host) => ({
      name: host.name,
      coreLimit: Math.floor(host.cores * file.virtualCoresPerCore),
      memoryBytes: host.memory,
      networkIds: networkIds(host.networks),
      dnsNames: [`${host.name}.${domain}.example`],
      storage: host.storage ?? file.storage.map(({ name }) => name),
    })),
    storage: file.storage.map(({ name, capacity }) => ({ name, capacityBytes: capacity })),
    networks,
    vms: defineVms(file, entries, clouds, networks),
    timings: file.timings,
    replication: {
      listen: splitAddress(file.replication.listen),
      retryAfterMs: file.replication.retryAfter,
    },
    bandwidthBytesPerSecond: file.replication.bandwidth,
    faults: file.faults,
  };
}

function generated({ count, namePattern, ...rest }: Extract<SiteFile['vms'][number], { generate: unknown }>['generate']): VmEntry[] {
  return Array.from({ length: count }, (_, i) => ({
    ...rest,
    name: namePattern.replace(/\{(0+)\}/, (_match, zeros: string) => String(i + 1).padStart(zeros.length, '0')),
  }));
}

function defineVms(
  file: SiteFile,
  entries: readonly VmEntry[],
  clouds: readonly CloudDefinition[],
  networks: readonly MappableNetwork[],
): VmDefinition[] {
  const given = new Set(entries.flatMap(({ adapters }) => adapters.map(({ network, address }) => `${network} ${address}`)));
  const left = new Map<string, Generator<string, void>>();

  /** The next address of the pool that no VM of the file names; null when the pool is used up, and the adapter gets DHCP. */
  const fromPool = (network: MappableNetwork, subnet: MappableNetwork['subnets'][number]): string | null => {
    if (subnet.pool === null) return null;
    const key = `${network.name} ${subnet.name}`;
    const addresses = left.get(key) ?? addressesIn(subnet.pool);
    left.set(key, addresses);
    for (let next = addresses.next(); !next.done; next = addresses.next())
      if (next.value !== subnet.pool.gateway && !given.has(`${network.name} ${next.value}`)) return next.value;
    return null;
  };

  const adapter = (entry: VmEntry['adapters'][number], replicaOf: VmEntry['replicaOf']): AdapterDefinition[] => {
    if (replicaOf !== undefined) return [adapterAtPrimary(entry, replicaOf.site)];
    const network = networks.find(({ name }) => name === entry.network);
    const subnet = network?.subnets.find(({ name }) => name === entry.subnet) ?? network?.subnets[0];
    if (network === undefined || subnet === undefined) return [];
    const address = entry.address === 'dhcp' ? null : entry.address === 'pool' ? fromPool(network, subnet) : entry.address;
    return [{ networkId: network.id, subnet: subnet.name, address }];
  };

  const cloudIds = new Map(clouds.map(({ name, id }) => [name, id]));
  return entries.flatMap((entry): VmDefinition[] => {
    const cloudId = cloudIds.get(entry.cloud);
    if (cloudId === undefined) return [];
    return [
      {
        id: entry.id ?? VmId.parse(nameUuid(entry.replicaOf?.site ?? file.name, 'vm', entry.replicaOf?.cloud ?? entry.cloud, entry.name)),
        cloudId,
        name: entry.name,
        host: entry.host ?? null,
        cores: entry.cores,
        memoryBytes: entry.memory,
        disks: entry.disks.map(({ size, storage }) => ({ sizeBytes: size, storage })),
        adapters: entry.adapters.flatMap((one) => adapter(one, entry.replicaOf)),
        changeBytesPerSecond: entry.changeRate,
        isRunning: entry.power === 'running' && entry.replicaOf === undefined,
        traits: { guestStart: entry.guestStart },
        tags: entry.tags,
        replicates: replicationOf(entry),
      },
    ];
  });
}

/** The primary has it from a pool of its own; the replica learns its address only when replication is set up anew. */
function adapterAtPrimary({ network, subnet, address }: VmEntry['adapters'][number], site: string): AdapterDefinition {
  const isStatic = address !== 'dhcp' && address !== 'pool';
  return { networkId: NetworkId.parse(nameUuid(site, 'network', network)), subnet: subnet ?? '', address: isStatic ? address : null };
}

function replicationOf({ replicatesTo, replicaOf }: VmEntry): ReplicationDefinition | null {
  const cloudIdOf = ({ site, cloud }: { site: string; cloud: string }) => CloudId.parse(nameUuid(site, 'cloud', cloud));
  if (replicatesTo !== undefined) {
    const { policy, address } = replicatesTo;
    return { as: 'primary', policy, peer: { cloudId: cloudIdOf(replicatesTo), address } };
  }
  return replicaOf === undefined ? null : { as: 'replica', policy: replicaOf.policy, peer: { cloudId: cloudIdOf(replicaOf) } };
}
