/** Who waits for whom in a plan: what is refused, how it is told, and what a run makes of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readDocument } from '../../shared/document.ts';
import { compileFailover } from '../../shared/domain/plan-compiler.ts';
import { dependencyProblems } from '../../shared/domain/plan-dependencies.ts';
import { resolveMembers } from '../../shared/domain/plan-members.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { checkGraph } from '../../shared/engine/graph.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';
import { EngineWorld } from '../support/engine-world.ts';

type Member = readonly [vm: string, ...dependsOn: string[]];

const groupsOf = (...groups: readonly (readonly Member[])[]) =>
  groups.map((members, index) => ({ name: `group ${index}`, members: members.map(([vm, ...dependsOn]) => ({ vm, dependsOn })) }));
const told = (...groups: readonly (readonly Member[])[]) => dependencyProblems(groupsOf(...groups)).map(({ message }) => message);

const vmId = (name: string) => `00000000-0000-4000-8000-${name.padStart(12, '0')}` as ProtectedVmId;
const work = (name: string, dependsOn: readonly string[]) => ({
  vm: vmId(name),
  name,
  prepare: `prepare ${name}`,
  takeBack: `take back ${name}`,
  start: `start ${name}`,
  dependsOn: dependsOn.map(vmId),
});

/** One group of members `0`, `1` ..., each with any edges to others, also to itself. */
const edges = fc.array(fc.uniqueArray(fc.nat({ max: 7 }), { maxLength: 4 }), { minLength: 8, maxLength: 8 });
const oneGroup = (given: readonly (readonly number[])[]) => groupsOf(given.map((to, n) => [String(n), ...to.map(String)] as const));

describe('dependsOn', () => {
  test('is told every mistake of the document at once, each with its line', () => {
    const text = `name: shop
groups:
  - name: databases
    members:
      - vm: a
        dependsOn: [b]
      - vm: b
        dependsOn: [a, web]
      - vm: c
        dependsOn: [c, a, a]
  - name: databases
    members:
      - vm: web
        dependsOn: [wep]
`;
    let problems: FarshoreError['problems'] = [];
    assert.throws(
      () => readDocument(text, 'shop.yaml', RecoveryPlan),
      (thrown: FarshoreError) => {
        problems = thrown.problems;
        return thrown.code === 'ERR_DOCUMENT_INVALID';
      },
    );
    assert.deepEqual(
      problems.map(({ line, field, message }) => `${line} ${field} ${message}`),
      [
        '8 groups[0].members[1].dependsOn[0] these wait for each other: a -> b -> a',
        '8 groups[0].members[1].dependsOn[1] \'web\' is in group "databases", which starts after \'b\' in "databases"',
        "10 groups[0].members[2].dependsOn[0] 'c' depends on itself",
        "10 groups[0].members[2].dependsOn[2] 'a' is listed twice",
        '11 groups[1].name group 1 is called "databases" too',
        "14 groups[1].members[0].dependsOn[0] no member of this plan is called 'wep'; did you mean 'web'?",
      ],
    );
  });

  test('may name members of earlier groups and of its own', () =>
    assert.deepEqual(told([['a'], ['b', 'a']], [['c', 'a', 'd'], ['d']]), []));

  test('guesses whom a name with or without its cloud means', () => {
    assert.match(told([['Gold/sql-01'], ['b', 'sql-01']])[0] ?? '', /did you mean 'Gold\/sql-01'/);
    assert.match(told([['sql-01'], ['b', 'Gold/sql-01']])[0] ?? '', /did you mean 'sql-01'/);
  });

  test('tells several circles, and a long one by its ends', () => {
    assert.deepEqual(
      told([
        ['a', 'b'],
        ['b', 'a', 'c'],
        ['c', 'b'],
        ['x', 'y'],
        ['y', 'x'],
      ]),
      ['these wait for each other: a -> b -> a', 'these wait for each other: b -> c -> b', 'these wait for each other: x -> y -> x'],
    );
    const ring = Array.from({ length: 50 }, (_, n) => [`vm-${n}`, `vm-${(n + 1) % 50}`] as const);
    assert.match(told(ring)[0] ?? '', /vm-0 -> vm-1 -> .* -> \.\.\. \(40 more\) -> vm-49 -> vm-0$/);
  });

  test('is sound once every entry that was told is gone, and told nothing more than it has to', () =>
    fc.assert(
      fc.property(edges, (given) => {
        const members = oneGroup(given)[0]?.members ?? [];
        const problems = dependencyProblems([{ name: 'g', members }]);
        const isTold = (index: number, entry: number) => problems.some((each) => each.index === index && each.entry === entry);
        const without = (keep: (index: number, entry: number) => boolean) =>
          members.map((each, m) => ({ ...each, dependsOn: each.dependsOn.filter((_, e) => !isTold(m, e) || keep(m, e)) }));
        const mended = without(() => false);
        assert.deepEqual(dependencyProblems([{ name: 'g', members: mended }]), []);
        checkGraph(compileFailover([{ name: 'g', members: mended.map(({ vm, dependsOn }) => work(vm, dependsOn)) }]));
        for (const { index, entry } of problems) {
          const one = without((m, e) => m === index && e === entry);
          assert.equal(dependencyProblems([{ name: 'g', members: one }]).length, 1);
        }
      }),
    ));

  test('of ten thousand members are checked, in one chain, one circle, or all wrong', () => {
    const many = 10_000;
    const line = (last: number) =>
      [Array.from({ length: many }, (_, n) => [`vm-${n}`, `vm-${n + 1 < many ? n + 1 : last}`] as const)] as const;
    assert.equal(told(...line(0)).length, 1);
    assert.equal(told(...line(many - 1)).length, 1, 'the last depends on itself');
    assert.equal(told(Array.from({ length: many }, (_, n) => [`vm-${n}`, `vm-${n}x`] as const)).length, many);
  });

  test('becomes the VMs that its names mean; one that means no VM is left out', () => {
    const vms = ['sql', 'app'].map((name) => ({ id: vmId(name === 'sql' ? '1' : '2'), name, cloudName: 'Gold', siteName: 'Reading' }));
    const groups = [{ name: 'g', members: [{ vm: 'Gold/sql' }, { vm: 'gone' }, { vm: 'app', dependsOn: ['Gold/sql', 'gone'] }] }];
    const { members, problems } = resolveMembers(RecoveryPlan.parse({ name: 'p', groups }), vms);
    assert.equal(problems.length, 1);
    assert.deepEqual(
      members.map(({ dependsOn }) => dependsOn),
      [[], [vmId('1')]],
    );
  });
});

