/**
 * What operations keep with a job beside its facts, as far as people are shown it: who its members are, in which groups,
 * what was left out, and the evidence. Operations write it; the job's view and its report read it.
 */
import { z } from 'zod';
import { DRILL_OUTCOMES } from '../domain/drill.ts';
import { JobId, ProtectedVmId, RuleId, StepId, VmId } from '../ids.ts';
import { PrimaryEvidence } from './operations.ts';
import { RunApproval } from './run-approval.ts';

/** What a job by rule keeps of it: why each VM was taken. */
export const JobRule = z.object({
  rule: RuleId,
  match: z.string(),
  vms: z.array(z.object({ vmId: VmId, name: z.string(), why: z.string() })),
});

const Member = z.object({ vm: ProtectedVmId, name: z.string() });

/** An action that the plan asked for in this run; with `member` it is at that one, else at the group. */
export const ActionRecord = z.object({
  step: StepId,
  name: z.string(),
  when: z.enum(['before', 'after']),
  onFailure: z.enum(['stop', 'continue']),
  member: z.string().optional(),
});
export type ActionRecord = z.infer<typeof ActionRecord>;

export const JobInput = z.object({
  planName: z.string().nullish(),
  planVersion: z.int().nullish(),
  groups: z.array(z.object({ name: z.string(), members: z.array(Member), actions: z.array(ActionRecord).optional() })).optional(),
  /** Members of a job without groups. */
  vms: z.array(Member).optional(),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })).optional(),
  reason: z.string().optional(),
  approval: RunApproval.nullish(),
  /** What the plan says; its VMs are taken back so long after the end of the job unless they are committed. */
  commitWithinMinutes: z.int().nullish(),
  primary: PrimaryEvidence.optional(),
  /** The rule that wanted it, where no person did. */
  byRule: JobRule.optional(),
  /** Of a drill: how long its copies stand, where they are cleaned up by themselves. */
  cleanUpAfterMinutes: z.int().optional(),
  /** Of a clean-up: the drill, and what a person said of it. */
  drill: JobId.optional(),
  outcome: z.enum(DRILL_OUTCOMES).optional(),
  notes: z.string().optional(),
  /** When the agent of the primary site was last heard; null when it was not gone. */
  outageAt: z.number().nullish(),
});
export type JobInput = z.infer<typeof JobInput>;
