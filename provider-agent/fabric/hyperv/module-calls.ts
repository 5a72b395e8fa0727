/**
 * Calls of the module: the closed list of its functions with the form of each answer, the hosts that a VM may stand on, and the
 * lanes that a call runs in.
 */
import type { z } from 'zod';
import type { CloudId, VmRef } from '../../../shared/ids.ts';
import { FabricError } from '../fabric-error.ts';
import { BrokerFacts, ComputerFacts, HyperVFacts, RemoteFacts } from './check-facts.ts';
import { answers } from './hyperv-answers.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import type { PowerShellCall, PowerShellHost } from './powershell-host.ts';
import type { ScvmmAddress } from './powershell-process.ts';
import { scvmmAnswers } from './scvmm-answers.ts';

const functions = {
  'Get-FarshoreInventory': answers.inventory,
  'Get-FarshoreVM': answers.machine,
  'Get-FarshoreRecoveryPoint': answers.points,
  'Get-FarshoreSwitch': answers.switches,
  'Get-FarshoreTestCopy': answers.copy,
  'Get-FarshoreAddress': answers.addresses,
  'Test-FarshoreGuest': answers.guest,
  'New-FarshoreDrillSwitch': answers.nothing,
  'Remove-FarshoreDrillSwitch': answers.nothing,
  'Initialize-FarshoreHost': answers.nothing,
  'Clear-FarshoreHost': answers.nothing,
  'Initialize-FarshoreBroker': answers.nothing,
  'Enable-FarshoreReplication': answers.nothing,
  'Start-FarshoreInitialReplication': answers.nothing,
  'Import-FarshoreInitialReplication': answers.nothing,
  'Set-FarshoreReplicaNetwork': answers.nothing,
  'Set-FarshoreReplicationPolicy': answers.nothing,
  'Remove-FarshoreReplication': answers.nothing,
  'Remove-FarshoreVM': answers.nothing,
  'Initialize-FarshoreFailover': answers.nothing,
  'Start-FarshoreFailover': answers.nothing,
  'Stop-FarshoreFailover': answers.nothing,
  'Complete-FarshoreFailover': answers.nothing,
  'Set-FarshoreAsReplica': answers.nothing,
  'Switch-FarshoreReplication': answers.nothing,
  'Suspend-FarshoreReplication': answers.nothing,
  'Resume-FarshoreReplication': answers.nothing,
  'Sync-FarshoreReplication': answers.nothing,
  'Start-FarshoreTestFailover': answers.nothing,
  'Connect-FarshoreTestCopy': answers.nothing,
  'Start-FarshoreTestVM': answers.nothing,
  'Stop-FarshoreTestFailover': answers.nothing,
  'Stop-FarshoreVM': answers.nothing,
  'Start-FarshoreVM': answers.nothing,
  'Set-FarshoreEpoch': answers.nothing,
  'Get-FarshoreComputerFact': ComputerFacts,
  'Get-FarshoreHyperVFact': HyperVFacts,
  'Get-FarshoreRemoteFact': RemoteFacts,
  'Get-FarshoreBroker': BrokerFacts,
  'Get-FarshoreReplication': scvmmAnswers.replications,
  'Get-FarshoreScCloud': scvmmAnswers.clouds,
  'Get-FarshoreScInventory': scvmmAnswers.inventory,
  'Get-FarshoreScNetwork': scvmmAnswers.networks,
  'Get-FarshoreScExposure': scvmmAnswers.exposures,
  'New-FarshoreScDrillNetwork': answers.nothing,
  'Remove-FarshoreScDrillNetwork': answers.nothing,
  'Set-FarshoreScReplica': answers.nothing,
} as const;
export type ModuleFunction = keyof typeof functions;
type Lanes = NonNullable<PowerShellCall['lanes']>;
type AnswerOf<F extends ModuleFunction> = z.infer<(typeof functions)[F]>;

export const moduleFunctions = Object.keys(functions) as ModuleFunction[];

export interface ModuleCallsOptions {
  readonly host: PowerShellHost;
  /** As they are now: SCVMM may move hosts. */
  readonly clouds: () => Promise<readonly HyperVCloud[]>;
  readonly scvmm: ScvmmAddress | null;
  readonly limitMs: number;
  readonly perHost: number;
  readonly perCluster: number;
}

export class ModuleCalls {
  readonly #options: ModuleCallsOptions;
  /** Where a VM stood last: it is looked for there first. */
  readonly #lastHost = new Map<string, string>();

  constructor(options: ModuleCallsOptions) {
    this.#options = options;
  }

  /** Throws ERR_CLOUD_NOT_FOUND. */
  async cloud(id: CloudId): Promise<HyperVCloud> {
    const cloud = (await this.#options.clouds()).find((each) => each.id === id);
    if (cloud === undefined) throw new FabricError('ERR_CLOUD_NOT_FOUND', 'ObjectNotFound', 'GetVM', `agent.yaml names no cloud ${id}`);
    return cloud;
  }

  noteHost({ cloudId, vmId }: VmRef, host: string): void {
    this.#lastHost.set(`${cloudId}/${vmId}`, host);
  }

  /** About a VM of the cloud: on whichever of its hosts it stands. */
  async ofVm<F extends ModuleFunction>(
    name: F,
    ref: VmRef,
    given: Readonly<Record<string, unknown>> = {},
    signal?: AbortSignal,
  ): Promise<AnswerOf<F>> {
    const cloud = await this.cloud(ref.cloudId);
    const last = this.#lastHost.get(`${ref.cloudId}/${ref.vmId}`);
    const hosts = last === undefined ? cloud.hosts : [last, ...cloud.hosts.filter((host) => host !== last)];
    return this.#call(name, this.#lanesOf(cloud, hosts[0] ?? ''), { HostName: hosts, VMId: ref.vmId, ...given }, signal);
  }

  ofHost<F extends ModuleFunction>(
    name: F,
    cloud: HyperVCloud,
    host: string,
    given: Readonly<Record<string, unknown>> = {},
    signal?: AbortSignal,
  ): Promise<AnswerOf<F>> {
    return this.#call(name, this.#lanesOf(cloud, host), { HostName: host, ...given }, signal);
  }

  ofCluster<F extends ModuleFunction>(
    name: F,
    cloud: HyperVCloud & { readonly cluster: string },
    given: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<AnswerOf<F>> {
    return this.#call(name, this.#lanesOf(cloud, cloud.cluster), { ClusterName: cloud.cluster, ...given }, signal);
  }

  /** About this computer, about SCVMM itself, or about nothing that calls are counted for. */
  ofNoHost<F extends ModuleFunction>(name: F, given: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<AnswerOf<F>> {
    return this.#call(name, [], given, signal);
  }

  #lanesOf({ cluster }: HyperVCloud, host: string): Lanes {
    const { perHost, perCluster } = this.#options;
    return [{ key: `host ${host}`, atOnce: perHost }, ...(cluster === null ? [] : [{ key: `cluster ${cluster}`, atOnce: perCluster }])];
  }

  async #call<F extends ModuleFunction>(
    name: F,
    lanes: Lanes,
    given: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<AnswerOf<F>> {
    const { host, scvmm, limitMs } = this.#options;
    const value = await host.call({ function: name, arguments: given, scvmm, limitMs, lanes, signal });
    const read = functions[name].safeParse(value);
    if (!read.success)
      throw new FabricError(
        'ERR_FABRIC_FAILED',
        'OperationFailed',
        name,
        `${name} answered in a form that is not known: ${read.error.message}`,
      );
    return read.data as AnswerOf<F>;
  }
}