describe('a run', () => {
  test('starts a member after those it depends on have started well', () =>
    fc.assert(
      fc.asyncProperty(edges, fc.infiniteStream(fc.nat()), async (given, turns) => {
        // Only to earlier ones, so that there is no circle.
        const members = given.map((to, n) => work(String(n), to.filter((each) => each < n).map(String)));
        const graph = compileFailover([{ name: 'g', members }]);
        const world = new EngineWorld({ graph, scripts: new Map(), undoScripts: new Map() }, null, (count) =>
          count === 0 ? 0 : (turns.next().value ?? 0) % count,
        );
        assert.equal((await world.run()).state, 'succeeded');
        const at = (type: string, vm: string) =>
          world.log.findIndex((fact) => fact.type === type && 'step' in fact && fact.step === `start/${vm}`);
        for (const { vm, dependsOn } of members) for (const other of dependsOn) assert.ok(at('done', other) < at('started', vm));
      }),
      { numRuns: 60 },
    ));

  test('lets nobody wait for a member that is not part of it', async () => {
    const graph = compileFailover([{ name: 'g', members: [work('2', ['1'])] }]);
    checkGraph(graph);
    const world = new EngineWorld({ graph, scripts: new Map(), undoScripts: new Map() });
    assert.equal((await world.run()).state, 'succeeded');
  });

  test('takes back whoever depends on a member that cannot be failed over, and no other', async () => {
    const graph = compileFailover([{ name: 'g', members: [work('1', []), work('2', ['1']), work('3', ['2']), work('4', [])] }]);
    const scripts = new Map([[`failover/${vmId('1')}`, ['lasting' as const]]]);
    const state = await new EngineWorld({ graph, scripts, undoScripts: new Map() }).run();
    assert.equal(state.state, 'completedWithFailures');
    const starts = [...state.views()].filter(({ step }) => step.pivot);
    assert.deepEqual(
      starts.map(({ status }) => status),
      ['blocked', 'failed', 'failed', 'done'],
    );
    assert.deepEqual(
      starts.map(({ error }) => error?.code),
      [undefined, 'ERR_PREDECESSOR_FAILED', 'ERR_PREDECESSOR_FAILED', undefined],
    );
  });

  test('keeps whoever depends on a member that does not start waiting for a decision', async () => {
    const graph = compileFailover([{ name: 'g', members: [work('1', []), work('2', ['1'])] }]);
    const scripts = new Map([[`start/${vmId('1')}`, ['lasting' as const]]]);
    const world = new EngineWorld({ graph, scripts, undoScripts: new Map() });
    const state = await world.run();
    assert.equal(state.state, 'parked');
    const second = graph.steps.find(({ id }) => id === `start/${vmId('2')}`);
    assert.equal(second && state.view(second.id)?.status, 'waiting');
    const first = graph.steps.find(({ id }) => id === `start/${vmId('1')}`);
    await world.act(() => world.engine.decide(first?.id as never, 'skip', 'kim', 'started by hand'));
    assert.equal((await world.goOn()).state, 'completedWithFailures');
  });

  test('falls along a chain of ten thousand that depend on each other', () => {
    const members = Array.from({ length: 10_000 }, (_, n) => work(String(n), n === 0 ? [] : [String(n - 1)]));
    const state = new RunState(compileFailover([{ name: 'g', members }]));
    const step = `failover/${vmId('0')}` as never;
    state.apply({ type: 'started', at: 0, step, attempt: 1 });
    state.apply({ type: 'failed', at: 0, step, attempt: 1, error: { code: 'ERR_WRONG_STATE', logRef: '' }, retry: false });
    assert.equal(state.verdict(), null, 'its undo is to be done');
    assert.equal(state.isActive(`start/${vmId('9999')}` as never), false);
  });
});
