/**
 * Where the adapters of a replica go at a failover, and which addresses they get there: by the map of the pairing and the pools of `agent.yaml`. The
 * primary tells its networks and fixed addresses in the notes of the VM, which travel with it.
 */

import { cidrRange, ipv4Text, isWithin } from '../../../shared/domain/ipv4.ts';
import { chooseAdapter, type MappableNetwork, mappedNetwork, type Subnet } from '../../../shared/domain/network-map.ts';
import type { NetworkId, VmId } from '../../../shared/ids.ts';
import type { NetworkMapping } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { type Machine, noteOf } from './hyperv-answers.ts';
import { type HyperVConfig, networkIdOf } from './hyperv-config.ts';

/** An adapter that is connected to no network, in the notes. */
const UNCONNECTED = '-';
const EVERY_ADDRESS = 2 ** 32;

export interface AddressSetting {
  readonly address: string;
  readonly mask: string;
  readonly gateway: string | null;
  readonly dns: readonly string[];
}

export interface AdapterPlan {
  /** Empty: it stays unconnected. */
  readonly switchName: string;
  readonly address: AddressSetting | null;
}

export interface TakenAddress {
  readonly vmId: VmId;
  readonly switchName: string;
  readonly address: string;
}

export class NetworkPlan {
  readonly #config: HyperVConfig;
  /** Given away in this life; what was given before is in the notes of the VMs. */
  readonly #given = new Map<VmId, readonly TakenAddress[]>();

  constructor(config: HyperVConfig) {
    this.#config = config;
  }

  /** For the notes of a primary: the network of each adapter, with subnet and address where it has a fixed one. */
  sourcesOf({ switches, addresses }: Machine): string {
    const sources = switches.map((name, i) => {
      if (name === '') return UNCONNECTED;
      const fixed = this.#fixedAddress(name, addresses[i] ?? []);
      return [this.#idOf(name), ...(fixed === null ? [] : [encodeURIComponent(fixed.subnet), fixed.address])].join('/');
    });
    return sources.join(',') || UNCONNECTED;
  }

  /** One for each adapter. `switchNames` are those of its host; throws ERR_NETWORK_NOT_FOUND, ERR_NO_ADDRESS. */
  plansFor(
    machine: Machine,
    networks: readonly NetworkMapping[],
    switchNames: readonly string[],
    taken: readonly TakenAddress[],
  ): AdapterPlan[] {
    const sources = noteOf(machine, 'adapters');
    if (sources === null)
      throw refusal('ERR_FABRIC_FAILED', `the notes of '${machine.name}' do not say which networks its primary stands on`);
    const others = [...taken, ...[...this.#given.values()].flat()].filter(({ vmId }) => vmId !== machine.id);
    const plans: AdapterPlan[] = [];
    for (const source of sources.split(',')) plans.push(this.#planOne(source, networks, switchNames, others));
    this.#given.set(
      machine.id,
      plans.flatMap(({ switchName, address }) => (address === null ? [] : [{ vmId: machine.id, switchName, address: address.address }])),
    );
    return plans;
  }

  /** Whether a plan needs to know which addresses are taken. */
  get hasPools(): boolean {
    return this.#config.networks.length > 0;
  }

  #planOne(
    source: string,
    networks: readonly NetworkMapping[],
    switchNames: readonly string[],
    others: readonly TakenAddress[],
  ): AdapterPlan {
    const [from = '', subnet, address] = source.split('/');
    const to = from === UNCONNECTED ? null : mappedNetwork(networks, from as NetworkId);
    if (to === null) return { switchName: '', address: null };
    const switchName = switchNames.find((name) => this.#idOf(name) === to);
    if (switchName === undefined) throw refusal('ERR_NETWORK_NOT_FOUND', `the host of the replica has no switch of the network ${to}`);
    const network = this.#known(switchName);
    if (network === undefined || address === undefined) return { switchName, address: null };
    const isTaken = (wanted: string) => others.some((each) => each.switchName === switchName && each.address === wanted);
    const adapter = { networkId: from as NetworkId, subnet: decodeURIComponent(subnet ?? ''), address };
    const choice = chooseAdapter(adapter, network, isTaken);
    if (choice.kind !== 'connected' || choice.target.address === null)
      throw refusal('ERR_NO_ADDRESS', `no address is left for '${switchName}' in the pools of agent.yaml`);
    const { target } = choice;
    const chosen = network.subnets.find(({ name }) => name === target.subnet);
    return {
      switchName,
      address: { address: choice.target.address, mask: maskOf(chosen), gateway: target.gateway, dns: target.dns },
    };
  }

  /** An address is fixed where it lies in a subnet that has a pool; others are the business of DHCP. */
  #fixedAddress(switchName: string, addresses: readonly string[]): { readonly subnet: string; readonly address: string } | null {
    for (const { name, cidr, pool } of this.#known(switchName)?.subnets ?? []) {
      const address = addresses.find((each) => /^\d+(\.\d+){3}$/.test(each) && isWithin(each, cidrRange(cidr)));
      if (pool !== null && address !== undefined) return { subnet: name, address };
    }
    return null;
  }

  #known(switchName: string): MappableNetwork | undefined {
    const network = this.#config.networks.find(({ name }) => name === switchName);
    return network && { ...network, id: this.#idOf(switchName) };
  }

  #idOf(switchName: string): NetworkId {
    return networkIdOf(this.#config.name, switchName);
  }
}

/** The addresses that a VM has, and those that a failover gives it. */
export function takenBy(machine: Machine): TakenAddress[] {
  const vmId = machine.id;
  const plan = listIn(noteOf(machine, 'plan'));
  const planned = listIn(noteOf(machine, 'addresses')).map((address, i) => ({ vmId, switchName: plan[i] ?? '', address }));
  const own = machine.switches.flatMap((switchName, i) => (machine.addresses[i] ?? []).map((address) => ({ vmId, switchName, address })));
  return [...own, ...planned].filter(({ switchName, address }) => switchName !== '' && address !== '');
}

/** As the module writes lists of names. */
function listIn(text: string | null): string[] {
  return text === null ? [] : text.split(',').map((name) => (name === '/' ? '' : decodeURIComponent(name)));
}

function maskOf(subnet: Subnet | undefined): string {
  const bits = Number(subnet?.cidr.split('/')[1] ?? 32);
  return ipv4Text(EVERY_ADDRESS - 2 ** (32 - bits));
}

function refusal(code: 'ERR_FABRIC_FAILED' | 'ERR_NETWORK_NOT_FOUND' | 'ERR_NO_ADDRESS', message: string): FabricError {
  return new FabricError(code, 'OperationFailed', 'SetVMNetworkAdapterFailoverConfiguration', message);
}
