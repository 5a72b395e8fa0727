/** The Linux host of a site: each VM network leads where the site file says, and adapters are plugged in when their machine starts. */
import type { AdapterTarget } from '../../../shared/domain/network-map.ts';
import type { JobId, NetworkId } from '../../../shared/ids.ts';
import type { NetworkExposure } from '../fabric.ts';
import type { Book } from '../site/machinery.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { type GuestAdapter, injectionArguments } from './address-injection.ts';
import type { HostSide } from './host-side.ts';
import { MachineTraits } from './machine-traits.ts';
import { HostNetworks, macOf, type NetworkWay, type TapOwner } from './networks.ts';
import { failed } from './qemu-error.ts';

export class LinuxHost implements HostSide {
  readonly #ways: ReadonlyMap<NetworkId, NetworkWay>;
  readonly #networks: HostNetworks;
  #book: Pick<Book, 'hosts' | 'vms'> | null = null;

  /** `site` is its name: several may live on one host. */
  constructor(site: string, ways: ReadonlyMap<NetworkId, NetworkWay>) {
    this.#ways = ways;
    this.#networks = new HostNetworks(site);
  }

  async open(book: Pick<Book, 'hosts' | 'vms'>): Promise<void> {
    this.#book = book;
    // Where the host has no `ip`, it has no drill either.
    const drills = await this.#networks.drills().catch(() => []);
    for (const { drill } of drills) if (!this.#drills.some((known) => known.drill === drill)) await this.#networks.removeDrill(drill);
    if (!this.#hasBridges) return;
    const running = [...book.vms.changedSince(0), ...book.vms.testCopies()].filter(({ power }) => power === 'running');
    const owners = new Set(running.map((vm) => keyOf(ownerOf(vm))));
    await this.#networks.sweep((owner) => owners.has(keyOf(owner)));
  }

  async equip(vm: VmRecord, folder: string): Promise<string[]> {
    const { adapter: model, injection } = MachineTraits.parse(vm.traits ?? {});
    const plugged: string[] = [];
    const told: GuestAdapter[] = [];
    for (const [index, { connected }] of vm.adapters.entries()) {
      // A test copy is the same machine on another wire: its guest knows its adapters by their hardware addresses.
      const mac = macOf(vm.testCopy?.replicaId ?? vm.ref.vmId, index);
      const way = connected === null ? 'none' : await this.#wayOf(connected.networkId);
      plugged.push(...(await this.#networks.plug(ownerOf(vm), index, { way, mac, model })));
      if (connected !== null) told.push({ mac, ...this.#settingsOf(connected) });
    }
    return [...plugged, ...(await injectionArguments(injection, told, folder))];
  }

  async release(vm: VmRecord): Promise<void> {
    if (this.#hasBridges) await this.#networks.unplug(ownerOf(vm));
  }

  async makeDrillNetwork(drill: JobId): Promise<void> {
    await this.#networks.makeDrill(drill);
  }

  removeDrillNetwork(drill: JobId): Promise<void> {
    return this.#networks.removeDrill(drill);
  }

  /** It is isolated where both say so: who described the site, and the kernel now. */
  async exposure(network: NetworkId, booked: NetworkExposure): Promise<NetworkExposure> {
    const way = await this.#wayOf(network);
    if (way === 'none') return { ...booked, leadsOut: false };
    if (way === 'user') return { ...booked, leadsOut: true };
    const seen = await this.#networks.exposure(way.bridge);
    return { leadsOut: booked.leadsOut || (seen?.leadsOut ?? true), otherVms: Math.max(booked.otherVms, seen?.otherVms ?? 0) };
  }

  get #hasBridges(): boolean {
    return [...this.#ways.values()].some((way) => typeof way === 'object') || this.#drills.length > 0;
  }

  get #drills() {
    return this.#book?.hosts.drillNetworks() ?? [];
  }

  async #wayOf(network: NetworkId): Promise<NetworkWay> {
    const way = this.#ways.get(network);
    if (way !== undefined) return way;
    const made = this.#drills.find(({ id }) => id === network);
    if (made === undefined) throw failed('ObjectNotFound', `the site has no VM network ${network}`);
    // It was made with the drill; after a restart of the host it is made again.
    return { bridge: await this.#networks.makeDrill(made.drill) };
  }

  #settingsOf({ networkId, subnet, address, gateway, dns }: AdapterTarget): Omit<GuestAdapter, 'mac'> {
    if (address === null) return { addresses: [], gateways: [], dns: [] };
    const cidr = this.#book?.hosts.network(networkId)?.subnets.find(({ name }) => name === subnet)?.cidr;
    const bits = cidr?.split('/')[1] ?? '32';
    return { addresses: [`${address}/${bits}`], gateways: gateway === null ? [] : [gateway], dns };
  }
}

function ownerOf({ ref, testCopy }: VmRecord): TapOwner {
  return { kind: testCopy === undefined ? 'vm' : 'copy', id: ref.vmId };
}

function keyOf({ kind, id }: TapOwner): string {
  return `${kind} ${id}`;
}
