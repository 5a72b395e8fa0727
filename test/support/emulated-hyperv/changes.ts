/** The cmdlets that change something: each is an operation of the simulated site, which knows the states and refuses. */
import type { Act } from '../../../provider-agent/fabric/fabric.ts';
import { type FirstCopy, firstCopyNow } from '../../../shared/domain/first-copy.ts';
import { defaultPolicy, type ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { CmdletAnswer, CmdletCall } from '../powershell/model-server.ts';
import type { EmulatedHosts, EmulatedVm } from './hosts.ts';
import { vmObject } from './objects.ts';
import { asked } from './reads.ts';
import type { ReplicaServers } from './replica-servers.ts';
import { isGiven, referencesIn, StubRefusal, textIn, textsIn } from './stub-call.ts';

export interface ChangePorts {
  readonly hosts: EmulatedHosts;
  readonly servers: ReplicaServers;
  readonly act: Act;
}

type Change = (call: CmdletCall, ports: ChangePorts) => Promise<void>;
type Maker = (call: CmdletCall, ports: ChangePorts) => Promise<CmdletAnswer>;

/** The one VM that was handed in. */
async function vmOf(call: CmdletCall, { hosts }: ChangePorts): Promise<EmulatedVm> {
  const [vm] = await asked(call, hosts);
  if (vm === undefined) throw new StubRefusal('ObjectNotFound', 'ObjectNotFound', 'There is no such virtual machine.');
  return vm;
}

export const changes: Readonly<Record<string, Change>> = {
  async 'Set-VM'(call, ports) {
    ports.hosts.setNotes(await vmOf(call, ports), textIn(call, 'Notes'));
  },

  async 'Start-VM'(call, ports) {
    const { at, ref, copy } = await vmOf(call, ports);
    await (copy === null ? at.site.startVm(ref, ports.act) : at.site.startTestVm(copy.replica, ports.act));
  },

  async 'Stop-VM'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.stopVm(ref, ports.act);
  },

  async 'Remove-VM'(call, ports) {
    const vm = await vmOf(call, ports);
    const { at, ref, copy } = vm;
    await (copy === null ? at.site.deleteVm(ref, ports.act) : at.site.stopTestFailover(copy.replica, ports.act));
    ports.hosts.forget(vm);
  },

  async 'Connect-VMNetworkAdapter'(call, ports) {
    await plug(call, ports, textIn(call, 'SwitchName'));
  },

  async 'Disconnect-VMNetworkAdapter'(call, ports) {
    await plug(call, ports, '');
  },

  async 'New-VMSwitch'(call, { hosts }) {
    for (const host of textsIn(call, 'ComputerName')) {
      const made = hosts.madeSwitches.get(host) ?? new Set();
      hosts.madeSwitches.set(host, made.add(textIn(call, 'Name')));
    }
  },

  async 'Remove-VMSwitch'(call, { hosts }) {
    for (const host of textsIn(call, 'ComputerName')) hosts.madeSwitches.get(host)?.delete(textIn(call, 'Name'));
  },

  async 'Set-VMNetworkAdapterFailoverConfiguration'(call, { hosts }) {
    const isOf = (family: string) => (name: string) => name.startsWith(family);
    const given = Object.entries(call.parameters).filter(([name]) => isOf('IPv')(name));
    const cleared = ['IPv4', 'IPv6'].filter((family) => isGiven(call, `ClearFailover${family}Settings`));
    for (const reference of referencesIn(call, 'VMNetworkAdapter')) {
      const before = Object.entries(hosts.failoverSettings.get(reference) ?? {});
      const kept = before.filter(([name]) => !cleared.some((family) => isOf(family)(name)));
      hosts.failoverSettings.set(reference, Object.fromEntries([...kept, ...given]));
    }
  },

  async 'Enable-VMReplication'(call, ports) {
    const vm = await vmOf(call, ports);
    const target = ports.servers.target(call);
    await vm.at.site.enableReplication(vm.ref, target, policyIn(call, defaultPolicy), ports.act);
    ports.hosts.copyNotes(vm, { cloudId: target.cloudId, vmId: vm.ref.vmId });
  },

  async 'Start-VMInitialReplication'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.startInitialReplication(ref, firstCopyIn(call), ports.act);
  },

  async 'Import-VMInitialReplication'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.importInitialReplication(ref, textIn(call, 'Path'), ports.act);
  },

  async 'Set-VMReplication'(call, ports) {
    const { at, ref, replication } = await vmOf(call, ports);
    if (isGiven(call, 'AsReplica')) return at.site.becomeReplica(ref, ports.act);
    const policy = policyIn(call, { ...defaultPolicy, ...replication?.settings } as ProtectionPolicy);
    if (!isGiven(call, 'Reverse')) return at.site.setReplicationPolicy(ref, policy, ports.act);
    const target = ports.servers.target(call);
    await at.site.reverseReplication(ref, target, policy, ports.act);
  },

  async 'Remove-VMReplication'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.removeReplication(ref, ports.act);
  },

  async 'Suspend-VMReplication'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.suspendReplication(ref, ports.act);
  },

  async 'Resume-VMReplication'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await (isGiven(call, 'Resynchronize') ? at.site.resynchronize(ref, ports.act) : at.site.resumeReplication(ref, ports.act));
  },

  /** On a replica that was failed over it takes that back, else it removes the test copy. */
  async 'Stop-VMFailover'(call, ports) {
    const { at, ref, replication } = await vmOf(call, ports);
    const copy = await at.site.findTestCopy(ref);
    if (copy === null || replication?.state !== 'replicating') return at.site.stopFailover(ref, ports.act);
    await at.site.stopTestFailover(ref, ports.act);
  },

  async 'Complete-VMFailover'(call, ports) {
    const { at, ref } = await vmOf(call, ports);
    await at.site.completeFailover(ref, ports.act);
  },

  async 'Set-VMReplicationServer'(call, { hosts, servers, act }) {
    for (const host of textsIn(call, 'ComputerName')) {
      const server = hosts.server(host);
      if (call.parameters.ReplicationEnabled !== undefined) server.isEnabled = call.parameters.ReplicationEnabled === true;
      if (call.parameters.ReplicationAllowedFromAnyServer !== undefined)
        server.isOpenToAll = call.parameters.ReplicationAllowedFromAnyServer === true;
      server.authentication = textIn(call, 'AllowedAuthenticationType') || server.authentication;
      server.port = Number(textIn(call, 'CertificateAuthenticationPort') || server.port);
      server.kerberosPort = Number(textIn(call, 'KerberosAuthenticationPort') || server.kerberosPort);
      server.thumbprint = textIn(call, 'CertificateThumbprint') || server.thumbprint;
      await servers.settle(host, act);
    }
  },

  async 'New-VMReplicationAuthorizationEntry'(call, { hosts, servers, act }) {
    for (const host of textsIn(call, 'ComputerName')) {
      const server = hosts.server(host);
      const name = textIn(call, 'AllowedPrimaryServer');
      if (server.isOpenToAll || server.entries.has(name))
        throw new StubRefusal('InvalidOperation', 'InvalidOperation', `Failed to add authorization entry for '${name}'.`);
      server.entries.set(name, { storage: textIn(call, 'ReplicaStorageLocation'), trustGroup: textIn(call, 'TrustGroup') });
      await servers.settle(host, act);
    }
  },

  async 'Remove-VMReplicationAuthorizationEntry'(call, { hosts, servers, act }) {
    for (const reference of referencesIn(call, 'VMReplicationAuthorizationEntry')) {
      const [host = '', name = ''] = reference.split('/');
      hosts.server(host).entries.delete(name);
      await servers.settle(host, act);
    }
  },

  'Import-Certificate': async () => {},
  'Enable-NetFirewallRule': async () => {},
};

