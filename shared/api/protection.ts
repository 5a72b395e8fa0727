/** Pairings and protected VMs: the promises of the control plane, with what was observed beside them, never instead of them. */
import { z } from 'zod';
import { VM_ISSUES } from '../domain/health.ts';
import { ProtectionPolicy } from '../domain/policy.ts';
import { PHASES, VM_OPERATIONS } from '../domain/protected-vm.ts';
import { CloudId, JobId, NetworkId, PairingId, ProtectedVmId, SiteId, VmId } from '../ids.ts';
import { RecoveryPointReport } from '../protocol/egress.ts';
import { Moment } from './fields.ts';
import { Observation } from './sites.ts';

const CloudEnd = z.object({ siteId: SiteId, siteName: z.string(), cloudId: CloudId, cloudName: z.string() });
const NetworkEnd = z.object({ id: NetworkId, name: z.string() });

export const PairingAnswer = z
  .object({
    id: PairingId,
    name: z.string(),
    state: z.enum(['pairing', 'paired', 'failed', 'unpairing']),
    primary: CloudEnd,
    recovery: CloudEnd,
    policy: ProtectionPolicy,
    networks: z.array(z.object({ from: NetworkEnd, to: NetworkEnd })),
    createdAt: Moment,
  })
  .meta({ id: 'Pairing' });
export type PairingAnswer = z.infer<typeof PairingAnswer>;

export const ProtectedVmAnswer = z
  .object({
    id: ProtectedVmId,
    vmId: VmId,
    name: z.string(),
    pairing: z.object({ id: PairingId, name: z.string() }),
    phase: z.enum(PHASES),
    activeLocation: z.enum(['primary', 'recovery']),
    replicatesFrom: z.enum(['primary', 'recovery']).meta({ description: 'the side that sends its changes; a failover leads to the other' }),
    epoch: z.int(),
    busyWith: JobId.nullable(),
    drill: JobId.nullable().meta({ description: 'the drill whose test copy of it is there, or may be' }),
    takesItselfBackAt: Moment.nullable().meta({ description: 'its failover, unless it is committed before; null: it does not' }),
    createdAt: Moment,
    allowedOperations: z.array(
      z.object({ operation: z.enum(VM_OPERATIONS), isAllowed: z.boolean(), reason: z.string().meta({ description: 'why not' }) }),
    ),
    issues: z
      .array(z.object({ issue: z.enum(VM_ISSUES), cause: z.string(), remedy: z.string() }))
      .meta({ description: 'what is wrong with it as both sites report it now' }),
    primary: Observation.nullable().meta({ description: 'null: the site has never reported it' }),
    recovery: Observation.nullable().meta({ description: 'null: the site has never reported it' }),
  })
  .meta({ id: 'ProtectedVm' });
export type ProtectedVmAnswer = z.infer<typeof ProtectedVmAnswer>;

export const RecoveryPointsAnswer = z
  .object({
    siteId: SiteId.meta({ description: 'the site of the replica' }),
    siteName: z.string(),
    askedAt: Moment,
    recoveryPoints: z
      .array(RecoveryPointReport.extend({ ageSeconds: z.int().min(0) }))
      .meta({ description: 'the newest first; none where there is nothing to recover from, as after a commit' }),
  })
  .meta({ id: 'RecoveryPoints' });
export type RecoveryPointsAnswer = z.infer<typeof RecoveryPointsAnswer>;
