/** What the emulated SCVMM knows, as the objects that its cmdlets hand out; names of properties are those that public scripts read. */
import { uuidOf } from '../simulated-sites.ts';
import { EmulatedHosts, type EmulatedVm, referenceTo } from './hosts.ts';
import { adapterIdOf, type EmulatedScvmm, poolOf, type ScGrant, type ScNetworkRecord } from './sc-server.ts';

type Made = Record<string, unknown>;
type Subnet = ScNetworkRecord['subnets'][number];

const TYPES = 'Microsoft.SystemCenter.VirtualMachineManager';
const guid = (id: string) => ({ $type: 'Guid', $value: id });
const moment = (at: number) => ({ $type: 'DateTime', $value: new Date(at).toISOString() });

/** A reference that a cmdlet gets back: the server, the kind, the rest. */
export const made = (scvmm: EmulatedScvmm, type: string, kind: string, key: string, properties: Made): Made => ({
  $type: `${TYPES}.${type}`,
  $ref: `${scvmm.server}|${kind}|${key}`,
  ...properties,
});

export const serverObject = (scvmm: EmulatedScvmm) => made(scvmm, 'ServerConnection', 'server', scvmm.server, { Name: scvmm.server });

const groupPath = (name: string) => `All Hosts\\${name}`;

export function cloudObject(scvmm: EmulatedScvmm, name: string): Made {
  const group = made(scvmm, 'HostGroup', 'group', name, { Name: name, Path: groupPath(name) });
  return made(scvmm, 'Cloud', 'cloud', name, { ID: guid(uuidOf(`cloud ${name}`)), Name: name, HostGroup: [group] });
}

/** Hosts stand in a group below that of their cloud. */
export function hostObjects(scvmm: EmulatedScvmm): Made[] {
  return scvmm.at.definition.clouds.flatMap((cloud) =>
    cloud.hosts.map((host) => {
      const name = EmulatedHosts.fullName(scvmm.at.definition, host);
      const group = made(scvmm, 'HostGroup', 'group', `${cloud.name} rack`, { Name: 'Rack 1', Path: `${groupPath(cloud.name)}\\Rack 1` });
      return made(scvmm, 'Host', 'host', name, { Name: name, ComputerName: host, VMHostGroup: group, HostCluster: null });
    }),
  );
}

export function networkObject(scvmm: EmulatedScvmm, { id, name, description, isVirtualized, logicalId }: ScNetworkRecord): Made {
  return made(scvmm, 'VMNetwork', 'network', id, {
    ID: guid(id),
    Name: name,
    Description: description,
    IsolationType: { $type: 'VMNetworkType', $value: isVirtualized ? 'WindowsNetworkVirtualization' : 'VLANNetwork' },
    VMNetworkGateways: [],
    LogicalNetwork: logicalObject(scvmm, logicalId),
  });
}

const logicalObject = (scvmm: EmulatedScvmm, id: string) =>
  made(scvmm, 'LogicalNetwork', 'logical', id, { ID: guid(id), Name: `Logical ${id.slice(0, 4)}` });

export function subnetObject(scvmm: EmulatedScvmm, network: ScNetworkRecord, { name, cidr }: Subnet): Made {
  const vlan = made(scvmm, 'SubnetVLan', 'vlan', cidr, { Subnet: cidr, VLanID: 0 });
  const id = guid(uuidOf(`subnet ${network.id} ${name}`));
  return made(scvmm, 'VMSubnet', 'subnet', `${network.id}/${name}`, { ID: id, Name: name, SubnetVLans: [vlan] });
}

/** A pool of a network with virtualization is that of its subnet, another belongs to the logical network. */
export function poolObject(scvmm: EmulatedScvmm, network: ScNetworkRecord, subnet: Subnet): Made {
  const id = poolOf(network.id, subnet.name);
  const site = made(scvmm, 'LogicalNetworkDefinition', 'site', network.id, { LogicalNetwork: logicalObject(scvmm, network.logicalId) });
  return made(scvmm, 'StaticIPAddressPool', 'pool', id, {
    ID: guid(id),
    Name: `${network.name} pool`,
    Subnet: subnet.cidr,
    VMSubnet: network.isVirtualized ? subnetObject(scvmm, network, subnet) : null,
    LogicalNetworkDefinition: network.isVirtualized ? null : site,
    IPAddressRangeStart: subnet.pool?.from,
    IPAddressRangeEnd: subnet.pool?.to,
    DefaultGateways: subnet.pool?.gateway == null ? [] : [{ IPAddress: subnet.pool.gateway }],
    DNSServers: subnet.pool?.dns ?? [],
  });
}

export function grantObject(scvmm: EmulatedScvmm, { id, address, description }: ScGrant): Made {
  return made(scvmm, 'AllocatedIPAddress', 'address', id, { ID: guid(id), Address: address, Description: description });
}

const states: Readonly<Record<string, string>> = {
  running: 'Running',
  off: 'PowerOff',
  starting: 'Starting',
  stopping: 'PoweringOff',
  paused: 'Paused',
  saved: 'Saved',
  critical: 'HostNotResponding',
};
const stateOf = (name: string) => ({ $type: 'VMComputerSystemState', $value: name });

export function vmObject(scvmm: EmulatedScvmm, vm: EmulatedVm): Made {
  const reference = referenceTo(vm);
  const { host, view, ref } = vm;
  const state = states[view.power] ?? 'HostNotResponding';
  const cloud = scvmm.seen.get(reference)?.cloud ?? null;
  return made(scvmm, 'VM', 'vm', reference, {
    ID: guid(uuidOf(`VM of SCVMM ${reference}`)),
    VMId: ref.vmId,
    Name: view.name,
    HostName: EmulatedHosts.fullName(scvmm.at.definition, host),
    Cloud: cloud === null ? null : cloudObject(scvmm, cloud),
    Status: stateOf(state),
    VirtualMachineState: stateOf(state),
    Tag: view.tags === undefined || view.tags.length === 0 ? '(none)' : view.tags.join(', '),
    VirtualNetworkAdapters: scvmm.hosts.adapters(vm).map((name, i) => {
      const network = scvmm.networkNamed(name);
      const id = guid(adapterIdOf(reference, i));
      return made(scvmm, 'VirtualNetworkAdapter', 'adapter', `${reference}/${i}`, {
        ID: id,
        VMNetwork: network === null ? null : networkObject(scvmm, network),
      });
    }),
  });
}

/** With the moment at which SCVMM saw it change last. */
export async function vmObjects(scvmm: EmulatedScvmm): Promise<Made[]> {
  const objects: Made[] = [];
  for (const [reference, seen] of scvmm.seen) {
    if (!seen.isMissing) {
      const now = await scvmm.behind(reference).then(
        (vm) => JSON.stringify(vmObject(scvmm, vm)),
        () => seen.text,
      );
      if (now !== seen.text) Object.assign(seen, { text: now, modifiedAt: scvmm.now() });
    }
    if (seen.text === '') continue;
    const state = seen.isMissing ? { Status: stateOf('Missing'), VirtualMachineState: stateOf('Missing') } : {};
    objects.push({ ...(JSON.parse(seen.text) as Made), ...state, ModifiedTime: moment(seen.modifiedAt) });
  }
  return objects;
}
