/**
 * Where the adapters of a replica go at a failover, and which addresses they get there: by the map of the pairing and the pools of the site. The
 * primary tells its networks and fixed addresses in the notes of the VM, which travel with it.
 */

import { canonicalIp, cidrRange, familyOf, type IpFamily, isWithin, maskOf, prefixLengthOf } from '../../../shared/domain/ip-address.ts';
import { type AdapterSource, chooseAdapter, type MappableNetwork, mappedNetwork } from '../../../shared/domain/network-map.ts';
import type { NetworkId, VmId } from '../../../shared/ids.ts';
import type { NetworkMapping } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { type Machine, noteOf } from './hyperv-answers.ts';
import type { HyperVConfig } from './hyperv-config.ts';

/** An adapter that is connected to no network, in the notes. */
const UNCONNECTED = '-';

const FAMILIES = ['ipv4', 'ipv6'] as const;

export interface AddressSetting {
  readonly address: string;
  /** Of IPv4 the mask, of IPv6 the length of the prefix. */
  readonly mask: string;
  readonly gateway: string | null;
  readonly dns: readonly string[];
  readonly subnet: string;
}

export interface AdapterPlan {
  /** Empty: it stays unconnected. */
  readonly switchName: string;
  readonly addresses: Readonly<Record<IpFamily, AddressSetting | null>>;
}

export interface TakenAddress {
  /** Null: nobody of whom the agent knows. */
  readonly vmId: VmId | null;
  readonly switchName: string;
  readonly address: string;
}

export class NetworkPlan {
  readonly #networks: HyperVConfig['networks'];
  readonly #idOf: (switchName: string) => NetworkId;
  /** Given away in this life; what was given before is in the notes of the VMs. */
  readonly #given = new Map<VmId, readonly TakenAddress[]>();

  constructor(networks: HyperVConfig['networks'], idOf: (switchName: string) => NetworkId) {
    this.#networks = networks;
    this.#idOf = idOf;
  }

  /** For the notes of a primary: the network of each adapter, with subnet and address for each fixed one that it has. */
  sourcesOf({ switches, addresses }: Machine): string {
    const sources = switches.map((name, i) => {
      if (name === '') return UNCONNECTED;
      const fixed = FAMILIES.flatMap((family) => this.#fixedAddress(name, addresses[i] ?? [], family));
      return [this.#idOf(name), ...fixed].join('/');
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
      plans.flatMap(({ switchName, addresses: { ipv4, ipv6 } }) =>
        [ipv4, ipv6].flatMap((setting) => (setting === null ? [] : [{ vmId: machine.id, switchName, address: setting.address }])),
      ),
    );
    return plans;
  }

  /** Whether a plan needs to know which addresses are taken. */
  get hasPools(): boolean {
    return this.#networks.length > 0;
  }

  #planOne(
    source: string,
    networks: readonly NetworkMapping[],
    switchNames: readonly string[],
    others: readonly TakenAddress[],
  ): AdapterPlan {
    const [from = '', ...fixed] = source.split('/');
    const to = from === UNCONNECTED ? null : mappedNetwork(networks, from as NetworkId);
    const addresses: Record<IpFamily, AddressSetting | null> = { ipv4: null, ipv6: null };
    if (to === null) return { switchName: '', addresses };
    const switchName = switchNames.find((name) => this.#idOf(name) === to);
    if (switchName === undefined) throw refusal('ERR_NETWORK_NOT_FOUND', `the host of the replica has no switch of the network ${to}`);
    const network = this.#known(switchName);
    if (network === undefined) return { switchName, addresses };
    const isTaken = (wanted: string) => others.some((each) => each.switchName === switchName && each.address === wanted);
    for (let i = 0; i + 1 < fixed.length; i += 2) {
      const address = fixed[i + 1] ?? '';
      const adapter = { networkId: from as NetworkId, subnet: decodeURIComponent(fixed[i] ?? ''), address };
      addresses[familyOf(address)] = this.#settingFor(adapter, network, isTaken);
    }
    return { switchName, addresses };
  }

  #settingFor(adapter: AdapterSource, network: MappableNetwork, isTaken: (address: string) => boolean): AddressSetting {
    const choice = chooseAdapter(adapter, network, isTaken);
    if (choice.kind !== 'connected' || choice.target.address === null)
      throw refusal('ERR_NO_ADDRESS', `no address is left for ${adapter.address} of the primary in the pools of '${network.name}'`);
    const { subnet, address, gateway, dns } = choice.target;
    const cidr = network.subnets.find(({ name }) => name === subnet)?.cidr ?? '';
    return { address, mask: familyOf(address) === 'ipv4' ? maskOf(cidr) : String(prefixLengthOf(cidr)), gateway, dns, subnet };
  }

  /** Its subnet and the address. An address is fixed where it lies in a subnet that has a pool; others are the business of DHCP. */
  #fixedAddress(switchName: string, addresses: readonly string[], family: IpFamily): string[] {
    for (const { name, cidr, pool } of this.#known(switchName)?.subnets ?? []) {
      const range = familyOf(cidr) === family && pool !== null ? cidrRange(cidr) : null;
      const address = range === null ? undefined : addresses.find((each) => isWithin(each, range));
      if (address !== undefined) return [encodeURIComponent(name), canonicalIp(address)];
    }
    return [];
  }

  #known(switchName: string): MappableNetwork | undefined {
    const network = this.#networks.find(({ name }) => name === switchName);
    return network && { ...network, id: this.#idOf(switchName) };
  }
}

/** The addresses that a VM has, and those that a failover gives it. */
export function takenBy(machine: Machine): TakenAddress[] {
  const vmId = machine.id;
  const plan = listIn(noteOf(machine, 'plan'));
  const at = (switchName: string, addresses: readonly string[]) =>
    addresses.map((address) => ({ vmId, switchName, address: canonicalIp(address) }));
  const planned = listIn(noteOf(machine, 'addresses')).flatMap((addresses, i) => at(plan[i] ?? '', addresses.split(' ')));
  const own = machine.switches.flatMap((switchName, i) => at(switchName, machine.addresses[i] ?? []));
  return [...own, ...planned].filter(({ switchName, address }) => switchName !== '' && address !== '');
}

/** As the module writes lists of names. */
function listIn(text: string | null): string[] {
  return text === null ? [] : text.split(',').map((name) => (name === '/' ? '' : decodeURIComponent(name)));
}

function refusal(code: 'ERR_FABRIC_FAILED' | 'ERR_NETWORK_NOT_FOUND' | 'ERR_NO_ADDRESS', message: string): FabricError {
  return new FabricError(code, 'OperationFailed', 'SetVMNetworkAdapterFailoverConfiguration', message);
}
