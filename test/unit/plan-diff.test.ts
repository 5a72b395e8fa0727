/** What changes in meaning between two plans: held against what the compiler makes of both. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileFailover } from '../../shared/domain/plan-compiler.ts';
import { diffPlans, type PlanChange } from '../../shared/domain/plan-diff.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { RecoveryPlan as PlanSchema } from '../../shared/domain/recovery-plan.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';

type Group = RecoveryPlan['groups'][number];

const vms = ['a', 'b', 'c', 'd', 'e', 'f'];
const seconds = fc.option(fc.constantFrom(0, 60, 300), { nil: undefined });

/** Each VM in one of up to four groups or in none; it may depend on those before it in the alphabet that do not start later. */
const plans = fc
  .record({
    groupOf: fc.array(fc.nat({ max: 4 }), { minLength: vms.length, maxLength: vms.length }),
    edges: fc.array(fc.array(fc.boolean(), { minLength: vms.length, maxLength: vms.length }), {
      minLength: vms.length,
      maxLength: vms.length,
    }),
    times: fc.array(seconds, { minLength: vms.length, maxLength: vms.length }),
    names: fc.shuffledSubarray(['one', 'two', 'three', 'four', 'five'], { minLength: 4, maxLength: 4 }),
    guestAnswersWithinSeconds: fc.constantFrom(60, 300),
  })
  .filter(({ groupOf }) => groupOf.some((group) => group < 4))
  .map(({ groupOf, edges, times, names, guestAnswersWithinSeconds }): RecoveryPlan => {
    const at = (index: number) => groupOf[index] ?? 4;
    const groups = names.map((name, g) => ({
      name,
      members: vms.flatMap((vm, v) => {
        if (at(v) !== g) return [];
        const dependsOn = vms.filter((_, other) => other < v && at(other) <= g && edges[v]?.[other]);
        const time = times[v];
        return [{ vm, dependsOn, ...(time !== undefined && { guestAnswersWithinSeconds: time }) }];
      }),
    }));
    return PlanSchema.parse({ name: 'shop', guestAnswersWithinSeconds, groups: groups.filter(({ members }) => members.length > 0) });
  });

/** One small change to a plan, as people make them; some lead to the same plan. */
const edits: readonly ((groups: Group[], pick: (count: number) => number) => Group[])[] = [
  (groups, pick) => groups.map((group, index) => (index === pick(groups.length) ? { ...group, name: 'other' } : group)),
  (groups, pick) => groups.filter((_, index) => groups.length === 1 || index !== pick(groups.length)),
  (groups, pick) => {
    const at = pick(groups.length);
    return [...groups.slice(0, at), ...groups.slice(at).toReversed()];
  },
  (groups, pick) => {
    const at = pick(groups.length);
    const [from, to] = [groups[at], groups[(at + 1) % groups.length]];
    if (from === undefined || to === undefined || from === to || from.members.length < 2) return groups;
    const [moved, ...left] = from.members as [Group['members'][number], ...Group['members']];
    return groups.map((group) =>
      group === from ? { ...group, members: left } : group === to ? { ...group, members: [...to.members, moved] } : group,
    );
  },
  (groups, pick) => {
    const at = pick(groups.length);
    return groups.map((group, index) =>
      index === at ? { ...group, members: group.members.map((member) => ({ ...member, dependsOn: [] })) } : group,
    );
  },
  (groups, pick) => {
    const at = pick(groups.length);
    const edited = (group: Group) => group.members.map((member) => ({ ...member, guestAnswersWithinSeconds: pick(2) * 300 }));
    return groups.map((group, index) => (index === at ? { ...group, members: edited(group) } : group));
  },
];

/** Without entries that lead to nobody, or the compiler would not see a whole plan. */
function mended(plan: RecoveryPlan, groups: Group[]): RecoveryPlan {
  const there = new Set(groups.flatMap(({ members }) => members.map(({ vm }) => vm)));
  const whole = groups.map((group) => ({
    ...group,
    members: group.members.map((member) => ({ ...member, dependsOn: (member.dependsOn ?? []).filter((name) => there.has(name)) })),
  }));
  return { ...plan, groups: whole };
}

const pairs = fc
  .tuple(plans, fc.array(fc.tuple(fc.constantFrom(...edits), fc.nat()), { maxLength: 2 }))
  .map(([plan, chosen]): [RecoveryPlan, RecoveryPlan] => [
    plan,
    mended(
      plan,
      chosen.reduce((groups, [edit, n]) => edit(groups, (count) => n % count), plan.groups),
    ),
  ]);

