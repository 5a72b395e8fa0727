/**
 * VM networks on a Linux host. One is a bridge that an administrator has made, and an adapter a tap on it; one of a drill is a bridge of our own without
 * any port but the taps of test copies. All that we make bears whose it is in its alias, so that the kernel is the only book: what a crash
 * leaves is found by its name, and what has no alias yet is half-made and nobody's. It takes the right CAP_NET_ADMIN and no other.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { JobId } from '../../../shared/ids.ts';
import type { NetworkExposure } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { runProgram } from './programs.ts';
import { failed } from './qemu-error.ts';

/** Where an adapter leads: to a bridge by its name, out through QEMU itself (the guest is not reached from outside), or nowhere. */
export const NetworkWay = z.union([
  z.strictObject({ bridge: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/, 'is no name of a bridge: br0') }),
  z.literal('user'),
  z.literal('none'),
]);
export type NetworkWay = z.infer<typeof NetworkWay>;

/** Whose adapter a tap is; `id` is of the VM or of the test copy. */
export interface TapOwner {
  readonly kind: 'vm' | 'copy';
  readonly id: string;
}

export interface Adapter {
  readonly way: NetworkWay;
  readonly mac: string;
  readonly model: 'virtio-net-pci' | 'e1000';
}

export interface DrillBridge {
  readonly drill: JobId;
  readonly bridge: string;
  readonly taps: readonly Tap[];
}

export interface Tap {
  readonly name: string;
  /** Null: it was not made by us, or not to the end. */
  readonly owner: TapOwner | null;
}

const Link = z.looseObject({
  ifname: z.string(),
  ifalias: z.string().optional(),
  master: z.string().optional(),
  linkinfo: z
    .looseObject({ info_kind: z.string().optional(), info_data: z.looseObject({ type: z.string().optional() }).optional() })
    .optional(),
  addr_info: z.array(z.unknown()).default([]),
});
type Link = z.infer<typeof Link>;

const isBridge = ({ linkinfo }: Link) => linkinfo?.info_kind === 'bridge';
const isTap = ({ linkinfo }: Link) => linkinfo?.info_kind === 'tun' && linkinfo.info_data?.type === 'tap';

/**
 * A bridge is also a device of the host, which would answer for all addresses of the host and route from it, whatever address the
 * bridge has. With these it does neither: no routing, no answer to ARP, and nothing is taken that came by broadcast because of that. `rp_filter`
 * is not among them: systemd sets it anew for each device that appears.
 */
const SEALED = { forwarding: '0', arp_ignore: '8', drop_unicast_in_l2_multicast: '1' } as const;

export class HostNetworks {
  readonly #site: string;

  /** The site's own name: several sites may live on one host. */
  constructor(site: string) {
    this.#site = digest(site);
  }

