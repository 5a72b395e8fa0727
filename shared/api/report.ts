/**
 * The report of a job: what it took and what was lost, measured, each number with the moments that it was computed from.
 * It can be recomputed from the log of facts and the job's own record alone.
 */
import { z } from 'zod';
import { ACTION_PLACES } from '../domain/plan-actions.ts';
import { Decision, JobState, wordsOnTheJob } from '../engine/facts.ts';
import { JobId, ProtectedVmId, StepId } from '../ids.ts';
import { Moment } from './fields.ts';
import { JOB_KINDS, StepFault } from './jobs.ts';
import { ApprovalOfJob } from './run-approval.ts';

const Seconds = z.number().min(0);

/** Where the time went; the parts add up to the whole. */
export const TimeSplit = z
  .object({
    queuedSeconds: Seconds.meta({ description: 'before the first step: earlier groups, and the orchestration' }),
    fabricSeconds: Seconds.meta({
      description: 'a step was handed to a site and not yet answered, and it was not only a guest that was waited for',
    }),
    guestSeconds: Seconds.meta({ description: 'of the rest: a VM ran and its guest had not answered, as long as the site measured it' }),
    checksSeconds: Seconds.meta({ description: 'of the rest: actions of the plan, its scripts and what it waited for' }),
    personSeconds: Seconds.meta({ description: 'waiting for the decision of a person' }),
    orchestrationSeconds: Seconds.meta({ description: 'the rest: between steps' }),
  })
  .meta({ id: 'TimeSplit' });
export type TimeSplit = z.infer<typeof TimeSplit>;

export const VmReportAnswer = z.object({
  vm: ProtectedVmId.nullable(),
  name: z.string(),
  group: z.string(),
  outcome: z
    .enum(['succeeded', 'failed', 'undone', 'skipped', 'notNeeded', 'waitsForPerson', 'inProgress'])
    .meta({ description: 'skipped: a person went on without a step of it; notNeeded: an action of a group of which nobody was left' }),
  beganAt: Moment.nullable(),
  endedAt: Moment.nullable(),
  rtoSeconds: Seconds.nullable().meta({ description: 'actual RTO: from the start of the job until it was known that the VM serves' }),
  outageSeconds: Seconds.nullable().meta({ description: 'from the outage until it was known that the VM serves' }),
  rpoSeconds: Seconds.nullable().meta({ description: 'actual RPO: from the recovery point to the outage' }),
  recoveryPointId: z.string().nullable(),
  recoveryPointAt: Moment.nullable().meta({ description: 'by the clock of the site' }),
  runningAt: Moment.nullable().meta({ description: 'by the clock of the site' }),
  answeredAt: Moment.nullable().meta({ description: 'when its guest answered, by the clock of the site; null: not waited for' }),
  split: TimeSplit.nullable(),
  failures: z.array(StepFault.extend({ step: StepId, title: z.string(), at: Moment, isFinal: z.boolean() })),
});
export type VmReportAnswer = z.infer<typeof VmReportAnswer>;

export const ActionReportAnswer = z.object({
  group: z.string(),
  member: z.string().nullable().meta({ description: 'null: it is at the group' }),
  name: z.string(),
  when: z.enum(ACTION_PLACES),
  outcome: VmReportAnswer.shape.outcome,
  beganAt: Moment.nullable(),
  endedAt: Moment.nullable(),
  personSeconds: Seconds.meta({ description: 'how long a person was waited for' }),
  script: z
    .object({
      name: z.string(),
      sha256: z.string(),
      exitCode: z.int().nullable().meta({ description: 'null: it was not run to its end, or that is not known' }),
      seconds: Seconds,
    })
    .nullable()
    .meta({ description: 'null: it is no script, or was not run' }),
  confirmed: z.object({ at: Moment, by: z.string(), comment: z.string() }).nullable(),
  failures: VmReportAnswer.shape.failures,
});
export type ActionReportAnswer = z.infer<typeof ActionReportAnswer>;

export const ReportAnswer = z
  .object({
    job: z.object({
      id: JobId,
      kind: z.enum(JOB_KINDS),
      target: z.string(),
      state: JobState,
      startedBy: z.string(),
      startedAt: Moment,
      endedAt: Moment.nullable(),
    }),
    plan: z.object({ name: z.string(), version: z.int() }).nullable(),
    approval: ApprovalOfJob,
    primary: z
      .object({ evidence: z.enum(['unreachable', 'attested']), reason: z.string() })
      .nullable()
      .meta({ description: 'why it was safe to start the VMs elsewhere' }),
    outageAt: Moment.nullable().meta({ description: 'when the agent of the primary site was last heard; null: it was not gone' }),
    rpoFrom: z.enum(['outage', 'start', 'shutdown']).nullable().meta({
      description: 'what the RPO is measured from: the outage, or else the start of the job; of a planned failover the shutting down',
    }),
    total: z.object({
      vms: z.int(),
      succeeded: z.int(),
      failed: z.int(),
      skipped: z.int(),
      leftOut: z.int(),
      rtoSeconds: Seconds.nullable().meta({ description: 'until the last VM that made it' }),
      outageSeconds: Seconds.nullable(),
      rpoSeconds: Seconds.nullable().meta({ description: 'the worst of them' }),
      split: TimeSplit.nullable(),
    }),
    vms: z.array(VmReportAnswer),
    actions: z.array(ActionReportAnswer),
    leftOut: z.array(z.object({ name: z.string(), reason: z.string() })),
    decisions: z.array(
      z.object({
        at: Moment,
        by: z.string(),
        reason: z.string(),
        what: z.enum([...Decision.options, ...Object.values(wordsOnTheJob)]),
        step: StepId.nullable(),
        title: z.string().nullable().meta({ description: 'of the step; null: the whole job' }),
      }),
    ),
    facts: z.object({ count: z.int(), lastSeq: z.int() }).meta({ description: 'the log that this was computed from' }),
  })
  .meta({ id: 'Report' });
export type ReportAnswer = z.infer<typeof ReportAnswer>;
