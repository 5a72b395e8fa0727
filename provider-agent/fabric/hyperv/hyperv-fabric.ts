/**
 * The fabric port over plain Hyper-V hosts: each call is one function of the PowerShell module, which looks, acts and looks again. The
 * clouds are those of `agent.yaml`, networks are the switches by name, the epoch stands in the notes of the VM (ADR 0026).
 */

import type { FirstCopy } from '../../../shared/domain/first-copy.ts';
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { CloudId, JobId, NetworkId, PairingId, VmRef } from '../../../shared/ids.ts';
import type {
  Act,
  DrillNetworkView,
  Fabric,
  HostsPreparation,
  InventoryChanges,
  NetworkExposure,
  NetworkMapping,
  RecoveryPoint,
  ReplicaTarget,
  ReplicationHost,
  TestCopyView,
  VmView,
} from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { DrillNetworks } from './drill-networks.ts';
import { HostPreparation } from './host-preparation.ts';
import { connectedIn, type Machine, newestFirst, noteOf, viewOf } from './hyperv-answers.ts';
import { cloudsOf, type HyperVConfig, networkIdOf } from './hyperv-config.ts';
import { InventoryReader } from './inventory-reader.ts';
import { ModuleCalls, type ModuleFunction } from './module-calls.ts';
import { type AdapterPlan, NetworkPlan } from './network-plan.ts';
import type { PowerShellHost } from './powershell-host.ts';
import type { Preparations } from './preparations.ts';

export interface HyperVFabricOptions {
  readonly config: HyperVConfig;
  readonly host: PowerShellHost;
  readonly preparations: Preparations;
  /** One for each life of the agent. */
  readonly instanceId: string;
  readonly callLimitMs: number;
}

export class HyperVFabric implements Fabric {
  readonly #calls: ModuleCalls;
  readonly #host: PowerShellHost;
  readonly #inventory: InventoryReader;
  readonly #hosts: HostPreparation;
  readonly #plan: NetworkPlan;
  readonly #drills: DrillNetworks;
  readonly #networkId: (switchName: string) => NetworkId;

  constructor({ config, host, preparations, instanceId, callLimitMs }: HyperVFabricOptions) {
    const clouds = cloudsOf(config);
    this.#host = host;
    this.#networkId = (name) => networkIdOf(config.name, name);
    this.#calls = new ModuleCalls(host, clouds, { limitMs: callLimitMs, perHost: config.callsPerHost, perCluster: config.callsPerCluster });
    this.#inventory = new InventoryReader({ calls: this.#calls, clouds, networkId: this.#networkId, instanceId });
    this.#plan = new NetworkPlan(config);
    this.#drills = new DrillNetworks(this.#calls, clouds, this.#networkId);
    this.#hosts = new HostPreparation(this.#calls, config.senders, preparations);
  }

  readInventory(cursor: string | null): Promise<InventoryChanges> {
    return this.#inventory.read(cursor);
  }

  async findVm(ref: VmRef): Promise<VmView | null> {
    const machine = await this.#find(ref);
    return machine === null ? null : viewOf(machine, this.#calls.cloud(ref.cloudId), this.#networkId);
  }

  async recoveryPoints(ref: VmRef): Promise<readonly RecoveryPoint[]> {
    return newestFirst((await this.#calls.ofVm('Get-FarshoreRecoveryPoint', ref)).points);
  }

  async findTestCopy(replica: VmRef): Promise<TestCopyView | null> {
    const copy = await this.#calls.ofVm('Get-FarshoreTestCopy', replica);
    if (copy === null) return null;
    const { id, name, power, switches, recoveryPoint } = copy;
    return {
      ref: { cloudId: replica.cloudId, vmId: id },
      name,
      power,
      networkIds: connectedIn(switches).map(this.#networkId),
      recoveryPoint,
    };
  }

  networkExposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    return this.#inventory.exposure(networkId);
  }

  drillNetworks(): Promise<readonly DrillNetworkView[]> {
    return this.#drills.all();
  }

  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void> {
    return this.#drills.make(drill, like, act);
  }

  removeDrillNetwork(drill: JobId, act: Act): Promise<void> {
    return this.#drills.remove(drill, act);
  }

  async replicationHosts(cloudId: CloudId): Promise<readonly ReplicationHost[]> {
    return this.#hosts.named(cloudId);
  }

  prepareHosts(preparation: HostsPreparation, act: Act): Promise<{ readonly address: string }> {
    return this.#hosts.prepare(preparation, act);
  }

  releaseHosts(pairingId: PairingId, cloudId: CloudId, act: Act): Promise<void> {
    return this.#hosts.release(pairingId, cloudId, act);
  }

  async enableReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    await this.#send('Enable-FarshoreReplication', ref, target, policy, act);
  }

  startInitialReplication(ref: VmRef, firstCopy: FirstCopy, act: Act): Promise<void> {
    return this.#do('Start-FarshoreInitialReplication', ref, act, {
      ...(firstCopy.how === 'at' && { At: Date.parse(firstCopy.at) }),
      ...(firstCopy.how === 'export' && { Folder: firstCopy.folder }),
    });
  }

