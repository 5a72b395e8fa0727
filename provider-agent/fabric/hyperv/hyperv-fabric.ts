/**
 * The fabric port over Hyper-V hosts: each call is one function of the PowerShell module, which looks, acts and looks again (ADR 0026). What is
 * around the VMs comes from `Surroundings`: from SCVMM, or where nobody manages the hosts from the hosts and from `agent.yaml`.
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
import { HostPreparation } from './host-preparation.ts';
import { connectedIn, isFailedOver, type Machine, newestFirst, noteOf, viewOf } from './hyperv-answers.ts';
import type { HyperVConfig } from './hyperv-config.ts';
import { ModuleCalls, type ModuleFunction } from './module-calls.ts';
import { PlainSurroundings } from './plain-surroundings.ts';
import type { PowerShellHost } from './powershell-host.ts';
import type { Preparations } from './preparations.ts';
import { ScvmmSurroundings } from './scvmm-surroundings.ts';
import type { Surroundings } from './surroundings.ts';

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
  readonly #hosts: HostPreparation;
  readonly #around: Surroundings;

  constructor({ config, host, preparations, instanceId, callLimitMs }: HyperVFabricOptions) {
    this.#host = host;
    this.#calls = new ModuleCalls({
      host,
      clouds: () => this.#around.clouds(),
      scvmm: config.scvmm ?? null,
      limitMs: callLimitMs,
      perHost: config.callsPerHost,
      perCluster: config.callsPerCluster,
    });
    const Kind = config.scvmm === undefined ? PlainSurroundings : ScvmmSurroundings;
    this.#around = new Kind(this.#calls, config, instanceId);
    this.#hosts = new HostPreparation(this.#calls, config.senders, preparations);
  }

  readInventory(cursor: string | null): Promise<InventoryChanges> {
    return this.#around.readInventory(cursor);
  }

  async findVm(ref: VmRef): Promise<VmView | null> {
    const machine = await this.#find(ref);
    return machine === null ? null : viewOf(machine, { id: ref.cloudId }, this.#around.networkId);
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
      networkIds: connectedIn(switches).map(this.#around.networkId),
      recoveryPoint,
    };
  }

  networkExposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    return this.#around.exposure(networkId);
  }

  drillNetworks(): Promise<readonly DrillNetworkView[]> {
    return this.#around.drillNetworks();
  }

  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void> {
    return this.#around.makeDrillNetwork(drill, like, act);
  }

  removeDrillNetwork(drill: JobId, act: Act): Promise<void> {
    return this.#around.removeDrillNetwork(drill, act);
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
    const isAtRest = machine.mode === 'replica' && !isFailedOver(machine);
    const plans = keepsOwn || !isAtRest ? [] : await this.#around.plansFor(ref, machine, networks, act);
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
    const { host } = await this.#need(replica);
    const SwitchName = await this.#around.nameOf(replica.cloudId, host, networkId, act);
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
    try {
      await this.#calls.ofVm(name, ref, given, signal);
    } finally {
      this.#around.noteChange(ref);
    }
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
      Adapters: await this.#around.sourcesOf(ref, machine),
    });
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
