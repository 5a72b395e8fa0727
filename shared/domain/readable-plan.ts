/**
 * A plan as far as it can be read, each part in its place: what has a mistake in its own form is replaced by a part that breaks no
 * rule. So the rules between parts are held against all the others, and every mistake is told at once. Pure.
 */
import { z } from 'zod';
import { actionLists, type PlanAction } from './plan-actions.ts';

/** Of a member whose name cannot be read; no name that people write. */
const UNREADABLE = '\u0000';

export const isReadable = (name: string | undefined): boolean => name !== undefined && !name.includes(UNREADABLE);

/** It runs in no kind of run. */
const NO_ACTION: PlanAction = {
  do: 'ask',
  name: UNREADABLE,
  instruction: UNREADABLE,
  kinds: [],
  directions: [],
  delaySeconds: 0,
  onFailure: 'stop',
};

const Name = z.string().catch(UNREADABLE);
const listOf = <T extends z.ZodType>(list: z.ZodOptional<z.ZodArray<T>>, otherwise: z.infer<T>) =>
  z
    .array(list.unwrap().element.catch(otherwise as never))
    .optional()
    .catch(undefined);
const lists = {
  beforeShutDown: listOf(actionLists.beforeShutDown, NO_ACTION as never),
  before: listOf(actionLists.before, NO_ACTION),
  after: listOf(actionLists.after, NO_ACTION),
};
const Member = z.object({ vm: Name, dependsOn: z.array(Name).optional().catch(undefined), ...lists }).catch({ vm: UNREADABLE });
const Group = z.object({ name: Name, members: z.array(Member).catch([]), ...lists }).catch({ name: UNREADABLE, members: [] });
const Plan = z.object({ name: Name, groups: z.array(Group).catch([]) }).catch({ name: UNREADABLE, groups: [] });

export type ReadablePlan = z.infer<typeof Plan> & { readonly guestAnswersWithinSeconds: number };

export const readablePlan = (value: unknown): ReadablePlan => ({ ...Plan.parse(value), guestAnswersWithinSeconds: 0 });