  importInitialReplication(ref: VmRef, folder: string, act: Act): Promise<void> {
    return this.#do('Import-FarshoreInitialReplication', ref, act, { Folder: folder });
  }

  async configureReplica(ref: VmRef, networks: readonly NetworkMapping[], act: Act): Promise<void> {
    const machine = await this.#need(ref);
    // One that was the primary keeps the place it had: it stands there still, or its own plan is noted.
    const keepsOwn = noteOf(machine, 'ownPlan') !== null || machine.switches.some((name) => name !== '');
    const plans = keepsOwn || machine.mode !== 'replica' ? [] : await this.#plansFor(ref, machine, networks);
    await this.#do('Set-FarshoreReplicaNetwork', ref, act, {
      SwitchName: plans.map(({ switchName }) => switchName),
      Address: plans.map(({ addresses }) => addresses),
      Keep: keepsOwn,
    });
  }

  setReplicationPolicy(ref: VmRef, policy: ProtectionPolicy, act: Act): Promise<void> {
    return this.#do('Set-FarshoreReplicationPolicy', ref, act, { Policy: policyOf(policy) });
  }

  removeReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Remove-FarshoreReplication', ref, act);
  }

  deleteVm(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Remove-FarshoreVM', ref, act);
  }

  prepareFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Initialize-FarshoreFailover', ref, act);
  }

  startFailover(ref: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#do('Start-FarshoreFailover', ref, act, { PointId: recoveryPointId ?? '', Command: act.commandId });
  }

  stopFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Stop-FarshoreFailover', ref, act);
  }

  completeFailover(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Complete-FarshoreFailover', ref, act);
  }

  becomeReplica(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Set-FarshoreAsReplica', ref, act);
  }

  async reverseReplication(ref: VmRef, target: ReplicaTarget, policy: ProtectionPolicy, act: Act): Promise<void> {
    await this.#send('Switch-FarshoreReplication', ref, target, policy, act);
  }

  suspendReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Suspend-FarshoreReplication', ref, act);
  }

  resumeReplication(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Resume-FarshoreReplication', ref, act);
  }

  resynchronize(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Sync-FarshoreReplication', ref, act);
  }

  startTestFailover(replica: VmRef, recoveryPointId: string | null, act: Act): Promise<void> {
    return this.#do('Start-FarshoreTestFailover', replica, act, { PointId: recoveryPointId ?? '' });
  }

  async connectTestCopy(replica: VmRef, networkId: NetworkId, act: Act): Promise<void> {
    const SwitchName = await this.#switchNamed(replica, networkId, act);
    await this.#do('Connect-FarshoreTestCopy', replica, act, { SwitchName });
  }

  startTestVm(replica: VmRef, act: Act): Promise<void> {
    return this.#do('Start-FarshoreTestVM', replica, act);
  }

  stopTestFailover(replica: VmRef, act: Act): Promise<void> {
    return this.#do('Stop-FarshoreTestFailover', replica, act);
  }

  stopVm(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Stop-FarshoreVM', ref, act);
  }

  startVm(ref: VmRef, act: Act): Promise<void> {
    return this.#do('Start-FarshoreVM', ref, act);
  }

  async hostOf(ref: VmRef): Promise<string | null> {
    return (await this.#find(ref))?.host ?? null;
  }

  async addressesOf(ref: VmRef): Promise<readonly string[]> {
    return (await this.#calls.ofVm('Get-FarshoreAddress', ref)).addresses;
  }

  guestAnswers(ref: VmRef): Promise<boolean> {
    return this.#calls.ofVm('Test-FarshoreGuest', ref);
  }

  writeEpoch(ref: VmRef, epoch: number, act: Act): Promise<void> {
    return this.#do('Set-FarshoreEpoch', ref, act, { Place: ref.cloudId, Epoch: epoch });
  }

  async close(): Promise<void> {
    this.#host.close();
  }

  async #do(name: ModuleFunction, ref: VmRef, { signal }: Act, given: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.#calls.ofVm(name, ref, given, signal);
  }

  async #find(ref: VmRef): Promise<Machine | null> {
    const machine = await this.#calls.ofVm('Get-FarshoreVM', ref);
    if (machine !== null) this.#calls.noteHost(ref, machine.host);
    return machine;
  }

  async #need(ref: VmRef): Promise<Machine> {
    const machine = await this.#find(ref);
    if (machine === null) throw new FabricError('ERR_VM_NOT_FOUND', 'ObjectNotFound', 'GetVM', `there is no VM ${ref.vmId}`);
    return machine;
  }

  /** Makes it send to the target; the networks it stands on go with it in its notes. */
  async #send(
    name: 'Enable-FarshoreReplication' | 'Switch-FarshoreReplication',
    ref: VmRef,
    target: ReplicaTarget,
    policy: ProtectionPolicy,
    act: Act,
  ): Promise<void> {
    this.#hosts.refuseUnlessPrepared(ref.cloudId, target);
    const machine = await this.#need(ref);
    const at = target.address.lastIndexOf(':');
    await this.#do(name, ref, act, {
      Target: {
        server: target.address.slice(0, at),
        port: Number(target.address.slice(at + 1)),
        authentication: policy.authentication === 'certificate' ? 'Certificate' : 'Kerberos',
      },
      Policy: policyOf(policy),
      Adapters: this.#plan.sourcesOf(machine),
    });
  }

  async #plansFor(ref: VmRef, machine: Machine, networks: readonly NetworkMapping[]): Promise<AdapterPlan[]> {
    const { switches } = await this.#calls.ofHost('Get-FarshoreSwitch', this.#calls.cloud(ref.cloudId), machine.host);
    const taken = this.#plan.hasPools ? await this.#inventory.takenAddresses() : [];
    return this.#plan.plansFor(
      machine,
      networks,
      switches.map(({ name }) => name),
      taken,
    );
  }

  /** Throws ERR_NETWORK_NOT_FOUND where the host of the VM has no such switch, and it is none of a drill. */
  async #switchNamed(ref: VmRef, networkId: NetworkId, { signal }: Act): Promise<string> {
    const { host } = await this.#need(ref);
    const cloud = this.#calls.cloud(ref.cloudId);
    const { switches } = await this.#calls.ofHost('Get-FarshoreSwitch', cloud, host);
    const found = switches.find(({ name }) => this.#networkId(name) === networkId)?.name;
    const name = found ?? (await this.#drills.extendTo(cloud, host, networkId, signal));
    if (name === null)
      throw new FabricError('ERR_NETWORK_NOT_FOUND', 'ObjectNotFound', 'GetVMSwitch', `${host} has no switch of the network ${networkId}`);
    return name;
  }
}

function policyOf({ copyFrequencySeconds, additionalRecoveryPoints, applicationConsistentHours, compression }: ProtectionPolicy) {
  return {
    frequencySeconds: copyFrequencySeconds,
    recoveryHistory: additionalRecoveryPoints,
    vssHours: applicationConsistentHours,
    compression,
  };
}
