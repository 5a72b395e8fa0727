/**
 * IPv4 and IPv6 addresses and subnets as numbers, so that pools can be counted through. Of the many ways to write one IPv6 address
 * every text that comes from here has the one of RFC 5952; texts that are compared have to have come from here.
 */
import { z } from 'zod';

export type IpFamily = 'ipv4' | 'ipv6';

interface Ip {
  readonly family: IpFamily;
  readonly value: bigint;
}

export interface IpRange {
  readonly from: string;
  readonly to: string;
}

const BITS = { ipv4: 32, ipv6: 128 } as const;
const LINK_LOCAL: IpRange = { from: 'fe80::', to: 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff' };
const FORMS = "an address such as '10.1.0.20' or '2001:db8::20'";

/** In a document; an IPv6 address comes out in its one way of writing. */
export const IpAddress = z
  .string()
  .refine((text) => readIp(text) !== null, { error: ({ input }) => `'${String(input)}' is no address`, params: { allowed: FORMS } })
  .transform(canonicalIp);

export const IpSubnet = z.string().refine((text) => cidrRange(text) !== null, {
  error: ({ input }) => `'${String(input)}' is no subnet`,
  params: { allowed: "a subnet such as '10.1.0.0/24' or '2001:db8:1::/64'" },
});

/** Of an address or a subnet. */
export function familyOf(text: string): IpFamily {
  return text.includes(':') ? 'ipv6' : 'ipv4';
}

/** As it is written here; another text stays as it is. */
export function canonicalIp(text: string): string {
  const ip = readIp(text);
  return ip === null ? text : ipText(ip);
}

/** Negative where the first is the lower one; 0 for addresses of two families. */
export function compareIps(one: string, other: string): number {
  const [a, b] = [readIp(one), readIp(other)];
  return a === null || b === null || a.family !== b.family ? 0 : Number(a.value - b.value);
}

/** First and last address of a subnet such as `10.1.0.0/24`, network and broadcast address included; null where the text is none. */
export function cidrRange(cidr: string): IpRange | null {
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const ip = readIp(address);
  if (ip === null || Number(length) > BITS[ip.family]) return null;
  const size = 1n << BigInt(BITS[ip.family] - Number(length));
  const first = (ip.value / size) * size;
  return { from: ipText({ ...ip, value: first }), to: ipText({ ...ip, value: first + size - 1n }) };
}

/** As a mask: `255.255.0.0`. Of a subnet of IPv4. */
export function maskOf(cidr: string): string {
  const hosts = 1n << BigInt(BITS.ipv4 - prefixLengthOf(cidr));
  return ipText({ family: 'ipv4', value: (1n << BigInt(BITS.ipv4)) - hosts });
}

export function prefixLengthOf(cidr: string): number {
  return Number(cidr.split('/')[1]);
}

export function isWithin(address: string, { from, to }: IpRange): boolean {
  const [ip, first, last] = [readIp(address), readIp(from), readIp(to)];
  if (ip === null || first === null || last === null || ip.family !== first.family) return false;
  return ip.value >= first.value && ip.value <= last.value;
}

/** Of IPv6, where a router has such an address on every wire. */
export function isLinkLocal(address: string): boolean {
  return isWithin(address, LINK_LOCAL);
}

/** One after the other; of IPv6 there may be more than anybody can count. */
export function* addressesIn({ from, to }: IpRange): Generator<string, void> {
  const [first, last] = [readIp(from), readIp(to)];
  if (first === null || last === null) return;
  for (let value = first.value; value <= last.value; value++) yield ipText({ ...first, value });
}

function readIp(text: string): Ip | null {
  return text.includes(':') ? readIpv6(text) : readIpv4(text);
}

function readIpv4(text: string): Ip | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return { family: 'ipv4', value: parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
}

/** Without a zone (`fe80::1%3`): that belongs to one machine. */
function readIpv6(text: string): Ip | null {
  const [head = '', tail, ...more] = text.split('::');
  const left = groupsIn(head);
  const right = tail === undefined ? [] : groupsIn(tail);
  if (left === null || right === null || more.length > 0) return null;
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...Array<number>(missing).fill(0), ...right];
  return { family: 'ipv6', value: groups.reduce((sum, group) => sum * 65_536n + BigInt(group), 0n) };
}

function groupsIn(text: string): number[] | null {
  const groups = text === '' ? [] : text.split(':');
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups.map((group) => Number.parseInt(group, 16)) : null;
}

function ipText({ family, value }: Ip): string {
  if (family === 'ipv6') return ipv6Text(Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn)));
  const number = Number(value);
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

/** RFC 5952: the longest run of zeros, the first of several, is left out; one zero alone is not. */
function ipv6Text(groups: readonly number[]): string {
  let run = { at: 0, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    const end = groups.findIndex((group, i) => i >= at && group !== 0);
    const length = (end < 0 ? groups.length : end) - at;
    if (length > run.length) run = { at, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (run.length === 1) return hex.join(':');
  return `${hex.slice(0, run.at).join(':')}::${hex.slice(run.at + run.length).join(':')}`;
}
