/**
 * What changes in meaning from one version of a plan to another. Pure. What a run does not see is no change: comments, the order of
 * members within a group, of entries in `dependsOn`, a default that is written out, another name for the same VM.
 */
import { z } from 'zod';
import type { PlanGroup, PlanMember, RecoveryPlan } from './recovery-plan.ts';

const Text = z.string();
/** Counted from 1, as people count. */
const Place = z.int().min(1);

export const PlanChange = z.discriminatedUnion('what', [
  z.object({ what: z.literal('planRenamed'), from: Text, to: Text }),
  z.object({ what: z.literal('groupAdded'), group: Text, place: Place }),
  z.object({ what: z.literal('groupRemoved'), group: Text }),
  z.object({ what: z.literal('groupRenamed'), from: Text, to: Text }),
  z.object({ what: z.literal('groupMoved'), group: Text, from: Place, to: Place }),
  z.object({ what: z.literal('memberAdded'), member: Text, group: Text }),
  z.object({ what: z.literal('memberRemoved'), member: Text, group: Text }),
  z.object({ what: z.literal('memberMoved'), member: Text, from: Text, to: Text }),
  z.object({ what: z.literal('dependencyAdded'), member: Text, dependsOn: Text }),
  z.object({ what: z.literal('dependencyRemoved'), member: Text, dependsOn: Text }),
  z.object({
    what: z.literal('settingChanged'),
    of: z.enum(['plan', 'group', 'member']),
    name: Text,
    setting: Text,
    from: z.unknown().meta({ description: 'null: it was not set' }),
    to: z.unknown().meta({ description: 'null: it is not set' }),
  }),
]);
export type PlanChange = z.infer<typeof PlanChange>;

interface Member {
  readonly group: PlanGroup;
  readonly member: PlanMember;
  readonly dependsOn: ReadonlySet<string>;
}

type Meaning = (name: string) => string;

/** `before` and `after` say which VM a member's name means, alike for two names of the same VM; the name itself where nobody knows. */
export function diffPlans(
  before: RecoveryPlan,
  after: RecoveryPlan,
  meant: { readonly before: Meaning; readonly after: Meaning } = { before: (name) => name, after: (name) => name },
): PlanChange[] {
  const old = membersOf(before, meant.before);
  const present = membersOf(after, meant.after);
  const counterparts = matchGroups(before, after, old, present);
  return [
    ...(before.name === after.name ? [] : [{ what: 'planRenamed' as const, from: before.name, to: after.name }]),
    ...settingChanges('plan', after.name, settingsOfPlan(before), settingsOfPlan(after)),
    ...groupChanges(before, after, counterparts),
    ...memberChanges(old, present, counterparts),
    ...[...present].flatMap(([vm, { member }]) => memberSettings(member, old.get(vm)?.member, before, after)),
    ...dependencyChanges(old, present),
  ];
}

function membersOf(plan: RecoveryPlan, meant: Meaning): Map<string, Member> {
  return new Map(
    plan.groups.flatMap((group) =>
      group.members.map((member) => [meant(member.vm), { group, member, dependsOn: new Set((member.dependsOn ?? []).map(meant)) }]),
    ),
  );
}

/** By old group the one that it has become: that of the same name, else the one that most of its members went to, if that is new. */
function matchGroups(
  before: RecoveryPlan,
  after: RecoveryPlan,
  old: ReadonlyMap<string, Member>,
  present: ReadonlyMap<string, Member>,
): Map<PlanGroup, PlanGroup> {
  const named = new Map(after.groups.map((group) => [group.name, group]));
  const stays = new Set(before.groups.map(({ name }) => name));
  const shared = new Map<PlanGroup, Map<PlanGroup, number>>();
  for (const [vm, { group }] of old) {
    const now = present.get(vm)?.group;
    if (now === undefined || named.has(group.name) || stays.has(now.name)) continue;
    const counts = shared.get(group) ?? new Map<PlanGroup, number>();
    shared.set(group, counts.set(now, (counts.get(now) ?? 0) + 1));
  }
  const matches = new Map<PlanGroup, PlanGroup>();
  const taken = new Set<PlanGroup>();
  for (const group of before.groups) {
    const renamed = [...(shared.get(group) ?? [])].find(([now, count]) => 2 * count > group.members.length && !taken.has(now))?.[0];
    const match = named.get(group.name) ?? renamed;
    if (match === undefined) continue;
    matches.set(group, match);
    taken.add(match);
  }
  return matches;
}

function groupChanges(before: RecoveryPlan, after: RecoveryPlan, counterparts: ReadonlyMap<PlanGroup, PlanGroup>): PlanChange[] {
  const kept = new Map([...counterparts].map(([old, now]) => [now, old]));
  const changes: PlanChange[] = before.groups
    .filter((group) => !counterparts.has(group))
    .map(({ name }) => ({ what: 'groupRemoved', group: name }));
  const stays = longestIncreasing(
    after.groups.filter((group) => kept.has(group)).map((group) => before.groups.indexOf(kept.get(group) as PlanGroup)),
  );
  after.groups.forEach((group, index) => {
    const old = kept.get(group);
    const from = old === undefined ? -1 : before.groups.indexOf(old);
    if (old === undefined) changes.push({ what: 'groupAdded', group: group.name, place: index + 1 });
    else if (old.name !== group.name) changes.push({ what: 'groupRenamed', from: old.name, to: group.name });
    if (old !== undefined && !stays.has(from)) changes.push({ what: 'groupMoved', group: group.name, from: from + 1, to: index + 1 });
    changes.push(...settingChanges('group', group.name, old === undefined ? {} : settingsOfGroup(old), settingsOfGroup(group)));
  });
  return changes;
}

