/**
 * Where an adapter goes at the recovery site and which address it gets. Pure: the caller reserves what is chosen.
 * Subnet: the one with the same name, else the first, of the family of the address. Static address: the same one if it lies in the
 * target pool and is free, else the next free one of the pool. DHCP is left alone.
 */
import type { NetworkId } from '../ids.ts';
import { addressesIn, familyOf, type IpFamily, type IpRange, isWithin } from './ip-address.ts';

export interface StaticPool extends IpRange {
  readonly gateway: string | null;
  readonly dns: readonly string[];
}

export interface Subnet {
  readonly name: string;
  readonly cidr: string;
  readonly pool: StaticPool | null;
}

export interface MappableNetwork {
  readonly id: NetworkId;
  readonly name: string;
  readonly subnets: readonly Subnet[];
}

/** An adapter as it is at the primary; `address` null is DHCP. */
export interface AdapterSource {
  readonly networkId: NetworkId;
  readonly subnet: string | null;
  readonly address: string | null;
}

export interface AdapterTarget {
  readonly networkId: NetworkId;
  readonly subnet: string;
  /** Null is DHCP. */
  readonly address: string | null;
  readonly gateway: string | null;
  readonly dns: readonly string[];
}

export type AdapterChoice =
  | { readonly kind: 'connected'; readonly target: AdapterTarget }
  /** No mapping names its network: it stays unconnected. */
  | { readonly kind: 'unconnected' }
  | {
      readonly kind: 'noAddress';
      readonly network: string;
      readonly subnet: string | null;
      readonly why: 'noSubnet' | 'noPool' | 'poolUsedUp';
    };

/** The network that the mapping sends `from` to, or null. */
export function mappedNetwork(map: readonly { readonly from: NetworkId; readonly to: NetworkId }[], from: NetworkId): NetworkId | null {
  return map.find((entry) => entry.from === from)?.to ?? null;
}

/** `family` null: any. */
export function chooseSubnet(subnets: readonly Subnet[], name: string | null, family: IpFamily | null): Subnet | null {
  const fitting = subnets.filter(({ cidr }) => family === null || familyOf(cidr) === family);
  return fitting.find((subnet) => subnet.name === name) ?? fitting[0] ?? null;
}

/** `wanted` if it lies in the pool and is free, else the lowest free address of the pool, else null. The gateway is never given away. */
export function chooseAddress(pool: StaticPool, wanted: string | null, isTaken: (address: string) => boolean): string | null {
  const isFree = (address: string) => address !== pool.gateway && !isTaken(address);
  if (wanted !== null && isWithin(wanted, pool) && isFree(wanted)) return wanted;
  for (const address of addressesIn(pool)) if (isFree(address)) return address;
  return null;
}

/** Network null: not mapped. `isTaken` tells of the addresses of the target network. */
export function chooseAdapter(
  source: AdapterSource,
  network: MappableNetwork | null,
  isTaken: (address: string) => boolean,
): AdapterChoice {
  if (network === null) return { kind: 'unconnected' };
  const subnet = chooseSubnet(network.subnets, source.subnet, source.address === null ? null : familyOf(source.address));
  const none = (why: 'noSubnet' | 'noPool' | 'poolUsedUp'): AdapterChoice => ({
    kind: 'noAddress',
    network: network.name,
    subnet: subnet?.name ?? null,
    why,
  });
  if (subnet === null) return none('noSubnet');
  const plain = { networkId: network.id, subnet: subnet.name };
  if (source.address === null) return { kind: 'connected', target: { ...plain, address: null, gateway: null, dns: [] } };
  if (subnet.pool === null) return none('noPool');
  const address = chooseAddress(subnet.pool, source.address, isTaken);
  if (address === null) return none('poolUsedUp');
  return { kind: 'connected', target: { ...plain, address, gateway: subnet.pool.gateway, dns: subnet.pool.dns } };
}
