/** Reads the inventory host by host, and who is on a network. */
import { FarshoreError } from '../../../shared/errors.ts';
import type { NetworkId } from '../../../shared/ids.ts';
import type { InventoryChanges, NetworkExposure } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { drillOf } from './drill-networks.ts';
import { viewOf } from './hyperv-answers.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import { Inventory, type SeenVm } from './inventory.ts';
import type { ModuleCalls } from './module-calls.ts';
import { type TakenAddress, takenBy } from './network-plan.ts';

export interface InventoryReaderPorts {
  readonly calls: ModuleCalls;
  readonly clouds: readonly HyperVCloud[];
  readonly networkId: (switchName: string) => NetworkId;
  readonly instanceId: string;
}

export class InventoryReader {
  readonly #ports: InventoryReaderPorts;
  readonly #inventory: Inventory;
  /** Hosts that have answered once: what stands on them is known. */
  readonly #known = new Set<string>();
  /** Of the VMs of each host, when it answered last. */
  readonly #taken = new Map<string, readonly TakenAddress[]>();

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
        const { switches, vms } = await this.#ports.calls.ofHost('Get-FarshoreInventory', cloud, host);
        for (const { name } of switches) if (drillOf(name) === null) networks.set(name, { id: this.#ports.networkId(name), name });
        for (const machine of vms) {
          const view = viewOf(machine, cloud, this.#ports.networkId);
          this.#ports.calls.noteHost(view.ref, host);
          seen.push({ view, host });
        }
        this.#known.add(host);
        this.#taken.set(host, vms.flatMap(takenBy));
      } catch (thrown) {
        if (!this.#known.has(host)) throw unreadable(host, thrown);
        silent.add(host);
      }
    });
    this.#inventory.take(seen, [...networks.values()], silent);
    return this.#inventory.since(cursor);
  }

  /** Addresses that VMs of the site have or get, as far as it was read; throws as `read` where it never was. */
  async takenAddresses(): Promise<readonly TakenAddress[]> {
    if (this.#taken.size === 0) await this.read(null);
    return [...this.#taken.values()].flat();
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
