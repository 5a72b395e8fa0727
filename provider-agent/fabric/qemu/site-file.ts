/**
 * A site of real machines as a person describes it: one host with QEMU, its networks, and VMs with images that are theirs from then on. YAML,
 * strict; all mistakes are told at once, with their lines and with what is allowed.
 */
import { z } from 'zod';
import { VmTag } from '../../../shared/domain/protection-rules.ts';
import { DurationMs, SizeBytes } from '../../../shared/domain/units.ts';
import { CloudId, NetworkId, VmId } from '../../../shared/ids.ts';
import { HostAndPort, Name } from '../site/site-fields.ts';
import { reportBrokenReferences } from '../site/site-references.ts';
import { subnetsOf } from '../subnet.ts';
import { MachineTraits } from './machine-traits.ts';
import { NetworkWay } from './networks.ts';

const DnsName = z.string().regex(/^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/, {
  error: "is no DNS name: 'kvm-1.example'",
});
const Port = z.int().min(1024).max(65_535);

const Machine = z.strictObject({
  name: Name,
  id: VmId.optional(),
  cloud: Name,
  cores: z.int().min(1).max(255).default(1),
  memory: SizeBytes,
  /** Copied once into the folder of the site; the file itself is left alone. */
  disks: z
    .array(z.strictObject({ image: z.string().min(1).max(1000), format: z.enum(['raw', 'qcow2']).default('qcow2'), storage: Name }))
    .min(1)
    .max(20),
  adapters: z
    .array(
      z.strictObject({
        network: Name,
        subnet: Name.optional(),
        address: z.union([z.literal('dhcp'), z.ipv4()], { error: 'is no address' }).default('dhcp'),
      }),
    )
    .max(8)
    .default([]),
  machine: MachineTraits.prefault({}),
  /** When the site sees it for the first time. */
  power: z.enum(['running', 'off']).default('running'),
  tags: z.array(VmTag).max(100).default([]),
});

/** Two channels of two disks each. */
const IDE_DISKS_MOST = 4;

const Vm = Machine.refine(({ machine, disks }) => machine.bus !== 'ide' || disks.length <= IDE_DISKS_MOST, {
  path: ['disks'],
  message: 'are more than a machine with IDE takes',
  params: { allowed: `at most ${IDE_DISKS_MOST} disks, or machine.bus: virtio` },
});

export const QemuSiteFile = z
  .strictObject({
    name: Name,
    /** Where machines and their disks lie, beside this file unless absolute. Sockets are in it: a short path. */
    folder: z.string().min(1).max(60).default('machines'),
    clouds: z
      .array(z.strictObject({ name: Name, id: CloudId.optional() }))
      .min(1)
      .max(100),
    host: z.strictObject({
      name: Name,
      dnsName: DnsName,
      cores: z.int().min(1).max(4096),
      memory: SizeBytes,
      /** `kvm` where the host has it; `tcg` runs everywhere, some ten times slower. */
      accelerator: z.enum(['kvm', 'tcg']).default('kvm'),
      virtualCoresPerCore: z.number().min(1).max(64).default(8),
    }),
    storage: z
      .array(z.strictObject({ name: Name, capacity: SizeBytes }))
      .min(1)
      .max(100),
    networks: z
      .array(
        z.strictObject({
          name: Name,
          id: NetworkId.optional(),
          isolated: z.boolean().default(false),
          way: NetworkWay,
          subnets: subnetsOf(Name),
        }),
      )
      .max(100)
      .default([]),
    vms: z.array(Vm).max(1000).default([]),
    replication: z
      .strictObject({
        /** Where other sites speak to this one; port 0 takes a free one and keeps it. */
        listen: HostAndPort.default('127.0.0.1:0'),
        /** Where increments arrive, each on a port of its own. */
        ports: z
          .strictObject({ from: Port, to: Port })
          .refine(({ from, to }) => from <= to, { path: ['to'], message: 'is less than from', params: { allowed: 'from or more' } })
          .default({ from: 49_152, to: 49_407 }),
        retryAfter: DurationMs.default(5000),
      })
      .prefault({}),
  })
  .check(z.superRefine(reportBrokenReferences, { when: () => true }));
export type QemuSiteFile = z.infer<typeof QemuSiteFile>;