  async drills(): Promise<DrillBridge[]> {
    const all = await links();
    return all.filter(isBridge).flatMap((link) => {
      const drill = JobId.safeParse(this.#marked(link, 'drill')).data;
      return drill === undefined ? [] : [{ drill, bridge: link.ifname, taps: this.#tapsOn(all, link.ifname) }];
    });
  }

  /** Its bridge. It counts from the moment that it is marked, and is sealed by then. Repeating it changes nothing. */
  async makeDrill(drill: JobId): Promise<string> {
    const bridge = this.#nameOf('d', drill);
    const found = (await links()).find(({ ifname }) => ifname === bridge);
    if (found === undefined) await ip('link', 'add', 'name', bridge, 'type', 'bridge');
    else if (found.ifalias !== undefined && this.#marked(found, 'drill') !== drill)
      throw failed('InvalidOperation', `${bridge} is of something else`);
    await seal(bridge);
    await ip('link', 'set', 'dev', bridge, 'addrgenmode', 'none', 'alias', this.#alias('drill', drill), 'up');
    return bridge;
  }

  /** Throws ERR_CONFLICT where something is connected to it. Where there is none, nothing is done. */
  async removeDrill(drill: JobId): Promise<void> {
    const found = (await this.drills()).find((each) => each.drill === drill);
    if (found === undefined) return;
    if ((await links()).some(({ master }) => master === found.bridge))
      throw new FabricError('ERR_CONFLICT', 'InvalidOperation', 'Qemu', `something is connected to the network of the drill ${drill}`);
    await ip('link', 'delete', 'dev', found.bridge);
  }

  /** By what the kernel says at this moment; null where it has no such bridge. VMs that do not run have no tap, and are not counted. */
  async exposure(bridge: string): Promise<NetworkExposure | null> {
    const all = await links();
    const own = all.find((link) => link.ifname === bridge && isBridge(link));
    if (own === undefined) return null;
    const hasUplink = all.some((link) => link.master === bridge && !isTap(link));
    const leadsOut = hasUplink || own.addr_info.length > 0 || !(await isSealed(bridge));
    return { leadsOut, otherVms: this.#tapsOn(all, bridge).filter(({ owner }) => owner?.kind !== 'copy').length };
  }

  /** Makes what the adapter needs at the host, and gives the arguments of QEMU for it. Repeating it changes nothing. */
  async plug(owner: TapOwner, index: number, { way, mac, model }: Adapter): Promise<string[]> {
    const device = ['-device', `${model},id=adapter${index},netdev=net${index},mac=${mac},romfile=`];
    // A hub of its own: an adapter whose cable leads nowhere.
    if (way === 'none') return ['-netdev', `hubport,id=net${index},hubid=${index}`, ...device];
    if (way === 'user') return ['-netdev', `user,id=net${index}`, ...device];
    const tap = await this.#tap(owner, index, way.bridge);
    return ['-netdev', `tap,id=net${index},ifname=${tap},script=no,downscript=no`, ...device];
  }

  /** The taps of a VM that has ended. */
  async unplug(owner: TapOwner): Promise<void> {
    const taps = (await links()).filter((link) => isSame(this.#ownerOf(link), owner));
    for (const { ifname } of taps) await ip('link', 'delete', 'dev', ifname);
  }

  /** Removes what a crash left: taps of machines that do not run, and what is half-made. Nothing may be made meanwhile. Gives the names. */
  async sweep(isRunning: (owner: TapOwner) => boolean): Promise<string[]> {
    const left = (await links()).filter((link) => {
      if (!link.ifname.startsWith(`fd${this.#short}`) && !link.ifname.startsWith(`ft${this.#short}`)) return false;
      if (link.ifalias === undefined) return true;
      const owner = this.#ownerOf(link);
      return owner !== null && !isRunning(owner);
    });
    for (const { ifname } of left) await ip('link', 'delete', 'dev', ifname);
    return left.map(({ ifname }) => ifname);
  }

  async #tap(owner: TapOwner, index: number, bridge: string): Promise<string> {
    const tap = this.#nameOf('t', `${owner.kind} ${owner.id} ${index}`);
    const all = await links();
    const found = all.find(({ ifname }) => ifname === tap);
    if (!all.some((link) => link.ifname === bridge && isBridge(link))) throw failed('ObjectNotFound', `the host has no bridge ${bridge}`);
    if (found === undefined) await ip('tuntap', 'add', 'dev', tap, 'mode', 'tap', 'user', String(process.getuid?.() ?? 0));
    else if (found.ifalias !== undefined && !isSame(this.#ownerOf(found), owner))
      throw failed('InvalidOperation', `${tap} is of something else`);
    const alias = this.#alias(owner.kind, owner.id);
    await ip('link', 'set', 'dev', tap, 'addrgenmode', 'none', 'alias', alias, 'master', bridge, 'up');
    return tap;
  }

  #tapsOn(all: readonly Link[], bridge: string): Tap[] {
    const taps = all.filter((link) => link.master === bridge && isTap(link));
    return taps.map((link) => ({ name: link.ifname, owner: this.#ownerOf(link) }));
  }

  #ownerOf(link: Link): TapOwner | null {
    for (const kind of ['vm', 'copy'] as const) {
      const id = this.#marked(link, kind);
      if (id !== null) return { kind, id };
    }
    return null;
  }

  #alias(kind: string, id: string): string {
    return `farshore ${this.#site} ${kind} ${id}`;
  }

  #marked({ ifalias = '' }: Link, kind: string): string | null {
    const start = this.#alias(kind, '');
    return ifalias.startsWith(start) ? ifalias.slice(start.length) : null;
  }

  get #short(): string {
    return this.#site.slice(0, 4);
  }

  /** A name of a network device has 15 characters at most. */
  #nameOf(kind: 'd' | 't', subject: string): string {
    return `f${kind}${this.#short}${digest(subject).slice(0, 9)}`;
  }
}

export async function bridgesOfHost(): Promise<string[]> {
  return (await links()).filter(isBridge).map(({ ifname }) => ifname);
}

/** The same for a VM and each of its copies; of the range that is for local use. */
export function macOf(vm: string, index: number): string {
  const hex = digest(`${vm} ${index}`);
  return ['52', '54', '00', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4, 6)].join(':');
}

async function seal(bridge: string): Promise<void> {
  for (const [setting, value] of Object.entries(SEALED)) await writeFile(settingFile('ipv4', bridge, setting), value);
  // A kernel without IPv6 has no such file, and needs none.
  if ((await ipv6Off(bridge)) !== null) await writeFile(settingFile('ipv6', bridge, 'disable_ipv6'), '1');
}

async function isSealed(bridge: string): Promise<boolean> {
  const held = await Promise.all(
    Object.entries(SEALED).map(async ([setting, value]) => (await settingOf('ipv4', bridge, setting)) === value),
  );
  return held.every(Boolean) && ((await ipv6Off(bridge)) ?? true);
}

async function ipv6Off(bridge: string): Promise<boolean | null> {
  const value = await settingOf('ipv6', bridge, 'disable_ipv6');
  return value === null ? null : value === '1';
}

async function settingOf(family: 'ipv4' | 'ipv6', device: string, setting: string): Promise<string | null> {
  return readFile(settingFile(family, device, setting), 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

function settingFile(family: 'ipv4' | 'ipv6', device: string, setting: string): string {
  return `/proc/sys/net/${family}/conf/${device}/${setting}`;
}

async function links(): Promise<Link[]> {
  return z.array(Link).parse(JSON.parse(await runProgram('ip', ['-json', '-details', 'address', 'show'])));
}

async function ip(...args: readonly string[]): Promise<void> {
  await runProgram('ip', args, 10_000);
}

function isSame(one: TapOwner | null, other: TapOwner): boolean {
  return one?.kind === other.kind && one.id === other.id;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
