/**
 * The surroundings as SCVMM has them (ADR 0031): clouds with the hosts of their host groups, VM networks with their subnets and static pools,
 * addresses that are granted to adapters, networks of drills as virtualized VM networks.
 */

import { canonicalIp, familyOf } from '../../../shared/domain/ip-address.ts';
import type { CloudId, JobId, VmRef } from '../../../shared/ids.ts';
import { NetworkId } from '../../../shared/ids.ts';
import { Slots } from '../../../shared/lanes.ts';
import type { Act, DrillNetworkView, InventoryChanges, NetworkExposure, NetworkMapping } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { DRILL_PREFIX, drillNetworkName, drillOf } from './drill-networks.ts';
import { connectedIn, type Machine } from './hyperv-answers.ts';
import type { HyperVCloud, HyperVConfig } from './hyperv-config.ts';
import type { ModuleCalls } from './module-calls.ts';
import { type AdapterPlan, NetworkPlan } from './network-plan.ts';
import type { ScNetwork } from './scvmm-answers.ts';
import { ScvmmInventory } from './scvmm-inventory.ts';
import type { Surroundings } from './surroundings.ts';

export class ScvmmSurroundings implements Surroundings {
  readonly networkId = (name: string): NetworkId => NetworkId.parse(name);
  readonly #calls: ModuleCalls;
  readonly #inventory: ScvmmInventory;
  /** An address is chosen and granted before the next one is chosen. */
  readonly #granting = new Slots(1);

  constructor(calls: ModuleCalls, config: HyperVConfig, instanceId: string) {
    this.#calls = calls;
    this.#inventory = new ScvmmInventory(calls, config, instanceId);
  }

  clouds(): Promise<readonly HyperVCloud[]> {
    return this.#inventory.clouds();
  }

  async nameOf(_cloudId: CloudId, _host: string, networkId: NetworkId): Promise<string> {
    if ((await this.exposure(networkId)) === null) throw networkNotFound(networkId);
    return networkId;
  }

  readInventory(cursor: string | null): Promise<InventoryChanges> {
    return this.#inventory.read(cursor);
  }

  noteChange(ref: VmRef): void {
    this.#inventory.noteChange(ref);
  }

  async exposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    const { networks } = await this.#calls.ofNoHost('Get-FarshoreScExposure', { Name: '', NetworkId: networkId });
    const [found] = networks;
    return found === undefined ? null : { leadsOut: found.leadsOut, otherVms: found.vms };
  }

  async sourcesOf(ref: VmRef, machine: Machine): Promise<string> {
    return planOf(await this.#networks(ref, connectedIn(machine.switches))).sourcesOf(machine);
  }

  plansFor(ref: VmRef, machine: Machine, mapping: readonly NetworkMapping[], { signal }: Act): Promise<AdapterPlan[]> {
    return this.#granting.run(async () => {
      const networks = await this.#networks(ref, [...new Set(mapping.map(({ to }) => to))]);
      const taken = networks.flatMap(({ id, subnets }) =>
        subnets.flatMap(({ pool }) =>
          (pool?.taken ?? []).map((address) => ({ vmId: null, switchName: id, address: canonicalIp(address) })),
        ),
      );
      const plans = planOf(networks).plansFor(
        machine,
        mapping,
        networks.map(({ id }) => id),
        taken,
      );
      const { name: Cloud } = await this.#calls.cloud(ref.cloudId);
      const Address = plans.map((plan) => ({ grants: grantsOf(plan, networks) }));
      await this.#calls.ofVm('Set-FarshoreScReplica', ref, { Cloud, Address }, signal);
      return plans;
    });
  }

  async drillNetworks(): Promise<readonly DrillNetworkView[]> {
    const { networks } = await this.#calls.ofNoHost('Get-FarshoreScExposure', { Name: DRILL_PREFIX, NetworkId: '' });
    return networks.flatMap(({ id, name, copies }) => {
      const drill = drillOf(name);
      return drill === null ? [] : [{ drill, id, copies }];
    });
  }

  async makeDrillNetwork(drill: JobId, like: NetworkId, { signal }: Act): Promise<void> {
    await this.#calls.ofNoHost('New-FarshoreScDrillNetwork', { Name: drillNetworkName(drill), Like: like }, signal);
  }

  async removeDrillNetwork(drill: JobId, { signal }: Act): Promise<void> {
    await this.#calls.ofNoHost('Remove-FarshoreScDrillNetwork', { Name: drillNetworkName(drill) }, signal);
  }

  async #networks(ref: VmRef, ids: readonly string[]): Promise<readonly ScNetwork[]> {
    if (ids.length === 0) return [];
    return (await this.#calls.ofVm('Get-FarshoreScNetwork', ref, { NetworkId: ids })).networks;
  }
}

/** SCVMM knows of each address to whom it is granted, so a plan need not remember any. */
function planOf(networks: readonly ScNetwork[]): NetworkPlan {
  return new NetworkPlan(
    networks.map(({ id, subnets }) => ({ name: id, subnets: [...subnets] })),
    (name) => NetworkId.parse(name),
  );
}

function grantsOf({ switchName, addresses: { ipv4, ipv6 } }: AdapterPlan, networks: readonly ScNetwork[]) {
  const subnets = networks.find(({ id }) => id === switchName)?.subnets ?? [];
  return [ipv4, ipv6].flatMap((setting) => {
    if (setting === null) return [];
    const { address, subnet } = setting;
    const from = subnets.find(({ name, cidr }) => name === subnet && familyOf(cidr) === familyOf(address));
    return [{ pool: from?.pool?.id, address }];
  });
}

function networkNotFound(networkId: NetworkId): FabricError {
  return new FabricError('ERR_NETWORK_NOT_FOUND', 'ObjectNotFound', 'GetSCVMNetwork', `SCVMM has no VM network ${networkId}`);
}
