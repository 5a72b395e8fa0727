/** Sites, the keys that register their agents, and what the agents report. What is past its freshness is told as `unknown`. */
import { z } from 'zod';
import { AgentId, CloudId, NetworkId, SiteId, VmId } from '../ids.ts';
import { Name } from '../names.ts';
import { MeasureReport, Power, ReplicationReport } from '../protocol/egress.ts';
import { REGISTRATION_KEY_HOURS } from '../protocol/registration.ts';
import { Moment } from './fields.ts';

export const NewSiteBody = z.strictObject({ name: Name });

export const SiteAnswer = z
  .object({
    id: SiteId,
    name: z.string(),
    createdAt: Moment,
    isConnected: z.boolean(),
    lastHeardAt: Moment.nullable().meta({ description: 'when its agent was last heard; null: never' }),
    agent: z
      .object({
        id: AgentId,
        version: z.string(),
        registeredAt: Moment,
        certificateEndsAt: Moment,
      })
      .nullable()
      .meta({ description: 'the agent that speaks for the site; null: none is registered' }),
  })
  .meta({ id: 'Site' });
export type SiteAnswer = z.infer<typeof SiteAnswer>;

export const NewRegistrationKeyBody = z.strictObject({
  hours: z.int().min(1).max(REGISTRATION_KEY_HOURS.most).default(REGISTRATION_KEY_HOURS.default),
});

export const CreatedRegistrationKeyAnswer = z
  .object({
    key: z.string().meta({ description: 'shown this once; works once' }),
    siteId: SiteId,
    expiresAt: Moment,
  })
  .meta({ id: 'CreatedRegistrationKey' });

export const RegistrationKeyAnswer = z
  .object({
    state: z.enum(['usable', 'used', 'expired']),
    createdAt: Moment,
    createdBy: z.string().meta({ description: 'name of the user' }),
    expiresAt: Moment,
    usedAt: Moment.nullable(),
  })
  .meta({ id: 'RegistrationKey' });

export const CloudAnswer = z.object({ id: CloudId, siteId: SiteId, siteName: z.string(), name: z.string() }).meta({ id: 'Cloud' });
export type CloudAnswer = z.infer<typeof CloudAnswer>;
export const NetworkAnswer = z.object({ id: NetworkId, siteId: SiteId, siteName: z.string(), name: z.string() }).meta({ id: 'Network' });
export type NetworkAnswer = z.infer<typeof NetworkAnswer>;

/** Older than this, what a site reported is not shown as true any more. An agent that is connected keeps it fresh. */
export const FRESH_SECONDS = 90;

export const Observation = z
  .object({
    siteId: SiteId,
    siteName: z.string(),
    cloudId: CloudId,
    cloudName: z.string(),
    isFresh: z.boolean(),
    power: z.enum([...Power.options, 'unknown']),
    replication: z.object({
      mode: z.enum([...ReplicationReport.shape.mode.options, 'unknown']),
      state: z.enum([...ReplicationReport.shape.state.options, 'unknown']),
      health: z.enum([...ReplicationReport.shape.health.options, 'unknown']),
    }),
    lastPointAt: Moment.nullable().meta({ description: 'moment of the newest recovery point, as last reported' }),
    firstCopyAt: Moment.nullable().meta({ description: 'when its first copy begins, where it is a primary that waits for that moment' }),
    measure: MeasureReport.nullable().meta({ description: 'how a primary replicates, as it was when the VM was last reported' }),
    epoch: z.int().meta({ description: 'as last reported' }),
    observedAt: Moment.meta({ description: 'when it was last reported as it is' }),
    verifiedAt: Moment.meta({ description: 'until when it is known to hold: the agent reports every change, and was heard then' }),
    ageSeconds: z.int().min(0).meta({ description: 'since `verifiedAt`' }),
  })
  .meta({ id: 'Observation' });
export type Observation = z.infer<typeof Observation>;

export const SiteVmAnswer = z
  .object({ id: VmId, name: z.string(), networkIds: z.array(NetworkId), observation: Observation })
  .meta({ id: 'SiteVm' });
