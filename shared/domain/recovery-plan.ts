/**
 * A recovery plan: ordered groups whose members start in parallel, unless one depends on another. It is a text file as well as
 * an API document; members are named as people name them, `cloud/vm name`, or by the VM's name alone where that is unique in the vault.
 */
import { z } from 'zod';
import { DrillSchedule } from './drill-schedule.ts';
import { actionProblems, PlanActions } from './plan-actions.ts';
import { dependencyProblems } from './plan-dependencies.ts';

const Name = z.string().trim().min(1).max(100);
const VmName = z.string().trim().min(1).max(255);

export const PlanMember = z.strictObject({
  vm: VmName.meta({ description: 'name of the protected VM, or `cloud/name` where the name alone is not unique' }),
  dependsOn: z
    .array(VmName)
    .max(10_000)
    .optional()
    .meta({ description: 'members of the same group or of earlier ones, named as in `vm`: it starts after all of them have started well' }),
  guestAnswersWithinSeconds: z
    .int()
    .min(0)
    .max(3600)
    .optional()
    .meta({ description: 'how long its guest may take to answer; 0 does not wait' }),
  before: PlanActions.optional().meta({ description: 'actions before it is started, one after the other' }),
  after: PlanActions.optional().meta({ description: 'actions after it has started well' }),
});
export type PlanMember = z.infer<typeof PlanMember>;

export const PlanGroup = z.strictObject({
  name: Name,
  before: PlanActions.optional().meta({ description: 'actions before its members are started, one after the other' }),
  members: z.array(PlanMember).min(1).max(10_000),
  after: PlanActions.optional().meta({ description: 'actions after all its members have started' }),
});
export type PlanGroup = z.infer<typeof PlanGroup>;

export const RecoveryPlan = z
  .strictObject({
    name: Name,
    description: z.string().max(2000).optional(),
    guestAnswersWithinSeconds: z.int().min(0).max(3600).default(300).meta({ description: 'default for members' }),
    commitWithinMinutes: z.int().min(1).max(43_200).optional().meta({
      description: 'a failover that is not committed so many minutes after its end is taken back by itself; never, where it is left out',
    }),
    drill: DrillSchedule.optional().meta({ description: 'how often the plan is drilled by itself; never, where it is left out' }),
    startsPerHost: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .meta({ description: 'how many of its VMs may start at once on one host; left out: as many as a group has' }),
    groups: z.array(PlanGroup).min(1).max(1_000),
  })
  .superRefine(
    (plan, context) => {
      const groupAt = new Map<string, number>();
      const memberAt = new Map<string, string>();
      plan.groups.forEach((group, g) => {
        const earlier = groupAt.get(group.name);
        if (earlier !== undefined) {
          context.addIssue({ code: 'custom', path: ['groups', g, 'name'], message: `group ${earlier + 1} is called "${group.name}" too` });
        }
        groupAt.set(group.name, g);
        group.members.forEach((member, m) => {
          const other = memberAt.get(member.vm);
          if (other !== undefined) {
            context.addIssue({
              code: 'custom',
              path: ['groups', g, 'members', m, 'vm'],
              message: `"${member.vm}" is in group "${other}" already`,
            });
          }
          memberAt.set(member.vm, group.name);
        });
      });
      for (const { group, index, entry, message, allowed } of dependencyProblems(plan.groups)) {
        context.addIssue({
          code: 'custom',
          path: ['groups', group, 'members', index, 'dependsOn', entry],
          message,
          ...(allowed !== undefined && { params: { allowed } }),
        });
      }
    },
    { when: ({ value, issues }) => issues.length === 0 || hasReadableMembers(value) },
  )
  .superRefine(
    (plan, context) => {
      for (const { path, message, allowed } of actionProblems(plan.groups))
        context.addIssue({ code: 'custom', path: [...path], message, ...(allowed !== undefined && { params: { allowed } }) });
    },
    { when: ({ value }) => hasReadableActions(value) },
  );
export type RecoveryPlan = z.infer<typeof RecoveryPlan>;

/** Whether members can be held against each other although other fields are wrong, so that all mistakes are told at once. */
export function hasReadableMembers(value: unknown): value is Pick<RecoveryPlan, 'groups'> {
  return ReadablePlan.safeParse(value).success;
}

/** Whether the actions can be held against what the plan and the vault have, although other fields are wrong. */
export function hasReadableActions(value: unknown): value is Pick<RecoveryPlan, 'groups'> {
  return ReadableGroups.safeParse(value).success;
}

/** Whether what it says of drills can be held against what the vault has, although other fields are wrong. */
export function hasReadableDrill(value: unknown): value is Pick<RecoveryPlan, 'drill'> {
  return ReadableDrill.safeParse(value).success;
}

const ReadableDrill = z.object({ drill: DrillSchedule.optional() });
/** Groups without a mistake of their own, whatever else is wrong. */
const ReadableGroups = z.object({ groups: z.array(PlanGroup) });
const ReadableMember = z.object({ vm: z.string(), dependsOn: z.array(z.string()).optional() });
const ReadablePlan = z.object({ groups: z.array(z.object({ name: z.string(), members: z.array(ReadableMember) })) });
