/** VMs that replicate by Hyper-V Replica and are not protected by us: the list that adoption begins with, and its route. */
import { z } from 'zod';
import { ReplicationSettings } from '../domain/policy.ts';
import { PairingId, VmId } from '../ids.ts';
import type { Route } from './route.ts';
import { Observation } from './sites.ts';

const SettingName = z.enum(Object.keys(ReplicationSettings.shape) as [keyof ReplicationSettings, ...(keyof ReplicationSettings)[]]);

export const AdoptableVmAnswer = z
  .object({
    vmId: VmId,
    name: z.string(),
    pairing: z
      .object({ id: PairingId, name: z.string() })
      .nullable()
      .meta({ description: 'that would adopt it; null: none joins its two clouds' }),
    replicatesFrom: z.enum(['primary', 'recovery']).nullable().meta({ description: 'the side of the pairing that sends' }),
    primary: Observation,
    replica: Observation.nullable().meta({ description: 'null: no site reports one' }),
    differences: z
      .array(z.object({ setting: SettingName, is: z.string(), policy: z.string() }))
      .meta({ description: 'settings that are not as the policy says; whoever adopts says whether they are kept or changed' }),
    isAdoptable: z.boolean(),
    obstacle: z.string().meta({ description: 'why it cannot be adopted; empty when it can' }),
  })
  .meta({ id: 'AdoptableVm' });
export type AdoptableVmAnswer = z.infer<typeof AdoptableVmAnswer>;

export const adoptionRoutes = {
  listAdoptableVms: {
    method: 'get',
    path: '/api/v1/adoptable-vms',
    tag: 'Protection',
    access: 'viewer',
    summary:
      'Lists the VMs that replicate by Hyper-V Replica and are not protected, with what differs and what stands against adopting them',
    status: 200,
    answer: z.object({ adoptableVms: z.array(AdoptableVmAnswer) }),
    errors: [],
  },
} as const satisfies Record<string, Route>;