/** Those of the numbers that stand in order already, as many as there can be: what is not among them has moved. */
function longestIncreasing(numbers: readonly number[]): ReadonlySet<number> {
  const best: { readonly length: number; readonly before: number }[] = [];
  numbers.forEach((number, index) => {
    let [length, before] = [1, -1];
    for (let earlier = 0; earlier < index; earlier++) {
      const ending = best[earlier]?.length ?? 0;
      if ((numbers[earlier] as number) < number && ending >= length) [length, before] = [ending + 1, earlier];
    }
    best.push({ length, before });
  });
  const kept = new Set<number>();
  let at = best.reduce((longest, { length }, index) => (length > (best[longest]?.length ?? 0) ? index : longest), 0);
  for (let entry = best[at]; entry !== undefined; at = entry.before, entry = best[at]) kept.add(numbers[at] as number);
  return kept;
}

function memberChanges(
  old: ReadonlyMap<string, Member>,
  present: ReadonlyMap<string, Member>,
  counterparts: ReadonlyMap<PlanGroup, PlanGroup>,
): PlanChange[] {
  const removed = [...old].filter(([vm]) => !present.has(vm));
  const others = [...present].flatMap(([vm, { member, group }]): PlanChange[] => {
    const was = old.get(vm);
    if (was === undefined) return [{ what: 'memberAdded', member: member.vm, group: group.name }];
    if (counterparts.get(was.group) === group) return [];
    return [{ what: 'memberMoved', member: member.vm, from: was.group.name, to: group.name }];
  });
  return [
    ...removed.map(([, { member, group }]): PlanChange => ({ what: 'memberRemoved', member: member.vm, group: group.name })),
    ...others,
  ];
}

function dependencyChanges(old: ReadonlyMap<string, Member>, present: ReadonlyMap<string, Member>): PlanChange[] {
  const nameOf = (vm: string) => (present.get(vm) ?? old.get(vm))?.member.vm ?? vm;
  return [...present].flatMap(([vm, { member, dependsOn }]) => {
    const was = old.get(vm)?.dependsOn ?? new Set<string>();
    const change = (what: 'dependencyAdded' | 'dependencyRemoved') => (other: string) => ({
      what,
      member: member.vm,
      dependsOn: nameOf(other),
    });
    return [
      ...[...was].filter((other) => !dependsOn.has(other)).map(change('dependencyRemoved')),
      ...[...dependsOn].filter((other) => !was.has(other)).map(change('dependencyAdded')),
    ];
  });
}

// Everything but the fields that are compared by themselves, so that a field added to plans is seen without being named here.
const settingsOfPlan = ({ name: _name, groups: _groups, drill = {} as never, ...settings }: RecoveryPlan) => ({
  ...settings,
  ...Object.fromEntries(Object.entries(drill).map(([setting, value]) => [`drill.${setting}`, value])),
});
const settingsOfGroup = ({ name: _name, members: _members, ...settings }: PlanGroup) => settings;
const settingsOfMember = ({ vm: _vm, dependsOn: _dependsOn, guestAnswersWithinSeconds: _seconds, ...settings }: PlanMember) => settings;

/** A member without a time of its own has that of its plan: it is told of the member only where the member changed. */
function memberSettings(member: PlanMember, old: PlanMember | undefined, before: RecoveryPlan, after: RecoveryPlan): PlanChange[] {
  const seconds = (each: PlanMember | undefined, plan: RecoveryPlan) => each?.guestAnswersWithinSeconds ?? plan.guestAnswersWithinSeconds;
  const inherits = (old?.guestAnswersWithinSeconds ?? member.guestAnswersWithinSeconds) === undefined;
  const [from, to] = [seconds(old, old === undefined ? after : before), seconds(member, after)];
  const ownTime = inherits ? {} : { from: { guestAnswersWithinSeconds: from }, to: { guestAnswersWithinSeconds: to } };
  return settingChanges(
    'member',
    member.vm,
    { ...(old && settingsOfMember(old)), ...ownTime.from },
    { ...settingsOfMember(member), ...ownTime.to },
  );
}

function settingChanges(of: 'plan' | 'group' | 'member', name: string, before: object, after: object): PlanChange[] {
  const [old, present] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...present.keys()])].flatMap((setting): PlanChange[] => {
    const [from, to] = [old.get(setting) ?? null, present.get(setting) ?? null];
    return inOneForm(from) === inOneForm(to) ? [] : [{ what: 'settingChanged', of, name, setting, from, to }];
  });
}

/** The same text for values that differ only in the order of their fields. */
function inOneForm(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
