/** Why a plan was allowed to run where the vault asks for approval; kept with the job. */
import { z } from 'zod';
import { Moment } from './fields.ts';

export const RunApproval = z
  .discriminatedUnion('state', [
    z.object({ state: z.literal('approved'), by: z.string(), at: Moment }),
    z.object({ state: z.literal('emergency'), reason: z.string().meta({ description: 'why it ran although nobody had approved it' }) }),
  ])
  .meta({ id: 'RunApproval' });
export type RunApproval = z.infer<typeof RunApproval>;

/** What a job tells of it. */
export const ApprovalOfJob = RunApproval.nullable().meta({ description: 'null: the vault asked for none' });
