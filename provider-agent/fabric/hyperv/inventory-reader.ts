/** Reads the inventory host by host, and who is on a network. */
import { FarshoreError } from '../../../shared/errors.ts';
import type { NetworkId } from '../../../shared/ids.ts';
import type { InventoryChanges, NetworkExposure } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { drillOf } from './drill-networks.ts';
import { type Machine, viewOf } from './hyperv-answers.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import { Inventory, type SeenVm } from './inventory.ts';
import type { ModuleCalls } from './module-calls.ts';
import { type TakenAddress, takenBy } from './network-plan.ts';
import { ToldByHosts } from './told-by-hosts.ts';

export interface InventoryReaderPorts {
  readonly calls: ModuleCalls;
  readonly clouds: readonly HyperVCloud[];
  readonly networkId: (switchName: string) => NetworkId;
  readonly instanceId: string;
}

export class InventoryReader {
  readonly #ports: InventoryReaderPorts;
  readonly #inventory: Inventory;
  readonly #told = new ToldByHosts<SeenVm & { readonly taken: readonly TakenAddress[] }>();

  constructor(ports: InventoryReaderPorts) {
    this.#ports = ports;
    this.#inventory = new Inventory(
      ports.instanceId,
      ports.clouds.map(({ id, name }) => ({ id, name })),
    );
  }

  /** Throws ERR_HOST_DOWN while a host has not answered yet in this life: what it has must not be taken for gone. */
  async read(cursor: string | null): Promise<InventoryChanges> {
    const seen: SeenVm[] = [];
    const networks = new Map<string, { readonly id: NetworkId; readonly name: string }>();
    const silent = new Set<string>();
    await this.#onEach(async (cloud, host) => {
      try {
        const there = await this.#told.read(host, async (known) => {
          const { switches, vms, gone } = await this.#ports.calls.ofHost('Get-FarshoreInventory', cloud, host, { Known: known });
          for (const { name } of switches) if (drillOf(name) === null) networks.set(name, { id: this.#ports.networkId(name), name });
          return { told: vms.map((machine) => [machine.stamp, this.#seen(machine, cloud, host)] as const), gone };
        });
        seen.push(...there);
      } catch (thrown) {
        if (!this.#told.hasHeard(host)) throw unreadable(host, thrown);
        silent.add(host);
      }
    });
    this.#inventory.take(seen, [...networks.values()], silent);
    return this.#inventory.since(cursor);
  }

  /** Addresses that VMs of the site have or get, as far as it was read; throws as `read` where it never was. */
  async takenAddresses(): Promise<readonly TakenAddress[]> {
    if (!this.#told.hasHeardAny) await this.read(null);
    return this.#told.all().flatMap(({ taken }) => taken);
  }

  #seen(machine: Machine, cloud: HyperVCloud, host: string) {
    const view = viewOf(machine, cloud, this.#ports.networkId);
    this.#ports.calls.noteHost(view.ref, host);
    return { view, host, taken: takenBy(machine) };
  }

  /** A private switch leads to nothing but the VMs on it; where a host does not answer it cannot be told. */
  async exposure(networkId: NetworkId): Promise<NetworkExposure | null> {
    let found: NetworkExposure | null = null;
    let isCertain = true;
    await this.#onEach(async (cloud, host) => {
      try {
        const { switches } = await this.#ports.calls.ofHost('Get-FarshoreSwitch', cloud, host);
        for (const { name, type, vms } of switches) {
          if (this.#ports.networkId(name) !== networkId) continue;
          found = { leadsOut: found?.leadsOut === true || type !== 'Private', otherVms: (found?.otherVms ?? 0) + vms };
        }
      } catch {
        isCertain = false;
      }
    });
    const told = found as NetworkExposure | null;
    if (isCertain) return told;
    return { leadsOut: true, otherVms: told?.otherVms ?? 0 };
  }

  async #onEach(read: (cloud: HyperVCloud, host: string) => Promise<void>): Promise<void> {
    await Promise.all(this.#ports.clouds.flatMap((cloud) => cloud.hosts.map((host) => read(cloud, host))));
  }
}

function unreadable(host: string, cause: unknown): FabricError {
  const why = cause instanceof FarshoreError ? cause.message : String(cause);
  return new FabricError('ERR_HOST_DOWN', 'OperationFailed', 'GetVM', `${host} does not answer: ${why}`, { cause });
}
