/**
 * How a guest learns its addresses without an agent in it: from the firmware of its machine (fw_cfg or SMBIOS), which a few lines of
 * a start script read, or from a seed disk that cloud-init reads. Nothing of it is on the disks of the VM, so nothing is to be cleaned.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { nameUuid } from '../name-uuid.ts';

/** `none`: the guest keeps what it has, or asks DHCP. */
export const InjectionWay = z.enum(['none', 'fwCfg', 'smbios', 'noCloud']);
export type InjectionWay = z.infer<typeof InjectionWay>;

export interface GuestAdapter {
  readonly mac: string;
  /** With the length of the prefix: `203.0.113.10/24`, `2001:db8::10/64`. Empty: DHCP. */
  readonly addresses: readonly string[];
  /** At most one of IPv4 and one of IPv6. */
  readonly gateways: readonly string[];
  readonly dns: readonly string[];
}

/** The arguments of QEMU for it. `folder` is of the VM: a seed is made in it anew. */
export async function injectionArguments(way: InjectionWay, adapters: readonly GuestAdapter[], folder: string): Promise<string[]> {
  if (adapters.every(({ addresses }) => addresses.length === 0)) return [];
  switch (way) {
    case 'none':
      return [];
    case 'fwCfg':
      return fwCfgArguments(adapters);
    case 'smbios':
      return ['-smbios', ['type=11', ...settingsOf(adapters).map((setting) => `value=${escaped(`farshore.${setting}`)}`)].join(',')];
    case 'noCloud':
      return seedArguments(adapters, join(folder, 'seed'));
  }
}

function settingsOf(adapters: readonly GuestAdapter[]): string[] {
  return adapters.flatMap(({ mac, addresses, gateways, dns }, index) =>
    Object.entries({ mac: [mac], address: addresses, gateway: gateways, dns })
      .filter(([, values]) => values.length > 0)
      .map(([name, values]) => `adapter${index}.${name}=${values.join(',')}`),
  );
}

/** All settings, and the first address by itself for guests that read no more. */
function fwCfgArguments(adapters: readonly GuestAdapter[]): string[] {
  const [first = ''] = adapters.flatMap(({ addresses }) => addresses);
  return [
    ['-fw_cfg', `name=opt/farshore/address,string=${escaped(first)}`],
    ['-fw_cfg', `name=opt/farshore/network,string=${escaped(settingsOf(adapters).join('\n'))}`],
  ].flat();
}

/** QEMU itself shows the folder as a disk with a FAT file system of the label that cloud-init looks for. */
async function seedArguments(adapters: readonly GuestAdapter[], seed: string): Promise<string[]> {
  const network = networkConfig(adapters);
  const files = {
    // cloud-init applies the network of a seed once for each id: another network is another id.
    'meta-data': `instance-id: farshore-${nameUuid('seed', network)}\n`,
    'network-config': network,
    // A new id is a new machine to cloud-init: what makes this one known to others stays.
    'user-data': '#cloud-config\nssh_deletekeys: false\npreserve_hostname: true\n',
  };
  await rm(seed, { recursive: true, force: true });
  await mkdir(seed, { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) await writeFile(join(seed, name), text);
  const node = { driver: 'vvfat', 'node-name': 'seed', dir: seed, label: 'CIDATA', 'read-only': true };
  return ['-blockdev', JSON.stringify(node), '-device', 'virtio-blk-pci,id=seed,drive=seed'];
}

function networkConfig(adapters: readonly GuestAdapter[]): string {
  const ethernets = adapters.map(({ mac, addresses, gateways, dns }, index) => [
    `adapter${index}`,
    {
      match: { macaddress: mac },
      ...(addresses.length === 0 ? { dhcp4: true } : { addresses }),
      ...(gateways.length === 0 ? {} : { routes: gateways.map((via) => ({ to: via.includes(':') ? '::/0' : '0.0.0.0/0', via })) }),
      ...(dns.length === 0 ? {} : { nameservers: { addresses: dns } }),
    },
  ]);
  return stringify({ version: 2, ethernets: Object.fromEntries(ethernets) });
}

/** A comma in a value of QEMU's arguments is written twice. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}
