/** IPv4 addresses and subnets as numbers, so that pools can be counted through. Callers pass addresses that a schema has checked. */

export interface Ipv4Range {
  readonly from: string;
  readonly to: string;
}

export function ipv4Number(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function ipv4Text(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** First and last address of a subnet such as `10.1.0.0/24`, network and broadcast address included. */
export function cidrRange(cidr: string): Ipv4Range {
  const [address = '0.0.0.0', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(ipv4Number(address) / size) * size;
  return { from: ipv4Text(first), to: ipv4Text(first + size - 1) };
}

export function isWithin(address: string, range: Ipv4Range): boolean {
  const value = ipv4Number(address);
  return value >= ipv4Number(range.from) && value <= ipv4Number(range.to);
}
