/** Recovery plans: kept as versions of a document that a person wrote, and checked against the protected VMs there are. */
import { z } from 'zod';
import { DrillSchedule } from '../domain/drill-schedule.ts';
import { actionLists } from '../domain/plan-actions.ts';
import { PlanChange } from '../domain/plan-diff.ts';
import { PHASES } from '../domain/protected-vm.ts';
import { RecoveryPlan } from '../domain/recovery-plan.ts';
import { PlanId, ProtectedVmId } from '../ids.ts';
import { Moment } from './fields.ts';
import { ProblemEntry } from './problem.ts';

export const PLAN_LENGTH = 1024 * 1024;

export const PlanTextBody = z.strictObject({
  text: z.string().max(PLAN_LENGTH).meta({ description: 'YAML or JSON' }),
  fileName: z.string().min(1).max(255).default('plan').meta({ description: 'problems name it' }),
});

export const PlanSummary = z
  .object({
    id: PlanId,
    name: z.string(),
    version: z.int(),
    description: z.string(),
    groups: z.int(),
    members: z.int(),
    createdAt: Moment,
    createdBy: z.string().meta({ description: 'name of the user' }),
    approval: z
      .object({ at: Moment, by: z.string(), comment: z.string() })
      .nullable()
      .meta({ description: 'by a second person, of this version' }),
  })
  .meta({ id: 'PlanSummary' });

export const PlanAnswer = PlanSummary.extend({ document: RecoveryPlan }).meta({ id: 'Plan' });
export type PlanAnswer = z.infer<typeof PlanAnswer>;

export const SavedPlanAnswer = PlanSummary.extend({
  isChanged: z.boolean().meta({ description: 'false: the newest version says the same, and none was made' }),
}).meta({ id: 'SavedPlan' });

export const PlanCheckAnswer = z
  .object({
    name: z.string(),
    groups: z.int(),
    members: z.int(),
    notes: z.array(z.string()).meta({ description: 'what could not be checked now, in words' }),
  })
  .meta({ id: 'PlanCheck', description: 'the document has no mistakes' });

export const ResolvedPlanAnswer = z
  .object({
    id: PlanId,
    name: z.string(),
    version: z.int(),
    description: z.string(),
    commitWithinMinutes: z.int().nullable().meta({ description: 'null: a failover of it does not take itself back' }),
    startsPerHost: z.int().nullable().meta({ description: 'null: no limit of its own' }),
    drill: DrillSchedule.nullable().meta({ description: 'null: it is not drilled by itself' }),
    groups: z.array(
      z.object({
        name: z.string(),
        ...actionLists,
        members: z.array(
          z.object({
            vm: ProtectedVmId,
            name: z.string(),
            phase: z.enum(PHASES),
            guestAnswersWithinSeconds: z.int(),
            dependsOn: z.array(ProtectedVmId).meta({ description: 'members that have to have started well before it' }),
            ...actionLists,
          }),
        ),
      }),
    ),
    problems: z.array(ProblemEntry).meta({ description: 'members that mean no VM, or several' }),
  })
  .meta({ id: 'ResolvedPlan' });
export type ResolvedPlanAnswer = z.infer<typeof ResolvedPlanAnswer>;

const Version = z.int().min(1);

export const ApprovalBody = z.strictObject({ comment: z.string().trim().max(1000).default('') });

export const PlanDiffBody = z.strictObject({
  from: Version.optional().meta({ description: 'the version before `to`, or the newest one where `to` is a document' }),
  to: z
    .union([z.strictObject({ version: Version }), PlanTextBody])
    .optional()
    .meta({ description: 'the newest version where it is left out' }),
});

export const PlanDiffAnswer = z
  .object({
    name: z.string(),
    from: Version,
    to: Version.nullable().meta({ description: 'null: the document' }),
    changes: z.array(PlanChange).meta({ description: 'empty: nothing changes in meaning' }),
  })
  .meta({ id: 'PlanDiff' });
export type PlanDiffAnswer = z.infer<typeof PlanDiffAnswer>;
