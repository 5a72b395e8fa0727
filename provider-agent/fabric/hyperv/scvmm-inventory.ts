/**
 * The inventory where SCVMM knows the VMs: of it only those are read that changed, and each host is asked how its VMs replicate, since SCVMM
 * learns of that late.
 */
import { FarshoreError } from '../../../shared/errors.ts';
import type { VmRef } from '../../../shared/ids.ts';
import { NetworkId } from '../../../shared/ids.ts';
import type { InventoryChanges } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { drillOf } from './drill-networks.ts';
import { viewOf } from './hyperv-answers.ts';
import { cloudsOf, type HyperVCloud, type HyperVConfig } from './hyperv-config.ts';
import { Inventory, type SeenVm } from './inventory.ts';
import type { ModuleCalls } from './module-calls.ts';
import type { ReplicationTold, ScCloud, ScVm } from './scvmm-answers.ts';
import { ToldByHosts } from './told-by-hosts.ts';

interface Known {
  readonly vm: ScVm;
  /** As it was seen last; null where it is in no cloud of ours. */
  readonly seen: SeenVm | null;
  readonly replication: ReplicationTold | null;
}

const noReplication = { stamp: '', measure: null, mode: 'none', state: 'disabled', health: 'notApplicable', replication: null } as const;

export class ScvmmInventory {
  readonly #calls: ModuleCalls;
  readonly #written: readonly HyperVCloud[];
  readonly #inventory: Inventory;
  /** By SCVMM's own ids. */
  readonly #vms = new Map<string, Known>();
  readonly #touched = new Set<string>();
  readonly #told = new ToldByHosts<ReplicationTold>();
  #clouds: readonly HyperVCloud[] | null = null;
  #since = 0;

