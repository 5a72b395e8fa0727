/** Protection rules: their resources, a preview of what one would take, and the VMs that people took out of their reach. */
import { z } from 'zod';
import { RuleMatch } from '../domain/protection-rules.ts';
import { JobId, PairingId, RuleId, VmId } from '../ids.ts';
import { Moment } from './fields.ts';
import type { Route } from './route.ts';

export const RuleBody = z.strictObject({ pairing: PairingId, match: RuleMatch });

export const RuleAnswer = z
  .object({
    id: RuleId,
    pairing: z.object({ id: PairingId, name: z.string() }),
    match: RuleMatch,
    text: z.string().meta({ description: 'the match in words' }),
    createdAt: Moment,
    createdBy: z.string().meta({ description: 'name of the user' }),
    removedAt: Moment.nullable().meta({ description: 'null: it holds' }),
    removedBy: z.string().nullable(),
  })
  .meta({ id: 'ProtectionRule' });
export type RuleAnswer = z.infer<typeof RuleAnswer>;

export const RulePreviewAnswer = z
  .object({
    vms: z.array(
      z.object({
        vmId: VmId,
        name: z.string(),
        verdict: z.enum(['takes', 'waits', 'passes']).meta({ description: 'what the rule does with it now' }),
        why: z.string(),
        until: Moment.nullable().meta({ description: 'when it is tried again, where it waits' }),
      }),
    ),
    isTold: z.boolean().meta({ description: 'false: no rule names this tag yet, so no site has told which VMs have it' }),
  })
  .meta({ id: 'RulePreview' });
export type RulePreviewAnswer = z.infer<typeof RulePreviewAnswer>;

export const RuleExclusionAnswer = z
  .object({
    vmId: VmId,
    name: z.string(),
    at: Moment,
    by: z.string().meta({ description: 'name of the user' }),
    jobId: JobId.nullable().meta({ description: 'by which its protection was ended or cancelled; null: a person said so outright' }),
  })
  .meta({ id: 'RuleExclusion' });
export type RuleExclusionAnswer = z.infer<typeof RuleExclusionAnswer>;

const tag = 'Protection rules';
const OneVm = z.object({ vmId: VmId });

export const ruleRoutes = {
  listRules: {
    method: 'get',
    path: '/api/v1/protection-rules',
    tag,
    access: 'viewer',
    summary: 'Lists the rules that protect VMs by themselves, oldest first, removed ones too',
    status: 200,
    answer: z.object({ rules: z.array(RuleAnswer) }),
    errors: [],
  },
  addRule: {
    method: 'post',
    path: '/api/v1/protection-rules',
    tag,
    access: 'operator',
    summary: 'Adds a rule to a pairing: VMs of its primary cloud that fit are protected, now and whenever one appears',
    body: RuleBody,
    status: 201,
    answer: RuleAnswer,
    errors: ['ERR_NOT_FOUND', 'ERR_CONFLICT', 'ERR_NOT_PREPARED'],
  },
  removeRule: {
    method: 'delete',
    path: '/api/v1/protection-rules/{ruleId}',
    tag,
    access: 'operator',
    summary: 'Removes a rule; what it protected stays protected',
    params: z.object({ ruleId: RuleId }),
    status: 204,
    errors: ['ERR_NOT_FOUND'],
  },
  previewRule: {
    method: 'post',
    path: '/api/v1/protection-rules/preview',
    tag,
    access: 'viewer',
    summary: 'Says what a rule would do with each VM that it speaks of, now',
    body: RuleBody,
    status: 200,
    answer: RulePreviewAnswer,
    errors: ['ERR_NOT_FOUND'],
  },
  listRuleExclusions: {
    method: 'get',
    path: '/api/v1/rule-exclusions',
    tag,
    access: 'viewer',
    summary: 'Lists the VMs that no rule takes, because a person took them out of protection',
    status: 200,
    answer: z.object({ exclusions: z.array(RuleExclusionAnswer) }),
    errors: [],
  },
  excludeFromRules: {
    method: 'put',
    path: '/api/v1/rule-exclusions/{vmId}',
    tag,
    access: 'operator',
    summary: 'Takes a VM out of the reach of every rule; a protection that it has stays',
    params: OneVm,
    status: 204,
    errors: ['ERR_NOT_FOUND'],
  },
  liftRuleExclusion: {
    method: 'delete',
    path: '/api/v1/rule-exclusions/{vmId}',
    tag,
    access: 'operator',
    summary: 'Lets rules take a VM again',
    params: OneVm,
    status: 204,
    errors: ['ERR_NOT_FOUND'],
  },
} as const satisfies Record<string, Route>;
