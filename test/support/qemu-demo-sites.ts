/**
 * A program for the demo (ADR 0032): writes the site files of real machines and the disks that they begin with, those of the guest that writes numbered
 * records, and ends. Arguments: the site file of the primary and that of the recovery site. Says what the machine lacks, and ends with 1.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { mistakesOfPrograms } from '../../provider-agent/fabric/qemu/programs.ts';
import { calm, writeGuestDisk } from './qemu-guest.ts';

const DISK_BYTES = 8 * 1024 * 1024;
/** The VMs of the plan, with the subnet of each. */
const tiers = [
  { prefix: 'sql', count: 3, network: 'Back', subnet: 'data', third: 3 },
  { prefix: 'app', count: 5, network: 'Back', subnet: 'app', third: 2 },
  { prefix: 'web', count: 4, network: 'Front', subnet: 'web', third: 1 },
] as const;

const machine = { bus: 'ide', adapter: 'e1000', injection: 'fwCfg', shutDown: 'stop', answers: { says: 'RECORD' } };

function subnet(name: string, site: number, third: number) {
  const net = `10.${site}.${third}`;
  return { name, cidr: `${net}.0/24`, pool: { from: `${net}.20`, to: `${net}.200`, gateway: `${net}.1` } };
}

function network(name: string, site: number, subnets: readonly { name: string; third: number }[]) {
  return { name, way: 'user', subnets: subnets.map(({ name: each, third }) => subnet(each, site, third)) };
}

function siteOf(name: string, cloud: string, site: number, prefix: string) {
  const [front, back] = [
    [{ name: 'web', third: 1 }],
    [
      { name: 'app', third: 2 },
      { name: 'data', third: 3 },
    ],
  ];
  return {
    name,
    folder: 'm',
    clouds: [{ name: cloud }],
    host: {
      name: `${name.toLowerCase()}-kvm`,
      dnsName: `${name.toLowerCase()}-kvm.example`,
      cores: 32,
      memory: '64 GB',
      accelerator: 'tcg',
    },
    storage: [{ name: 'Disks', capacity: '100 GB' }],
    networks: [network(`${prefix}Front`, site, front), network(`${prefix}Back`, site, back)],
    replication: { retryAfter: '1 s' },
  };
}

const [primaryFile, recoveryFile] = process.argv.slice(2);
if (primaryFile === undefined || recoveryFile === undefined) throw new Error('two site files are to be named');
const lacks = await mistakesOfPrograms();
if (lacks.length > 0) {
  console.log(lacks.join('; '));
  process.exit(1);
}
for (const file of [primaryFile, recoveryFile]) mkdirSync(path.dirname(file), { recursive: true });
const names = tiers.flatMap(({ prefix, count, ...rest }) =>
  Array.from({ length: count }, (_, index) => ({ name: `${prefix}-0${index + 1}`, address: `10.10.${rest.third}.${20 + index}`, ...rest })),
);
const vms = names.map(({ name, network: of, subnet: within, address }) => ({
  name,
  cloud: 'Production',
  memory: '4 MB',
  disks: [{ image: `${name}.raw`, format: 'raw', storage: 'Disks' }],
  adapters: [{ network: of, subnet: within, address }],
  machine,
}));
for (const { name } of names)
  writeGuestDisk(path.join(path.dirname(primaryFile), `${name}.raw`), DISK_BYTES, { ...calm, ring: 1024, ticks: 4 });
// JSON is YAML.
writeFileSync(primaryFile, JSON.stringify({ ...siteOf('Reading', 'Production', 10, ''), vms }, null, 1));
const drill = { name: 'Drill', way: 'none', isolated: true, subnets: [{ name: 'drill', cidr: '10.20.0.0/16' }] };
const recovery = siteOf('Slough', 'Recovery', 20, 'DR ');
writeFileSync(recoveryFile, JSON.stringify({ ...recovery, networks: [...recovery.networks, drill] }, null, 1));
