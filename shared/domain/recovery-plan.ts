/**
 * A recovery plan: ordered groups whose members start in parallel, unless one depends on another. It is a text file as well as
 * an API document; members are named as people name them: by the VM's name where that is unique in the vault, else with its cloud and site.
 */
import { z } from 'zod';
import { Name, nameUpTo } from '../names.ts';
import { DrillSchedule } from './drill-schedule.ts';
import { type ActionProblem, actionLists, actionProblems } from './plan-actions.ts';
import { dependencyProblems } from './plan-dependencies.ts';
import { isReadable, readablePlan } from './readable-plan.ts';

const VmName = nameUpTo(255);

export const PlanMember = z.strictObject({
  vm: VmName.meta({ description: 'name of the protected VM; `cloud/name`, or `site/cloud/name`, where the name alone is not unique' }),
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
  ...actionLists,
});
export type PlanMember = z.infer<typeof PlanMember>;

export const PlanGroup = z.strictObject({
  name: Name,
  ...actionLists,
  members: z.array(PlanMember).min(1).max(10_000),
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
    (value, context) => {
      for (const { path, message, allowed } of problemsBetween(readablePlan(value).groups))
        context.addIssue({ code: 'custom', path: [...path], message, ...(allowed !== undefined && { params: { allowed } }) });
    },
    { when: () => true },
  );
export type RecoveryPlan = z.infer<typeof RecoveryPlan>;

/** What the form of a part cannot tell, of parts that can be read. */
function problemsBetween(groups: RecoveryPlan['groups']): ActionProblem[] {
  return [
    ...namesTwice(groups),
    ...dependencyProblems(groups)
      .filter(({ group, index, entry }) => isReadable(groups[group]?.members[index]?.dependsOn?.[entry]))
      .map(({ group, index, entry, ...told }) => ({ path: ['groups', group, 'members', index, 'dependsOn', entry], ...told })),
    ...actionProblems(groups),
  ];
}

function namesTwice(groups: RecoveryPlan['groups']): ActionProblem[] {
  const problems: ActionProblem[] = [];
  const groupAt = new Map<string, number>();
  const memberAt = new Map<string, string>();
  for (const [g, { name, members }] of groups.entries()) {
    const earlier = groupAt.get(name);
    if (earlier !== undefined)
      problems.push({
        path: ['groups', g, 'name'],
        message: `group ${earlier + 1} is called "${name}" too`,
        allowed: 'a name of its own for each group',
      });
    if (isReadable(name)) groupAt.set(name, g);
    for (const [m, { vm }] of members.entries()) {
      const other = memberAt.get(vm);
      if (other !== undefined)
        problems.push({
          path: ['groups', g, 'members', m, 'vm'],
          message: `"${vm}" is in group "${other}" already`,
          allowed: 'each VM once',
        });
      if (isReadable(vm)) memberAt.set(vm, name);
    }
  }
  return problems;
}

/** Whether what it says of drills can be held against what the vault has, although other fields are wrong. */
export function hasReadableDrill(value: unknown): value is Pick<RecoveryPlan, 'drill'> {
  return ReadableDrill.safeParse(value).success;
}

const ReadableDrill = z.object({ drill: DrillSchedule.optional() });
