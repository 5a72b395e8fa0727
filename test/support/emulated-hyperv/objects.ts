/** What the simulated sites know, as the objects that the cmdlets hand out (hyperv/facts.md, section 2). */
import type { RecoveryPoint, ReplicationMeasure } from '../../../provider-agent/fabric/fabric.ts';
import { EmulatedHosts, type EmulatedVm, referenceTo } from './hosts.ts';

type Made = Record<string, unknown>;

const TYPES = 'Microsoft.HyperV.PowerShell';
const upperFirst = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
const moment = (at: number | null) => (at === null ? null : new Date(at).toISOString());
const fullHost = ({ at, host }: EmulatedVm) => EmulatedHosts.fullName(at.definition, host);

export async function vmObject(hosts: EmulatedHosts, vm: EmulatedVm): Promise<Made> {
  const { view, replication, copy } = vm;
  return {
    $type: `${TYPES}.VirtualMachine`,
    $ref: referenceTo(vm),
    Id: vm.ref.vmId,
    Name: view.name,
    State: view.power === 'critical' ? 'OffCritical' : upperFirst(view.power),
    ReplicationMode: copy === null ? upperFirst(replication?.mode ?? 'none') : 'TestReplica',
    ReplicationState: upperFirst(replication?.state ?? 'disabled'),
    ReplicationHealth: upperFirst(replication?.health ?? 'notApplicable'),
    Notes: hosts.notes(vm),
    Groups: (view.tags ?? []).map((Name) => ({ $type: `${TYPES}.VMGroup`, $ref: Name, Name })),
    NetworkAdapters: adapterObjects(hosts, vm),
    IsClustered: false,
    CreationTime: moment(copy?.view.recoveryPoint.at ?? 0),
    Heartbeat: await heartbeat(vm),
    ComputerName: fullHost(vm),
  };
}

async function heartbeat({ at, ref, view }: EmulatedVm): Promise<string | null> {
  if (view.power !== 'running') return null;
  return (await at.site.guestAnswers(ref)) ? 'OkApplicationsUnknown' : 'NoContact';
}

export function adapterObjects(hosts: EmulatedHosts, vm: EmulatedVm): Made[] {
  return hosts.adapters(vm).map((switchName, i) => ({
    $type: `${TYPES}.VMNetworkAdapter`,
    $ref: `${referenceTo(vm)}/${i}`,
    Name: 'Network Adapter',
    VMId: vm.ref.vmId,
    VMName: vm.view.name,
    SwitchName: switchName,
    Connected: switchName !== '',
    IPAddresses: vm.view.power === 'running' ? addressesOf(hosts, vm, i) : [],
    ComputerName: fullHost(vm),
  }));
}

function addressesOf(hosts: EmulatedHosts, vm: EmulatedVm, index: number): string[] {
  const address = vm.at.site.adapters(vm.ref)[index]?.connected?.address;
  return [...(address == null ? [] : [address]), ...(hosts.moreAddresses.get(`${referenceTo(vm)}/${index}`) ?? [])];
}

export async function replicationObject(hosts: EmulatedHosts, vm: EmulatedVm): Promise<Made> {
  const { replication, at, ref } = vm;
  const settings = replication?.settings;
  const copy = await at.site.findTestCopy(ref);
  const copyVm = copy === null ? null : await hosts.find(at, copy.ref);
  return {
    $type: `${TYPES}.VMReplication`,
    $ref: referenceTo(vm),
    ...shared(vm),
    ReplicationRelationshipType: 'Simple',
    ReplicationFrequencySec: settings?.copyFrequencySeconds,
    RecoveryHistory: settings?.additionalRecoveryPoints,
    VSSSnapshotReplicationEnabled: settings?.applicationConsistentHours != null,
    VSSSnapshotFrequencyHour: settings?.applicationConsistentHours ?? 0,
    CompressionEnabled: settings?.compression,
    AuthenticationType: upperFirst(settings?.authentication ?? 'certificate'),
    InitialReplicationStartTime: moment(replication?.firstCopyAt ?? null),
    TestVirtualMachine: copyVm === null ? null : await vmObject(hosts, copyVm),
  };
}

