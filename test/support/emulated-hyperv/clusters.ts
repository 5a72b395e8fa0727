/** Failover clusters, as far as a Replica Broker needs them: roles with their resources. A role comes online when it is complete. */
import type { CmdletAnswer, CmdletCall } from '../powershell/model-server.ts';
import { isGiven, referencesIn, StubRefusal, textIn } from './stub-call.ts';

interface Resource {
  readonly type: string;
  readonly parameters: Map<string, unknown>;
  readonly dependsOn: Set<string>;
}

interface Group {
  readonly type: string;
  state: 'Offline' | 'Online' | 'Failed';
  readonly resources: Map<string, Resource>;
}

export const roleOf = (type: string, state: Group['state']): Group => ({ type, state, resources: new Map() });

export interface EmulatedCluster {
  readonly name: string;
  readonly networks: readonly { readonly name: string; readonly mask: string }[];
  readonly groups: Map<string, Group>;
}

type Answer = (call: CmdletCall, clusters: EmulatedClusters) => CmdletAnswer;

const TYPES = 'Microsoft.FailoverClusters.PowerShell';
const BROKER = ['IP Address', 'Network Name', 'Virtual Machine Replication Broker'] as const;

export class EmulatedClusters {
  readonly #clusters = new Map<string, EmulatedCluster>();

  add(name: string, network: string, mask: string): EmulatedCluster {
    const cluster: EmulatedCluster = { name, networks: [{ name: network, mask }], groups: new Map() };
    this.#clusters.set(name, cluster);
    return cluster;
  }

  of(call: CmdletCall): EmulatedCluster {
    const name = textIn(call, 'Cluster');
    const cluster = this.#clusters.get(name);
    if (cluster === undefined) throw new StubRefusal('ClusterNotFound', 'ObjectNotFound', `There is no cluster '${name}'.`);
    return cluster;
  }

  /** The resource that a reference `cluster/group/resource` means. */
  resource(reference: string): Resource {
    const [cluster = '', group = '', name = ''] = reference.split('/');
    const resource = this.#clusters.get(cluster)?.groups.get(group)?.resources.get(name);
    if (resource === undefined) throw new StubRefusal('ResourceNotFound', 'ObjectNotFound', `There is no resource '${reference}'.`);
    return resource;
  }

  /** Whether a role that is online has this name in DNS. */
  isBroker(shortName: string): boolean {
    return [...this.#clusters.values()].some(({ groups }) =>
      [...groups.values()].some(
        ({ state, type, resources }) =>
          type === 'VMReplicaBroker' &&
          state === 'Online' &&
          [...resources.values()].some((each) => each.parameters.get('DnsName') === shortName),
      ),
    );
  }
}

export const clusterReads: Readonly<Record<string, Answer>> = {
  'Get-ClusterGroup': (call, clusters) => {
    const { name, groups } = clusters.of(call);
    return { objects: [...groups].map(([group, made]) => groupObject(name, group, made)) };
  },
  'Get-ClusterResource': (call, clusters) => {
    const { name, groups } = clusters.of(call);
    return {
      objects: [...groups].flatMap(([group, { resources }]) =>
        [...resources].map(([resource, { type }]) => resourceObject(name, group, resource, type)),
      ),
    };
  },
  'Get-ClusterNetwork': (call, clusters) => ({
    objects: clusters
      .of(call)
      .networks.map(({ name, mask }) => ({ $type: `${TYPES}.ClusterNetwork`, $ref: name, Name: name, AddressMask: mask })),
  }),
  'Get-ClusterParameter': (call, clusters) => ({
    objects: referencesIn(call, 'InputObject').flatMap((reference) =>
      [...clusters.resource(reference).parameters]
        .filter(([name]) => name === textIn(call, 'Name'))
        .map(([Name, Value]) => ({ $type: `${TYPES}.ClusterParameter`, $ref: `${reference}/${Name}`, Name, Value })),
    ),
  }),
};

export const clusterChanges: Readonly<Record<string, Answer>> = {
  'Add-ClusterGroup': (call, clusters) => {
    const { name, groups } = clusters.of(call);
    const group = roleOf(textIn(call, 'GroupType'), 'Offline');
    groups.set(textIn(call, 'Name'), group);
    return { objects: [groupObject(name, textIn(call, 'Name'), group)] };
  },
  'Add-ClusterResource': (call, clusters) => {
    const { name, groups } = clusters.of(call);
    const [group, resource, type] = [textIn(call, 'Group'), textIn(call, 'Name'), textIn(call, 'ResourceType')];
    groups.get(group)?.resources.set(resource, { type, parameters: new Map(), dependsOn: new Set() });
    return { objects: [resourceObject(name, group, resource, type)] };
  },
  'Add-ClusterResourceDependency': (call, clusters) => {
    const [resource, provider] = [textIn(call, 'Resource'), textIn(call, 'Provider')];
    const all = [...clusters.of(call).groups.values()].flatMap(({ resources }) => [...resources]);
    const dependsOn = all.find(([name]) => name === resource)?.[1].dependsOn;
    if (dependsOn === undefined || dependsOn.has(provider))
      throw new StubRefusal('InvalidOperation', 'InvalidOperation', `'${resource}' cannot depend on '${provider}', or does already.`);
    dependsOn.add(provider);
    return {};
  },
  'Set-ClusterParameter': (call, clusters) => {
    const given = isGiven(call, 'Multiple')
      ? Object.entries(call.parameters.Multiple as object)
      : [[textIn(call, 'Name'), call.parameters.Value]];
    for (const reference of referencesIn(call, 'InputObject'))
      for (const [name, value] of given) clusters.resource(reference).parameters.set(String(name), value);
    return {};
  },
  'Start-ClusterGroup': (call, clusters) => {
    const { name, groups } = clusters.of(call);
    const group = groups.get(textIn(call, 'Name'));
    if (group === undefined) throw new StubRefusal('GroupNotFound', 'ObjectNotFound', 'There is no such role.');
    group.state = isComplete(group) ? 'Online' : 'Failed';
    return { objects: [groupObject(name, textIn(call, 'Name'), group)] };
  },
};

/** Each resource depends on the one before it, and the address is one: given, or to be asked for. */
function isComplete({ resources }: Group): boolean {
  const [ip, name, broker] = BROKER.map((type) => [...resources].find(([, resource]) => resource.type === type));
  if (ip === undefined || name === undefined || broker === undefined) return false;
  const address = ip[1].parameters;
  const isAddressed = address.has('Network') && (address.get('EnableDhcp') === 1 || (address.has('Address') && address.has('SubnetMask')));
  return isAddressed && name[1].dependsOn.has(ip[0]) && broker[1].dependsOn.has(name[0]);
}

const groupObject = (cluster: string, name: string, { type, state }: Group) => ({
  $type: `${TYPES}.ClusterGroup`,
  $ref: `${cluster}/${name}`,
  Name: name,
  GroupType: type,
  State: state,
});

const resourceObject = (cluster: string, group: string, name: string, type: string) => ({
  $type: `${TYPES}.ClusterResource`,
  $ref: `${cluster}/${group}/${name}`,
  Name: name,
  ResourceType: type,
  OwnerGroup: group,
});
