/**
 * Jobs as people see them: groups of members with their steps, all read from the log of facts. Gates and the commands
 * behind a step stay inside.
 */
import { z } from 'zod';
import { Decision, Fact, HoldCode, JobState } from '../engine/facts.ts';
import { ERROR_CODES } from '../errors.ts';
import { JobId, ProtectedVmId, SiteId, StepId } from '../ids.ts';
import { Stage } from '../protocol/commands.ts';
import { Moment, Reason } from './fields.ts';
import { JobRule } from './job-input.ts';
import { OperationRequest } from './operations.ts';
import { ApprovalOfJob } from './run-approval.ts';

/** Every job was asked for as an operation. */
export const JOB_KINDS = OperationRequest.options.map(({ shape }) => shape.kind.value) as [
  OperationRequest['kind'],
  ...OperationRequest['kind'][],
];

/** Whether a job of this kind brings VMs up at their recovery site, so that it has an actual RTO and RPO. */
export const isFailover = (kind: OperationRequest['kind']): boolean => kind === 'plannedFailover' || kind === 'unplannedFailover';

/** ... or test copies of them: what is measured of a drill is what a failover would have taken. */
export const isMeasured = (kind: OperationRequest['kind']): boolean => isFailover(kind) || kind === 'testFailover';

export const JobAnswer = z
  .object({
    id: JobId,
    kind: z.enum(JOB_KINDS),
    target: z.string().meta({ description: 'what it works on, in words' }),
    startedBy: z.string(),
    startedAt: Moment,
    endedAt: Moment.nullable(),
    state: JobState,
  })
  .meta({ id: 'Job' });
export type JobAnswer = z.infer<typeof JobAnswer>;

export const StepFault = z
  .object({
    code: z.enum(ERROR_CODES),
    cause: z.string(),
    remedy: z.string(),
    logRef: z.string().meta({ description: 'where the log of the agent tells more' }),
    exitCode: z.int().optional().meta({ description: 'of a script that failed; its output is kept at the site' }),
  })
  .meta({ id: 'StepFault' });
export type StepFault = z.infer<typeof StepFault>;

export const STEP_STATUSES = [
  'waiting',
  'running',
  'done',
  'failed',
  'blocked',
  'skipped',
  'notNeeded',
  'undoing',
  'undone',
  'undoFailed',
] as const;

export const StepAnswer = z
  .object({
    id: StepId,
    title: z.string(),
    status: z.enum(STEP_STATUSES).meta({ description: 'notNeeded: an action of a group of which nobody was left in its turn' }),
    attempt: z.int(),
    startedAt: Moment.nullable().meta({ description: 'of its first attempt' }),
    endedAt: Moment.nullable(),
    stage: Stage.nullable().meta({ description: 'how far it is, while it runs' }),
    error: StepFault.nullable(),
    waitsForPerson: z.boolean().meta({ description: 'decide it: confirm or skip what was asked, retry or skip what failed' }),
    instruction: z.string().nullable().meta({ description: 'what a person is asked to do and to confirm; null: it is not for a person' }),
    comment: z.string().nullable().meta({ description: 'what the person said who confirmed it' }),
  })
  .meta({ id: 'Step' });
export type StepAnswer = z.infer<typeof StepAnswer>;

export const MEMBER_STATUSES = ['waiting', 'running', 'done', 'failed', 'undone', 'skipped', 'notNeeded', 'waitsForPerson'] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

export const MemberAnswer = z
  .object({
    vm: ProtectedVmId.nullable().meta({ description: 'null: the member is no VM' }),
    name: z.string(),
    isAction: z.boolean().meta({ description: 'it is an action that the plan has before or after a group or a member' }),
    status: z.enum(MEMBER_STATUSES),
    steps: z.array(StepAnswer),
  })
  .meta({ id: 'JobMember' });
export type MemberAnswer = z.infer<typeof MemberAnswer>;

export const AwaitedAgent = z
  .object({
    site: z.string(),
    siteId: SiteId,
    lastHeardAt: Moment.nullable().meta({ description: 'null: never' }),
    steps: z.int().min(1).meta({ description: 'handed out and not answered' }),
    overdueSteps: z.int().meta({ description: 'of them past the time by which they had to begin (ERR_COMMAND_OVERDUE)' }),
  })
  .meta({ id: 'AwaitedAgent' });
export type AwaitedAgent = z.infer<typeof AwaitedAgent>;

export const HeldJob = z
  .object({
    code: HoldCode,
    cause: z.string(),
    remedy: z.string(),
    since: Moment,
    sites: z.array(z.string()).meta({ description: 'that know more than the control plane, or have not been heard' }),
  })
  .meta({ id: 'HeldJob' });
export type HeldJob = z.infer<typeof HeldJob>;

export const JobDetailAnswer = JobAnswer.extend({
  lastSeq: z.int().meta({ description: 'of the newest fact that this answer tells of' }),
  groups: z.array(z.object({ name: z.string(), members: z.array(MemberAnswer) })),
  held: HeldJob.nullable().meta({ description: 'why nothing of it goes on until a person lets it; null: nothing holds it' }),
  awaitedAgents: z.array(AwaitedAgent).meta({ description: 'agents that the job waits for and that are not connected' }),
  byRule: JobRule.nullable().meta({ description: 'the protection rule that wanted it; null: a person did' }),
  leftOut: z.array(z.object({ name: z.string(), reason: z.string() })).meta({ description: 'members that the job did not take on' }),
  approval: ApprovalOfJob,
  reason: z.string().nullable().meta({ description: 'why it was asked for; null where nobody said' }),
  cancelled: z.object({ at: Moment, by: z.string(), reason: z.string() }).nullable().meta({
    description: 'a person cancelled it: what is past the point of no return goes on all the same, and `state` tells how it stands',
  }),
  restartOf: JobId.nullable().meta({ description: 'the job that did not go well and that this one is a new run of' }),
  takesItselfBackAt: Moment.nullable().meta({ description: 'of VMs that it moved, unless they are committed before; null: it does not' }),
}).meta({ id: 'JobDetail' });
export type JobDetailAnswer = z.infer<typeof JobDetailAnswer>;

export const StoredFactAnswer = z
  .object({ seq: z.int().min(1), fact: Fact.meta({ description: '`at` is in milliseconds since 1970, as it was logged' }) })
  .meta({ id: 'StoredFact' });
export type StoredFactAnswer = z.infer<typeof StoredFactAnswer>;

export const DecisionBody = z.strictObject({
  step: StepId,
  decision: Decision,
  reason: Reason.meta({ description: 'why; with confirm: the comment' }),
});
export const GiveUpBody = z.strictObject({ site: SiteId, reason: Reason });
export const ResumeBody = z.strictObject({ reason: Reason.meta({ description: 'what was looked at, and why it may go on' }) });
export const CancelBody = z.strictObject({ reason: Reason });
export const RestartBody = z.strictObject({
  id: JobId.meta({ description: 'of the new job; a request that is repeated is the same job' }),
  reason: Reason,
  attested: z.literal(true).optional().meta({
    description:
      'what a person had vouched for is vouched for anew: VMs that are down, an emergency, force, recovery points that may be deleted',
  }),
});