export function healthObject(vm: EmulatedVm): Made {
  const kinds = { none: 'None', planned: 'Planned', unplanned: 'Regular' } as const;
  return {
    $type: `${TYPES}.VMReplicationHealth`,
    $ref: referenceTo(vm),
    ...shared(vm),
    FailedOverReplicationType: kinds[vm.replication?.failoverType ?? 'none'],
    ...measureObject(vm.at.site.measureOf(vm.ref)),
  };
}

function measureObject(measure: ReplicationMeasure | null): Made {
  if (measure === null) return {};
  const span = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString().slice(11, 23));
  return {
    MonitoringStartTime: moment(measure.since),
    SuccessfulReplicationCount: measure.cycles,
    MissedReplicationCount: measure.missed,
    ReplicationErrors: measure.errors,
    AverageReplicationSize: measure.averageBytes ?? 0,
    MaximumReplicationSize: measure.maximumBytes ?? 0,
    PendingReplicationSize: measure.pendingBytes ?? 0,
    AverageReplicationLatency: span(measure.averageLatencyMs),
    MaximumReplicationLatency: span(measure.maximumLatencyMs),
  };
}

function shared(vm: EmulatedVm): Made {
  const { replication, ref, view } = vm;
  return {
    VMId: ref.vmId,
    VMName: view.name,
    ReplicationMode: upperFirst(replication?.mode ?? 'none'),
    ReplicationState: upperFirst(replication?.state ?? 'disabled'),
    ReplicationHealth: upperFirst(replication?.health ?? 'notApplicable'),
    LastReplicationTime: moment(replication?.lastPointAt ?? null),
    ComputerName: fullHost(vm),
  };
}

export function snapshotObject(vm: EmulatedVm, { id, at, kind }: RecoveryPoint): Made {
  const type = kind === 'applicationConsistent' ? 'AppConsistentReplica' : 'Replica';
  return {
    $type: `${TYPES}.VMSnapshot`,
    $ref: `${referenceTo(vm)}/${id}`,
    Id: id,
    Name: `${vm.view.name} - ${kind === 'applicationConsistent' ? 'Application-consistent' : 'Standard'} Replica - (${moment(at)})`,
    VMId: vm.ref.vmId,
    VMName: vm.view.name,
    SnapshotType: type,
    CreationTime: moment(at),
    ComputerName: fullHost(vm),
  };
}

export function switchObjects(hosts: EmulatedHosts, fullName: string): Made[] {
  const { at, host } = hosts.named(fullName);
  const reached = at.definition.hosts.find(({ name }) => name === host)?.networkIds ?? [];
  const own = at.definition.networks.filter(({ id }) => reached.includes(id)).map(({ name, isIsolated }) => ({ name, isIsolated }));
  const made = [...(hosts.madeSwitches.get(fullName) ?? [])].map((name) => ({ name, isIsolated: true }));
  return [...own, ...made].map(({ name, isIsolated }) => ({
    $type: `${TYPES}.VMSwitch`,
    $ref: `${fullName}/${name}`,
    Name: name,
    SwitchType: isIsolated ? 'Private' : 'External',
    ComputerName: fullName,
  }));
}

export function serverObject(hosts: EmulatedHosts, fullName: string): Made {
  const { isEnabled, isOpenToAll, authentication, port, kerberosPort, thumbprint } = hosts.server(fullName);
  return {
    $type: `${TYPES}.VMReplicationServer`,
    $ref: fullName,
    ReplicationEnabled: isEnabled,
    ReplicationAllowedFromAnyServer: isOpenToAll,
    AllowedAuthenticationType: authentication,
    CertificateAuthenticationPort: port,
    KerberosAuthenticationPort: kerberosPort,
    CertificateThumbprint: thumbprint,
    ComputerName: fullName,
  };
}

export function entryObjects(hosts: EmulatedHosts, fullName: string): Made[] {
  return [...hosts.server(fullName).entries].map(([server, { storage, trustGroup }]) => ({
    $type: `${TYPES}.VMReplicationAuthorizationEntry`,
    $ref: `${fullName}/${server}`,
    AllowedPrimaryServer: server,
    ReplicaStorageLocation: storage,
    TrustGroup: trustGroup,
    ComputerName: fullName,
  }));
}