  constructor(calls: ModuleCalls, config: HyperVConfig, instanceId: string) {
    this.#calls = calls;
    this.#written = cloudsOf(config);
    this.#inventory = new Inventory(
      instanceId,
      this.#written.map(({ id, name }) => ({ id, name })),
    );
  }

  /** As SCVMM told them last. */
  async clouds(): Promise<readonly HyperVCloud[]> {
    this.#clouds ??= this.#withHosts((await this.#calls.ofNoHost('Get-FarshoreScCloud', { Cloud: this.#names })).clouds);
    return this.#clouds;
  }

  noteChange({ vmId }: VmRef): void {
    this.#touched.add(vmId);
  }

  /** Throws ERR_HOST_DOWN while a host has not answered yet in this life: how its VMs replicate is not known at all. */
  async read(cursor: string | null): Promise<InventoryChanges> {
    const networks = await this.#readScvmm();
    const clouds = await this.clouds();
    const told = new Map<string, ReplicationTold>();
    const silent = new Set<string>();
    await Promise.all(clouds.flatMap((cloud) => cloud.hosts.map((host) => this.#readHost(cloud, host, told, silent))));
    const seen: SeenVm[] = [];
    const placeOf = placesIn(clouds);
    for (const [key, known] of this.#vms) {
      const next = this.#look(known, placeOf(known.vm.host), told);
      if (next !== known) this.#vms.set(key, next);
      if (next.seen !== null && !silent.has(next.seen.host)) seen.push(next.seen);
    }
    this.#inventory.take(seen, networks, silent);
    return this.#inventory.since(cursor);
  }

  get #names(): string[] {
    return this.#written.map(({ name }) => name);
  }

  /** What SCVMM changed since it was read last, and what was asked of it through the port meanwhile. */
  async #readScvmm() {
    const also = [...this.#touched];
    this.#touched.clear();
    try {
      const told = await this.#calls.ofNoHost('Get-FarshoreScInventory', { Cloud: this.#names, Since: this.#since, Also: also });
      this.#clouds = this.#withHosts(told.clouds);
      for (const vm of told.vms) this.#vms.set(vm.key, { vm, seen: null, replication: null });
      for (const key of this.#vms.keys()) if (!told.keys.has(key)) this.#vms.delete(key);
      this.#since = told.newest;
      return told.networks.filter(({ name }) => drillOf(name) === null);
    } catch (thrown) {
      for (const id of also) this.#touched.add(id);
      throw thrown;
    }
  }

  async #readHost(cloud: HyperVCloud, host: string, told: Map<string, ReplicationTold>, silent: Set<string>): Promise<void> {
    try {
      const there = await this.#told.read(host, async (known) => {
        const { replications, gone } = await this.#calls.ofHost('Get-FarshoreReplication', cloud, host, { Known: known });
        return { told: replications.map((one) => [one.stamp, one] as const), gone };
      });
      for (const one of there) told.set(`${host}/${one.id}`, one);
    } catch (cause) {
      if (!this.#told.hasHeard(host)) throw unreadable(host, cause);
      silent.add(host);
    }
  }

  /** One that SCVMM has in no cloud is in that of its host as long as it replicates: nobody told SCVMM of a replica that Hyper-V made. */
  #look(known: Known, place: Place | null, told: ReadonlyMap<string, ReplicationTold>): Known {
    const { vm } = known;
    const replication = (place && told.get(`${place.host}/${vm.id}`)) ?? null;
    const isOurs = place !== null && (vm.cloud === place.cloud.name || (vm.cloud === '' && replication !== null));
    if (!isOurs) return known.seen === null ? known : { vm, seen: null, replication };
    if (known.seen?.host === place.host && known.replication === replication) return known;
    const machine = { ...vm, ...(replication ?? noReplication), host: place.host, switches: vm.networks, addresses: [] };
    const view = viewOf(machine, place.cloud, (name) => NetworkId.parse(name));
    this.#calls.noteHost(view.ref, place.host);
    return { vm, seen: { view, host: place.host }, replication };
  }

  #withHosts(told: readonly ScCloud[]): HyperVCloud[] {
    const clouds = this.#written.map((cloud) => {
      const hosts = told.find(({ name }) => name === cloud.name)?.hosts ?? [];
      const clusters = [...new Set(hosts.flatMap(({ cluster }) => cluster ?? []))];
      const names = hosts.map(({ name }) => name).sort();
      const cluster = clusters.length === 0 ? null : clusters.join(', ');
      return { ...cloud, hosts: names, cluster, replicaServer: cloud.replicaServer || (cluster === null ? (names[0] ?? '') : '') };
    });
    for (const [i, { name, hosts }] of clouds.entries()) refuseSharedHosts(name, hosts, clouds.slice(0, i));
    return clouds;
  }
}

interface Place {
  readonly cloud: HyperVCloud;
  readonly host: string;
}

/** By the name of a host, with its domain or without. */
function placesIn(clouds: readonly HyperVCloud[]): (host: string) => Place | null {
  const places = new Map<string, Place>();
  for (const cloud of clouds)
    for (const host of cloud.hosts) for (const name of [host, host.split('.')[0] ?? host]) places.set(name.toLowerCase(), { cloud, host });
  return (host) => places.get(host.toLowerCase()) ?? null;
}

/** Replica servers are those of hosts, and a replica that SCVMM has in no cloud is in that of its host. */
function refuseSharedHosts(name: string, hosts: readonly string[], others: readonly HyperVCloud[]): void {
  for (const other of others) {
    const shared = hosts.find((host) => other.hosts.includes(host));
    if (shared === undefined) continue;
    const message = `the clouds '${other.name}' and '${name}' share the host ${shared}: name only one of them in agent.yaml, or give them host groups of their own`;
    throw new FabricError('ERR_FABRIC_FAILED', 'InvalidParameter', 'GetSCCloud', message);
  }
}

function unreadable(host: string, cause: unknown): FabricError {
  const why = cause instanceof FarshoreError ? cause.message : String(cause);
  return new FabricError('ERR_HOST_DOWN', 'OperationFailed', 'GetVMReplication', `${host} does not answer: ${why}`, { cause });
}
