/** The subnets of a VM network, with the pools that fixed addresses come from, as people describe them where no SCVMM knows them. */
import { z } from 'zod';
import {
  cidrRange,
  compareIps,
  familyOf,
  IpAddress,
  type IpRange,
  IpSubnet,
  isLinkLocal,
  isWithin,
} from '../../shared/domain/ip-address.ts';
import { fieldsOf, objectsOf, type Report, uniqueNames } from './loose-fields.ts';

const Pool = z.strictObject({
  from: IpAddress,
  to: IpAddress,
  gateway: IpAddress.nullable().default(null),
  dns: z.array(IpAddress).max(8).default([]),
});

export const subnetsOf = (name: z.ZodString) =>
  z
    .array(z.strictObject({ name, cidr: IpSubnet, pool: Pool.nullable().default(null) }))
    .min(1)
    .max(100);

/** What the schema cannot see: names given twice, pools outside their subnets. Judges only what has the right form. */
export function checkSubnets(networks: unknown, path: readonly PropertyKey[], report: Report): void {
  for (const [i, network] of objectsOf(networks)) {
    const at = [...path, i, 'subnets'];
    uniqueNames(network.subnets, at, report);
    for (const [j, { cidr, pool }] of objectsOf(network.subnets)) {
      const range = typeof cidr === 'string' ? cidrRange(cidr) : null;
      if (range !== null) checkPool(fieldsOf(pool), String(cidr), range, [...at, j, 'pool'], report);
    }
  }
}

function checkPool(pool: Record<string, unknown>, cidr: string, range: IpRange, path: readonly PropertyKey[], report: Report): void {
  for (const field of ['from', 'to', 'gateway'] as const) {
    const address = pool[field];
    if (!isAddress(address) || isWithin(address, range) || (field === 'gateway' && isLinkLocal(address) && familyOf(cidr) === 'ipv6'))
      continue;
    report([...path, field], `'${address}' lies outside the subnet ${cidr}`, rangeText(range));
  }
  const { from, to, dns } = pool;
  if (isAddress(from) && isAddress(to) && compareIps(from, to) > 0)
    report([...path, 'to'], `'${to}' lies before the first address of the pool`, `${from} or higher`);
  for (const [i, server] of (Array.isArray(dns) ? dns : []).entries())
    if (isAddress(server) && familyOf(server) !== familyOf(cidr))
      report([...path, 'dns', i], `'${server}' is not of the family of the subnet ${cidr}`, `an address of ${familyNames[familyOf(cidr)]}`);
}

const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

export function isAddress(value: unknown): value is string {
  return IpAddress.safeParse(value).success;
}

export function rangeText({ from, to }: IpRange): string {
  return `${from} to ${to}`;
}