/** What the compiler makes of it, in a form in which the order of things that have none does not show. */
function meaningOf(plan: RecoveryPlan): string {
  const id = (name: string) => name as ProtectedVmId;
  const groups = plan.groups.map(({ name, members }) => ({
    name,
    members: members.map((member) => ({
      vm: id(member.vm.padStart(12, '0').replace(/^/, '00000000-0000-4000-8000-')),
      name: member.vm,
      prepare: 'prepare',
      takeBack: 'take back',
      start: `start, ${member.guestAnswersWithinSeconds ?? plan.guestAnswersWithinSeconds} s`,
      dependsOn: (member.dependsOn ?? []).map((other) => id(other.padStart(12, '0').replace(/^/, '00000000-0000-4000-8000-'))),
    })),
  }));
  const steps = compileFailover(groups).steps.map((step) => ({ ...step, needs: [...step.needs].sort(), after: [...step.after].sort() }));
  return JSON.stringify(steps.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
}

const isOfPlan = (change: PlanChange) => change.what === 'settingChanged' && change.of === 'plan';

describe('the difference between two plans', () => {
  test('is nothing between a plan and itself, its members and entries in another order and its defaults written out', () =>
    fc.assert(
      fc.property(plans, (plan) => {
        const groups = plan.groups.map((group) => ({
          ...group,
          members: group.members.toReversed().map((member) => ({
            guestAnswersWithinSeconds: plan.guestAnswersWithinSeconds,
            ...member,
            dependsOn: [...(member.dependsOn ?? []), ...(member.dependsOn ?? [])].toReversed(),
          })),
        }));
        assert.deepEqual(diffPlans(plan, plan), []);
        assert.deepEqual(diffPlans(plan, { ...plan, groups }), []);
        assert.equal(meaningOf({ ...plan, groups: mended(plan, plan.groups).groups }), meaningOf(plan));
      }),
    ));

  test('is something where the compiler makes another graph, and nothing but a default of the plan where it does not', () => {
    let [same, other] = [0, 0];
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const changes = diffPlans(before, after);
        if (meaningOf(before) === meaningOf(after)) {
          same++;
          assert.deepEqual(
            changes.filter((change) => !isOfPlan(change)),
            [],
          );
        } else {
          other++;
          assert.notDeepEqual(changes, []);
        }
      }),
      { numRuns: 500 },
    );
    assert.ok(same > 20 && other > 20, `${same} alike, ${other} not`);
  });

  test('leads back the same way: what is added there is removed here', () =>
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const counts = (changes: readonly PlanChange[], what: string) => changes.filter((change) => change.what === what).length;
        const [there, back] = [diffPlans(before, after), diffPlans(after, before)];
        assert.equal(counts(there, 'memberAdded'), counts(back, 'memberRemoved'));
        assert.equal(counts(there, 'memberRemoved'), counts(back, 'memberAdded'));
        assert.equal(counts(there, 'groupMoved'), counts(back, 'groupMoved'));
        assert.equal(there.length === 0, back.length === 0);
      }),
    ));

  const plan = (groups: object[], settings: object = {}) => PlanSchema.parse({ name: 'shop', ...settings, groups });
  const group = (name: string, ...names: string[]) => ({ name, members: names.map((vm) => ({ vm })) });

  test('tells a group that was renamed from one that went and one that came', () => {
    const before = plan([group('data', 'a', 'b', 'c'), group('web', 'd')]);
    assert.deepEqual(diffPlans(before, plan([group('databases', 'a', 'b'), group('web', 'd', 'c')])), [
      { what: 'groupRenamed', from: 'data', to: 'databases' },
      { what: 'memberMoved', member: 'c', from: 'data', to: 'web' },
    ]);
    assert.deepEqual(
      diffPlans(before, plan([group('other', 'e'), group('web', 'd')])).map(({ what }) => what),
      ['groupRemoved', 'groupAdded', 'memberRemoved', 'memberRemoved', 'memberRemoved', 'memberAdded'],
    );
  });

  test('tells of a new order only the group that left its place', () => {
    const [a, b, c] = [group('A', 'a'), group('B', 'b'), group('C', 'c')];
    assert.deepEqual(diffPlans(plan([a, b, c]), plan([c, a, b])), [{ what: 'groupMoved', group: 'C', from: 3, to: 1 }]);
  });

  test('tells edges and settings, of a plan, a group and a member, also of fields that it was never told of', () => {
    const before = plan([{ name: 'A', members: [{ vm: 'a' }, { vm: 'b', dependsOn: ['a'] }, { vm: 'c', guestAnswersWithinSeconds: 60 }] }]);
    const after = plan([{ name: 'A', members: [{ vm: 'a', dependsOn: ['b'] }, { vm: 'b' }, { vm: 'c' }] }], {
      guestAnswersWithinSeconds: 10,
    });
    const told = { ...after, groups: after.groups.map((each) => ({ ...each, newField: [{ y: 1, x: 2 }] })) };
    assert.deepEqual(diffPlans(before, told), [
      { what: 'settingChanged', of: 'plan', name: 'shop', setting: 'guestAnswersWithinSeconds', from: 300, to: 10 },
      { what: 'settingChanged', of: 'group', name: 'A', setting: 'newField', from: null, to: [{ y: 1, x: 2 }] },
      { what: 'settingChanged', of: 'member', name: 'c', setting: 'guestAnswersWithinSeconds', from: 60, to: 10 },
      { what: 'dependencyAdded', member: 'a', dependsOn: 'b' },
      { what: 'dependencyRemoved', member: 'b', dependsOn: 'a' },
    ]);
  });

  test('takes two names of one VM for the same', () => {
    const meant = (name: string) => name.replace('Gold/', '');
    const before = plan([{ name: 'A', members: [{ vm: 'a' }, { vm: 'b', dependsOn: ['a'] }] }]);
    const after = plan([{ name: 'A', members: [{ vm: 'Gold/a' }, { vm: 'b', dependsOn: ['Gold/a'] }] }]);
    assert.deepEqual(diffPlans(before, after, { before: meant, after: meant }), []);
    assert.equal(diffPlans(before, after).length, 4, 'nobody knows what they mean');
  });

  test('of two plans of ten thousand members tells which groups have moved', () => {
    const names = Array.from({ length: 10_000 }, (_, n) => `vm-${n}`);
    const groups = Array.from({ length: 1_000 }, (_, g) => group(`group ${g}`, ...names.slice(g * 10, g * 10 + 10)));
    assert.equal(diffPlans(plan(groups), plan(groups.toReversed())).length, 999);
  });
});
