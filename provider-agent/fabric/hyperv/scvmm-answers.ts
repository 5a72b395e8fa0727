/** What the module answers of SCVMM, checked. */
import { z } from 'zod';
import { IpAddress, IpSubnet } from '../../../shared/domain/ip-address.ts';
import { NetworkId, VmId } from '../../../shared/ids.ts';
import type { PowerState } from '../fabric.ts';
import { replicationTold, Stamps } from './hyperv-answers.ts';

const powers: Readonly<Record<string, PowerState>> = {
  Running: 'running',
  PowerOff: 'off',
  PoweringOff: 'stopping',
  Saving: 'stopping',
  Saved: 'saved',
  Restoring: 'starting',
  Starting: 'starting',
  Pausing: 'paused',
  Paused: 'paused',
};

/** A network id; empty for none. */
const AdapterNetwork = z.union([z.literal(''), NetworkId]);

const ScVm = z.object({
  /** SCVMM's own: a primary and its replica share the id of the VM. */
  key: z.string().min(1),
  id: VmId,
  name: z.string(),
  host: z.string(),
  /** Empty where it is in none. */
  cloud: z.string(),
  /** States of SCVMM's own (it migrates, it is not answered for) tell nothing of the VM. */
  power: z.string().transform((text): PowerState => powers[text] ?? 'critical'),
  networks: z.array(AdapterNetwork),
  tags: z.array(z.string()),
  notes: z.array(z.string()),
});
export type ScVm = z.infer<typeof ScVm>;

const ScCloud = z.object({
  name: z.string(),
  hosts: z.array(z.object({ name: z.string().min(1), cluster: z.string().nullable() })),
});
export type ScCloud = z.infer<typeof ScCloud>;

const Pool = z.object({
  id: z.uuid(),
  from: IpAddress,
  to: IpAddress,
  gateway: IpAddress.nullable(),
  dns: z.array(IpAddress),
  /** Granted to others. */
  taken: z.array(z.string()),
});

const ScNetwork = z.object({
  id: NetworkId,
  name: z.string(),
  subnets: z.array(z.object({ name: z.string(), cidr: IpSubnet, pool: Pool.nullable() })),
});
export type ScNetwork = z.infer<typeof ScNetwork>;

export const scvmmAnswers = {
  clouds: z.object({ clouds: z.array(ScCloud) }),
  inventory: z.object({
    clouds: z.array(ScCloud),
    networks: z.array(z.object({ id: NetworkId, name: z.string() })),
    vms: z.array(ScVm),
    /** Of all VMs, between blanks. */
    keys: z.string().transform((text) => new Set(text.split(' '))),
    newest: z.int(),
  }),
  replications: z.object({ replications: z.array(replicationTold), gone: Stamps }),
  networks: z.object({ networks: z.array(ScNetwork) }),
  exposures: z.object({
    networks: z.array(z.object({ id: NetworkId, name: z.string(), leadsOut: z.boolean(), vms: z.int(), copies: z.int() })),
  }),
};
export type ReplicationTold = z.infer<typeof replicationTold>;
