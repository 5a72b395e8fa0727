/** What changes in the actions of a group or a member. Pure. An action is known by its name, and where a list has it twice, by its turn. */
import { z } from 'zod';
import { fieldChanges } from './field-changes.ts';
import { ACTION_PLACES, type ActionPlace, type PlanActing, type PlanAction } from './plan-actions.ts';

const Text = z.string();
const at = {
  of: z.enum(['group', 'member']),
  name: Text,
  place: z.enum(ACTION_PLACES),
};

export const actionChangeForms = [
  z.object({ what: z.literal('actionAdded'), ...at, action: Text, turn: z.int().min(1) }),
  z.object({ what: z.literal('actionRemoved'), ...at, action: Text }),
  z.object({ what: z.literal('actionChanged'), ...at, action: Text, setting: Text, from: z.unknown(), to: z.unknown() }),
  z.object({ what: z.literal('actionsReordered'), ...at, order: z.array(Text) }),
] as const;
export type ActionChange = z.infer<(typeof actionChangeForms)[number]>;

export function actionChanges(of: 'group' | 'member', name: string, before: PlanActing, after: PlanActing): ActionChange[] {
  return ACTION_PLACES.flatMap((place) => changesAt({ of, name, place }, named(before[place]), named(after[place])));
}

type Named = ReadonlyMap<string, PlanAction>;

function changesAt(
  where: { readonly of: 'group' | 'member'; readonly name: string; readonly place: ActionPlace },
  old: Named,
  present: Named,
): ActionChange[] {
  const kept = [...present.keys()].filter((action) => old.has(action));
  const isInOrder = [...old.keys()].filter((action) => present.has(action)).every((action, turn) => action === kept[turn]);
  return [
    ...[...old.keys()].filter((action) => !present.has(action)).map((action) => ({ what: 'actionRemoved' as const, ...where, action })),
    ...[...present].flatMap(([action, now], turn): ActionChange[] => {
      const was = old.get(action);
      if (was === undefined) return [{ what: 'actionAdded', ...where, action, turn: turn + 1 }];
      return fieldChanges(was, now).map((change) => ({ what: 'actionChanged', ...where, action, ...change }));
    }),
    ...(isInOrder ? [] : [{ what: 'actionsReordered' as const, ...where, order: [...present.keys()] }]),
  ];
}

function named(actions: readonly PlanAction[] = []): Named {
  const found = new Map<string, PlanAction>();
  const counts = new Map<string, number>();
  for (const action of actions) {
    const count = (counts.get(action.name) ?? 0) + 1;
    counts.set(action.name, count);
    found.set(count === 1 ? action.name : `${action.name} (${count})`, action);
  }
  return found;
}
