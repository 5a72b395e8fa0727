/**
 * A simulated site as a person describes it: YAML, strict. Unknown fields, wrong units, impossible values and names
 * that nothing else in the file bears are told all at once, with their lines and with what is allowed.
 */
import { z } from 'zod';
import { IpAddress } from '../../../shared/domain/ip-address.ts';
import { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import { VmTag } from '../../../shared/domain/protection-rules.ts';
import { Bandwidth, BytesPerSecond, DurationMs, SizeBytes } from '../../../shared/domain/units.ts';
import { CloudId, NetworkId, VmId } from '../../../shared/ids.ts';
import { OPERATIONS } from '../site/operation.ts';
import { HostAndPort, Name, Names } from '../site/site-fields.ts';
import { reportBrokenReferences } from '../site/site-references.ts';
import { subnetsOf } from '../subnet.ts';
import { DistributionEntry, noTime } from './distribution.ts';
import { FaultEntry } from './fault.ts';

const Network = z.strictObject({
  name: Name,
  id: NetworkId.optional(),
  /** It leads nowhere: test copies may be connected to it. */
  isolated: z.boolean().default(false),
  subnets: subnetsOf(Name),
});

/** A cloud of another site file, by names; one that has an id of its own there cannot be named. */
const otherEnd = { site: Name, cloud: Name, policy: ProtectionPolicy.prefault({}) };

const vmFields = {
  cloud: Name,
  /** Without one the site chooses, as it does for replicas. */
  host: Name.optional(),
  cores: z.int().min(1).max(2048),
  memory: SizeBytes,
  disks: z
    .array(z.strictObject({ size: SizeBytes, storage: Name }))
    .min(1)
    .max(260),
  adapters: z
    .array(
      z.strictObject({
        network: Name,
        /** Of the network's subnets; without one the first. */
        subnet: Name.optional(),
        /** `pool` takes the next free address of the subnet's pool. */
        address: z.union([z.literal('dhcp'), z.literal('pool'), IpAddress], { error: 'is no address' }).default('dhcp'),
      }),
    )
    .max(64)
    .default([]),
  changeRate: BytesPerSecond.default(0),
  power: z.enum(['running', 'off']).default('running'),
  guestStart: DistributionEntry.optional(),
  tags: z.array(VmTag).max(100).default([]),
  /** It replicates already, to the VM of its name in a cloud of another site file, which says `replicaOf`. */
  replicatesTo: z.strictObject({ ...otherEnd, address: HostAndPort }).optional(),
  /** It is a replica already; its adapters are those of the primary, on networks of that site. */
  replicaOf: z.strictObject(otherEnd).optional(),
};

const Vm = z.strictObject({ name: Name, id: VmId.optional(), ...vmFields });

/** Many VMs of one kind: `app-{0000}` gives app-0001, app-0002 and so on. */
const Generated = z.strictObject({
  generate: z.strictObject({
    count: z.int().min(1).max(100_000),
    namePattern: Name.regex(/\{0+\}/, { error: "needs a place for the number: 'app-{0000}'" }),
    ...vmFields,
  }),
});

/** One entry of `vms`: the form is told by its field `generate`, so that mistakes are those of the form meant. */
const VmEntry = z.union([Generated, Vm]);

const timing = DistributionEntry.default(noTime);

export const SiteFile = z
  .strictObject({
    name: Name,
    clouds: z
      .array(z.strictObject({ name: Name, id: CloudId.optional(), hosts: Names.optional() }))
      .min(1)
      .max(1000),
    hosts: z
      .array(
        z.strictObject({
          name: Name,
          cores: z.int().min(1).max(4096),
          memory: SizeBytes,
          /** Without a list: all of the site. */
          networks: Names.optional(),
          storage: Names.optional(),
        }),
      )
      .min(1)
      .max(10_000),
    /** Virtual cores that a host carries for each of its cores. */
    virtualCoresPerCore: z.number().min(1).max(64).default(8),
    storage: z
      .array(z.strictObject({ name: Name, capacity: SizeBytes }))
      .min(1)
      .max(1000),
    networks: z.array(Network).max(1000).default([]),
    vms: z.array(VmEntry).max(100_000).default([]),
    timings: z
      .strictObject({
        ...(Object.fromEntries(OPERATIONS.map((operation) => [operation, timing])) as Record<(typeof OPERATIONS)[number], typeof timing>),
        guestStart: timing,
      })
      .prefault({}),
    replication: z
      .strictObject({
        /** Port 0 takes a free one and keeps it. */
        listen: HostAndPort.default('127.0.0.1:0'),
        bandwidth: Bandwidth.default(Number.POSITIVE_INFINITY),
        retryAfter: DurationMs.default(5000),
      })
      .prefault({}),
    faults: z.array(FaultEntry).max(1000).default([]),
  })
  .check(z.superRefine(reportBrokenReferences, { when: () => true }));
export type SiteFile = z.infer<typeof SiteFile>;
