/** The surroundings of plain hosts: clouds and pools of `agent.yaml`, networks are the switches by name, and every host is asked what it has. */
import type { CloudId, JobId, NetworkId, VmRef } from '../../../shared/ids.ts';
import type { Act, DrillNetworkView, InventoryChanges, NetworkExposure, NetworkMapping } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { DrillNetworks } from './drill-networks.ts';
import type { Machine } from './hyperv-answers.ts';
import { cloudsOf, type HyperVCloud, type HyperVConfig, networkIdOf } from './hyperv-config.ts';
import { InventoryReader } from './inventory-reader.ts';
import type { ModuleCalls } from './module-calls.ts';
import { type AdapterPlan, NetworkPlan } from './network-plan.ts';
import type { Surroundings } from './surroundings.ts';

export class PlainSurroundings implements Surroundings {
  readonly networkId: (name: string) => NetworkId;
  readonly #calls: ModuleCalls;
  readonly #clouds: readonly HyperVCloud[];
  readonly #inventory: InventoryReader;
  readonly #plan: NetworkPlan;
  readonly #drills: DrillNetworks;

  constructor(calls: ModuleCalls, config: HyperVConfig, instanceId: string) {
    this.networkId = (name) => networkIdOf(config.name, name);
    this.#calls = calls;
    this.#clouds = cloudsOf(config);
    this.#inventory = new InventoryReader({ calls, clouds: this.#clouds, networkId: this.networkId, instanceId });
    this.#plan = new NetworkPlan(config.networks, this.networkId);
    this.#drills = new DrillNetworks(calls, this.#clouds, this.networkId);
  }

  async clouds(): Promise<readonly HyperVCloud[]> {
    return this.#clouds;
  }

  /** One of a drill is made on a host that lacks it. */
  async nameOf(cloudId: CloudId, host: string, networkId: NetworkId, { signal }: Act): Promise<string> {
    const cloud = await this.#calls.cloud(cloudId);
    const found = (await this.#switchesOf(cloud, host)).find((name) => this.networkId(name) === networkId);
    const name = found ?? (await this.#drills.extendTo(cloud, host, networkId, signal));
    if (name === null)
      throw new FabricError('ERR_NETWORK_NOT_FOUND', 'ObjectNotFound', 'GetVMSwitch', `${host} has no switch of the network ${networkId}`);
    return name;
  }

  readInventory(cursor: string | null): Promise<InventoryChanges> {
    return this.#inventory.read(cursor);
  }

  /** Each reading asks every host. */
  noteChange(): void {}

  exposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    return this.#inventory.exposure(networkId);
  }

  async sourcesOf(_ref: VmRef, machine: Machine): Promise<string> {
    return this.#plan.sourcesOf(machine);
  }

  async plansFor(ref: VmRef, machine: Machine, networks: readonly NetworkMapping[]): Promise<AdapterPlan[]> {
    const names = await this.#switchesOf(await this.#calls.cloud(ref.cloudId), machine.host);
    const taken = this.#plan.hasPools ? await this.#inventory.takenAddresses() : [];
    return this.#plan.plansFor(machine, networks, names, taken);
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

  async #switchesOf(cloud: HyperVCloud, host: string): Promise<string[]> {
    return (await this.#calls.ofHost('Get-FarshoreSwitch', cloud, host)).switches.map(({ name }) => name);
  }
}
