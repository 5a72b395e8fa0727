/**
 * What `agent.yaml` says of a site of plain Hyper-V hosts, without SCVMM: which hosts make a cloud, where they receive replicas and
 * from whom. SCVMM itself (clouds, VM networks, address pools) is not driven yet, and no setting pretends so.
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
  hosts: z.array(HostName).min(1).max(1024),
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
  .superRefine(({ clouds, networks }, context) => {
    const report: Report = (path, message, allowed) =>
      context.addIssue({ code: 'custom', path, message, ...(allowed === undefined ? {} : { params: { allowed } }) });
    checkSubnets(networks, ['networks'], report);
    for (const [i, cloud] of clouds.entries()) checkBroker(cloud, ['clouds', i], report);
    const seen = new Map<string, string>();
    for (const [i, { name, hosts }] of clouds.entries())
      for (const [j, host] of hosts.entries()) {
        const other = seen.get(host.toLowerCase());
        if (other !== undefined)
          context.addIssue({ code: 'custom', path: ['clouds', i, 'hosts', j], message: `the host is in the cloud '${other}' already` });
        seen.set(host.toLowerCase(), name);
      }
    for (const [i, { name }] of clouds.entries())
      if (clouds.findIndex((other) => other.name === name) !== i)
        context.addIssue({ code: 'custom', path: ['clouds', i, 'name'], message: `there is a cloud '${name}' already` });
  });
export type HyperVConfig = z.infer<typeof HyperVConfig>;

/** A Windows name of a computer. */
const LONGEST_NAME = 15;

function checkBroker({ cluster, hosts, replicaServer, makeBroker }: z.infer<typeof Cloud>, path: PropertyKey[], report: Report): void {
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
  readonly replicaServer: string;
  readonly makeBroker: { readonly network: string; readonly address?: string | undefined } | null;
  readonly replicaStorage: string;
}

export function cloudsOf({ name: site, clouds }: HyperVConfig): HyperVCloud[] {
  return clouds.map(({ name, id, hosts, cluster, replicaServer, makeBroker, replicaStorage }) => ({
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