/** Changes that hand out an object. */
export const makers: Readonly<Record<string, Maker>> = {
  async 'Start-VMFailover'(call, ports) {
    const [siteId, cloudId, vmId, pointId] = (referencesIn(call, 'VMRecoverySnapshot')[0] ?? '').split('/');
    const vm = pointId === undefined ? await vmOf(call, ports) : await ports.hosts.behind(`${siteId}/${cloudId}/${vmId}`);
    const { at, ref } = vm;
    if (isGiven(call, 'Prepare')) await at.site.prepareFailover(ref, ports.act);
    else if (!isGiven(call, 'AsTest')) await at.site.startFailover(ref, pointId ?? null, ports.act);
    if (!isGiven(call, 'AsTest')) return {};
    await at.site.startTestFailover(ref, pointId ?? null, ports.act);
    const copy = await at.site.findTestCopy(ref);
    const made = copy === null ? null : await ports.hosts.find(at, copy.ref);
    if (made === null) return {};
    ports.hosts.copyNotes(vm, made.ref);
    return isGiven(call, 'Passthru') ? { objects: [await vmObject(ports.hosts, made)] } : {};
  },

  /** Nothing here opens it: the thumbprint is made of where it was. */
  async 'Import-PfxCertificate'() {
    const name = 'System.Security.Cryptography.X509Certificates.X509Certificate2';
    return { objects: [{ $type: name, $ref: 'certificate', Thumbprint: 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334', HasPrivateKey: true }] };
  },
};

async function plug(call: CmdletCall, { hosts }: ChangePorts, switchName: string): Promise<void> {
  for (const reference of referencesIn(call, 'VMNetworkAdapter')) {
    const at = reference.lastIndexOf('/');
    hosts.adapters(await hosts.behind(reference.slice(0, at)))[Number(reference.slice(at + 1))] = switchName;
  }
}

function firstCopyIn(call: CmdletCall): FirstCopy {
  if (isGiven(call, 'DestinationPath')) return { how: 'export', folder: textIn(call, 'DestinationPath') };
  if (!isGiven(call, 'InitialReplicationStartTime')) return firstCopyNow;
  return { how: 'at', at: new Date(textIn(call, 'InitialReplicationStartTime')).toISOString() };
}

function policyIn(call: CmdletCall, before: ProtectionPolicy): ProtectionPolicy {
  const { ReplicationFrequencySec, RecoveryHistory, VSSSnapshotFrequencyHour, CompressionEnabled } = call.parameters;
  return {
    ...before,
    ...(ReplicationFrequencySec === undefined
      ? {}
      : { copyFrequencySeconds: ReplicationFrequencySec as ProtectionPolicy['copyFrequencySeconds'] }),
    ...(RecoveryHistory === undefined ? {} : { additionalRecoveryPoints: Number(RecoveryHistory) }),
    ...(VSSSnapshotFrequencyHour === undefined ? {} : { applicationConsistentHours: Number(VSSSnapshotFrequencyHour) }),
    ...(isGiven(call, 'DisableVSSSnapshotReplication') ? { applicationConsistentHours: null } : {}),
    ...(isGiven(call, 'AuthenticationType')
      ? { authentication: textIn(call, 'AuthenticationType') === 'Kerberos' ? 'kerberos' : 'certificate' }
      : {}),
    ...(CompressionEnabled === undefined ? {} : { compression: CompressionEnabled === true }),
  };
}
