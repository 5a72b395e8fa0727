/**
 * An emulated SCVMM over the hosts of one simulated site. VMs, their adapters and what becomes of them are those of the site; kept here is what
 * SCVMM itself knows: which VMs it has seen, in which cloud, custom properties, granted addresses, networks that were made. It sees what changes of a VM
 * that it knows, and learns of one that came or went only when it is told to look.
 */
import type { NetworkDefinition } from '../../../provider-agent/fabric/site/site-model.ts';
import { NetworkId } from '../../../shared/ids.ts';
import { uuidOf } from '../simulated-sites.ts';
import { type EmulatedHosts, type EmulatedSite, type EmulatedVm, referenceTo } from './hosts.ts';
import { StubRefusal } from './stub-call.ts';

export interface ScNetworkRecord {
  readonly id: NetworkId;
  readonly name: string;
  readonly description: string;
  readonly isVirtualized: boolean;
  readonly logicalId: string;
  readonly subnets: { readonly name: string; readonly cidr: string; readonly pool: NetworkDefinition['subnets'][number]['pool'] }[];
}

export interface ScGrant {
  readonly id: string;
  readonly poolId: string;
  readonly address: string;
  readonly adapterId: string;
  readonly description: string;
}

interface Seen {
  cloud: string | null;
  isMissing: boolean;
  /** As it was handed out last; of one that is missing it stays. */
  text: string;
  modifiedAt: number;
}

export class EmulatedScvmm {
  readonly server: string;
  readonly hosts: EmulatedHosts;
  readonly at: EmulatedSite;
  /** By the reference of the VM. */
  readonly seen = new Map<string, Seen>();
  readonly values = new Map<string, string>();
  readonly made: ScNetworkRecord[] = [];
  readonly grants: ScGrant[] = [];
  readonly customProperties = new Set<string>();
  isDown = false;
  /** Whether its logical networks allow network virtualization. */
  virtualizes = true;
  #moment = 1_790_000_000_000;

  constructor(hosts: EmulatedHosts, at: EmulatedSite) {
    this.server = `vmm.${at.definition.name}.example`;
    this.hosts = hosts;
    this.at = at;
    for (const { id, cloudId } of at.definition.vms) {
      const cloud = at.definition.clouds.find((each) => each.id === cloudId)?.name ?? null;
      this.seen.set(`${at.siteId}/${cloudId}/${id}`, { cloud, isMissing: false, text: '', modifiedAt: this.now() });
    }
  }

  /** Its clock goes on with every question. */
  now(): number {
    this.#moment += 1000;
    return this.#moment;
  }

  get networks(): ScNetworkRecord[] {
    const own = this.at.definition.networks.map(({ id, name, isIsolated, subnets }) => ({
      id,
      name,
      description: '',
      isVirtualized: isIsolated,
      logicalId: uuidOf(`logical network ${id}`),
      subnets: [...subnets],
    }));
    return [...own, ...this.made];
  }

  network(id: string): ScNetworkRecord {
    const found = this.networks.find((each) => each.id === id);
    if (found === undefined) throw refused(`VMM cannot find the VM network ${id}.`);
    return found;
  }

  networkNamed(switchName: string): ScNetworkRecord | null {
    return this.networks.find(({ name }) => name === switchName) ?? null;
  }

  /** The VM behind an object that SCVMM handed out; it must still be on its host. */
  behind(reference: string): Promise<EmulatedVm> {
    return this.hosts.behind(reference);
  }

  /** Tells of VMs that came, and marks those that went. */
  async look(fullName: string): Promise<void> {
    const present = await this.hosts.vmsOn(fullName);
    const references = new Set(present.map(referenceTo));
    for (const reference of references) {
      const seen = this.seen.get(reference);
      if (seen === undefined) this.seen.set(reference, { cloud: null, isMissing: false, text: '', modifiedAt: this.now() });
      else seen.isMissing = false;
    }
    for (const [reference, seen] of this.seen) {
      if (!references.has(reference) && !(await this.#isThere(reference))) seen.isMissing = true;
    }
  }

  async #isThere(reference: string): Promise<boolean> {
    return this.hosts.behind(reference).then(
      () => true,
      () => false,
    );
  }

  /** Those of people, and those that were granted through it. */
  async grantsIn(poolId: string | null): Promise<ScGrant[]> {
    const own: ScGrant[] = [];
    for (const reference of this.seen.keys()) {
      if (!(await this.#isThere(reference))) continue;
      const vm = await this.behind(reference);
      this.at.site.adapters(vm.ref).forEach(({ connected }, i) => {
        if (vm.copy !== null || connected?.address == null) return;
        const pool = poolOf(connected.networkId, connected.subnet);
        const adapterId = adapterIdOf(reference, i);
        own.push({ id: uuidOf(`${pool} ${connected.address}`), poolId: pool, address: connected.address, adapterId, description: '' });
      });
    }
    return [...own, ...this.grants].filter((grant) => poolId === null || grant.poolId === poolId);
  }

  makeNetwork(name: string, description: string, logicalId: string): ScNetworkRecord {
    const id = NetworkId.parse(uuidOf(`${this.server} ${name} ${this.now()}`));
    const network = { id, name, description, isVirtualized: true, logicalId, subnets: [] };
    this.made.push(network);
    return network;
  }
}

export const poolOf = (networkId: string, subnet: string) => uuidOf(`pool ${networkId} ${subnet}`);
export const adapterIdOf = (reference: string, index: number) => uuidOf(`adapter ${reference} ${index}`);

/** Ids and texts of VMM's own refusals are in no source: these are ours. */
export function refused(message: string): StubRefusal {
  return new StubRefusal('OperationFailed', 'InvalidOperation', message);
}
