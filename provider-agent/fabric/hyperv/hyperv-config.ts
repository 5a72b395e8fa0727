/**
 * What `agent.yaml` says of a site of Hyper-V hosts: which make a cloud, where they receive replicas and from whom. Where SCVMM manages them it
 * knows the hosts of a cloud, the networks and their pools, and nothing of it is said here.
 */
import { z } from 'zod';
import { CloudId, NetworkId, SiteId } from '../../../shared/ids.ts';
import { nameUpTo } from '../../../shared/names.ts';
import type { Report } from '../loose-fields.ts';
import { nameUuid } from '../name-uuid.ts';
import { checkSubnets, subnetsOf } from '../subnet.ts';

/** A full name, so that it can stand in a certificate. */
const HostName = z.string().regex(/^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$/i, 'must be a full name: hv1.example.org');

const Cloud = z.strictObject({
  name: nameUpTo(256),
  id: CloudId.optional(),
  /** SCVMM tells them where there is one. */
  hosts: z.array(HostName).min(1).max(1024).optional(),
  /** They are nodes of one failover cluster: calls to it are limited together. */
  cluster: z.string().min(1).optional(),
  /** Where replicas are sent to: the Replica Broker of a cluster, else one of the hosts; left out: the first host. */
  replicaServer: HostName.optional(),
  /** Where the cluster has no Replica Broker one is made, in this network of the cluster; without an address by DHCP. */
  makeBroker: z.strictObject({ network: z.string().min(1), address: z.ipv4().optional() }).optional(),
  /** Where replicas are kept: a folder of the host, in a cluster of a shared volume. */
  replicaStorage: z.string().min(1),
});

export const HyperVConfig = z
  .strictObject({
    kind: z.literal('hyperv'),
    /** The site's own name; ids of clouds and networks are made from it, so it stays as it is. */
    name: nameUpTo(256),
    /** Manages the hosts; left out: plain hosts. The agent runs beside it, where its console is installed. */
    scvmm: z.strictObject({ server: z.string().min(1).max(255), port: z.int().min(1).max(65_535).default(8100) }).optional(),
    /** With SCVMM: by the names that they have there. */
    clouds: z.array(Cloud).min(1),
    /** Networks in which a failover gives fixed addresses, by the names of their switches; in others a guest keeps what it has. */
    networks: z.array(z.strictObject({ name: nameUpTo(256), subnets: subnetsOf(z.string().min(1)) })).default([]),
    /** Hosts of other sites that may send replicas here, by full name or `*.` and a domain. */
    senders: z
      .array(z.strictObject({ site: SiteId, hosts: z.array(z.string().regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$/i)).min(1) }))
      .default([]),
    /** Left out: Windows PowerShell, elsewhere pwsh. */
    powershell: z.string().min(1).optional(),
    callsAtOnce: z.int().min(1).max(64).default(6),
    callsPerHost: z.int().min(1).max(64).default(2),
    callsPerCluster: z.int().min(1).max(64).default(4),
  })
  .superRefine(({ clouds, scvmm, networks }, context) => {
    const report: Report = (path, message, allowed) =>
      context.addIssue({ code: 'custom', path, message, ...(allowed === undefined ? {} : { params: { allowed } }) });
    checkSubnets(networks, ['networks'], report);
    for (const [i, cloud] of clouds.entries()) checkBroker(cloud, scvmm !== undefined, ['clouds', i], report);
    const wrong = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (scvmm !== undefined && networks.length > 0) wrong(['networks'], 'SCVMM tells the networks and their pools: leave it out');
    for (const [i, { hosts, cluster }] of clouds.entries()) {
      if (scvmm === undefined && hosts === undefined)
        wrong(['clouds', i, 'hosts'], 'name the hosts of the cloud, or the SCVMM server that knows them');
      if (scvmm !== undefined && hosts !== undefined) wrong(['clouds', i, 'hosts'], 'SCVMM tells the hosts: leave it out');
      if (scvmm !== undefined && cluster !== undefined) wrong(['clouds', i, 'cluster'], 'SCVMM tells the cluster: leave it out');
    }
    const seen = new Map<string, string>();
    for (const [i, { name, hosts = [] }] of clouds.entries())
      for (const [j, host] of hosts.entries()) {
        const other = seen.get(host.toLowerCase());
        if (other !== undefined) wrong(['clouds', i, 'hosts', j], `the host is in the cloud '${other}' already`);
        seen.set(host.toLowerCase(), name);
      }
    for (const [i, { name }] of clouds.entries())
      if (clouds.findIndex((other) => other.name === name) !== i) wrong(['clouds', i, 'name'], `there is a cloud '${name}' already`);
  });
export type HyperVConfig = z.infer<typeof HyperVConfig>;

/** A Windows name of a computer. */
const LONGEST_NAME = 15;

/** With SCVMM it is not known yet whether the hosts are a cluster. */
function checkBroker(
  { cluster, hosts = [], replicaServer, makeBroker }: z.infer<typeof Cloud>,
  hasScvmm: boolean,
  path: PropertyKey[],
  report: Report,
): void {
  if (hasScvmm) return;
  if (cluster === undefined) {
    if (makeBroker !== undefined)
      report([...path, 'makeBroker'], 'hosts that are no cluster have no Replica Broker', 'only beside cluster');
    return;
  }
  const isHost = hosts.some((host) => host.toLowerCase() === replicaServer?.toLowerCase());
  if (replicaServer === undefined || isHost)
    report(
      [...path, 'replicaServer'],
      `the cluster '${cluster}' receives replicas at its Replica Broker`,
      'the full name of the broker: rdg-broker.example.org',
    );
  else if (makeBroker !== undefined && replicaServer.indexOf('.') > LONGEST_NAME)
    report([...path, 'replicaServer'], `'${replicaServer}' cannot be made`, `at most ${LONGEST_NAME} characters before the first dot`);
}

export interface HyperVCloud {
  readonly id: CloudId;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly cluster: string | null;
  /** Empty: a cluster whose Replica Broker nobody has named. */
  readonly replicaServer: string;
  readonly makeBroker: { readonly network: string; readonly address?: string | undefined } | null;
  readonly replicaStorage: string;
}

/** As they are written down; with SCVMM they have no hosts yet. */
export function cloudsOf({ name: site, clouds }: HyperVConfig): HyperVCloud[] {
  return clouds.map(({ name, id, hosts = [], cluster, replicaServer, makeBroker, replicaStorage }) => ({
    id: id ?? CloudId.parse(nameUuid(site, 'cloud', name)),
    name,
    hosts,
    cluster: cluster ?? null,
    replicaServer: replicaServer ?? hosts[0] ?? '',
    makeBroker: makeBroker ?? null,
    replicaStorage,
  }));
}

/** Switches have an id on each host; what makes them one network, for Hyper-V too when a VM moves, is their name. */
export function networkIdOf(site: string, switchName: string): NetworkId {
  return NetworkId.parse(nameUuid(site, 'network', switchName));
}
