/** The cmdlets that read. */
import type { RecoveryPoint } from '../../../provider-agent/fabric/fabric.ts';
import type { CmdletAnswer, CmdletCall } from '../powershell/model-server.ts';
import { type EmulatedHosts, type EmulatedVm, referenceTo } from './hosts.ts';
import {
  adapterObjects,
  entryObjects,
  healthObject,
  replicationObject,
  serverObject,
  snapshotObject,
  switchObjects,
  vmObject,
} from './objects.ts';
import { isGiven, referencesIn, StubRefusal, textIn, textsIn } from './stub-call.ts';

type Read = (call: CmdletCall, hosts: EmulatedHosts) => Promise<CmdletAnswer>;

export const reads: Readonly<Record<string, Read>> = {
  async 'Get-VM'(call, hosts) {
    const vms = await onHosts(call, hosts);
    const id = textIn(call, 'Id').toLowerCase();
    const found = isGiven(call, 'Id') ? vms.filter(({ ref }) => ref.vmId === id) : vms;
    // Neither id nor text of this error is in a public source: the module must not need them.
    if (isGiven(call, 'Id') && found.length === 0)
      throw new StubRefusal('InvalidParameter', 'InvalidArgument', `Hyper-V was unable to find a virtual machine with id ${id}.`);
    return { objects: await Promise.all(found.map((vm) => vmObject(hosts, vm))) };
  },

  async 'Get-VMReplication'(call, hosts) {
    const vms = (await asked(call, hosts)).filter(replicates);
    return { objects: await Promise.all(vms.map((vm) => replicationObject(hosts, vm))) };
  },

  async 'Measure-VMReplication'(call, hosts) {
    const mode = textIn(call, 'ReplicationMode').toLowerCase();
    const vms = (await asked(call, hosts)).filter((vm) => replicates(vm) && (mode === '' || vm.replication?.mode === mode));
    return { objects: vms.map(healthObject) };
  },

  /** The latest point of a replica is no checkpoint unless it is application-consistent; those kept beside it are. */
  async 'Get-VMSnapshot'(call, hosts) {
    const [vm] = await asked(call, hosts);
    if (vm === undefined) return {};
    return { objects: checkpoints(await vm.at.site.recoveryPoints(vm.ref)).map((point) => snapshotObject(vm, point)) };
  },

  async 'Get-CimInstance'(_call, { facts }) {
    return { objects: [facts.windows()] };
  },

  async 'Get-NetFirewallRule'(call, { facts }) {
    return { objects: facts.ruleObjects(textsIn(call, 'DisplayName')) };
  },

  async 'Get-ChildItem'(_call, { facts }) {
    return { objects: facts.certificateObjects() };
  },

  async 'Get-VMSwitch'(call, hosts) {
    return { objects: textsIn(call, 'ComputerName').flatMap((host) => switchObjects(hosts, host)) };
  },

  async 'Get-VMNetworkAdapter'(call, hosts) {
    return { objects: (await asked(call, hosts)).flatMap((vm) => adapterObjects(hosts, vm)) };
  },

  async 'Get-VMNetworkAdapterFailoverConfiguration'(call, hosts) {
    const given = referencesIn(call, 'VMNetworkAdapter');
    const ofVms = async () => (await asked(call, hosts)).flatMap((vm) => hosts.adapters(vm).map((_name, i) => `${referenceTo(vm)}/${i}`));
    const adapters = given.length > 0 ? given : await ofVms();
    const $type = 'Microsoft.HyperV.PowerShell.VMNetworkAdapterFailoverSetting';
    return { objects: adapters.map(($ref) => ({ $type, $ref, ...hosts.failoverSettings.get($ref) })) };
  },

  async 'Get-VMReplicationServer'(call, hosts) {
    return { objects: textsIn(call, 'ComputerName').map((host) => serverObject(hosts, host)) };
  },

  async 'Get-VMReplicationAuthorizationEntry'(call, hosts) {
    return { objects: textsIn(call, 'ComputerName').flatMap((host) => entryObjects(hosts, host)) };
  },
};

function checkpoints(points: readonly RecoveryPoint[]): RecoveryPoint[] {
  const newest = points.reduce<RecoveryPoint | null>((best, point) => (best === null || point.at > best.at ? point : best), null);
  return points.filter((point) => point !== newest || point.kind === 'applicationConsistent');
}

const replicates = ({ replication }: EmulatedVm) => replication !== null && replication.mode !== 'none';

async function onHosts(call: CmdletCall, hosts: EmulatedHosts): Promise<EmulatedVm[]> {
  return (await Promise.all(textsIn(call, 'ComputerName').map((host) => hosts.vmsOn(host)))).flat();
}

/** The VMs that were handed in, or all of the hosts named. */
export async function asked(call: CmdletCall, hosts: EmulatedHosts): Promise<EmulatedVm[]> {
  if (!isGiven(call, 'VM')) return onHosts(call, hosts);
  return Promise.all(referencesIn(call, 'VM').map((reference) => hosts.behind(reference)));
}
