/** Steps that are done for a group of scopes: begun as long as one of them is left, and not needed once none is. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Fact } from '../../shared/engine/facts.ts';
import { checkGraph, type Graph, type Step } from '../../shared/engine/graph.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import { boundedRetries, order } from '../support/checkers-jobs.ts';
import { EngineWorld, endOf, linearGraphs, type Script, type Scripted, scriptedGraphs, stepId } from '../support/engine-world.ts';
import type { TraceEvent } from '../support/trace.ts';

/** What is done for the scopes of a random graph: after each gate a step for the scopes so far, which all that comes later needs. */
function withGroups({ graph, scripts, undoScripts }: Scripted, onFailure: 'stop' | 'continue', delaySeconds = 0): Scripted {
  const steps: Step<string>[] = [];
  const groups: Record<string, string[]> = {};
  let needs: Step<string>['needs'] = [];
  for (const step of graph.steps) {
    const isGate = step.id.startsWith('gate');
    steps.push(isGate ? step : { ...step, needs: [...step.needs, ...needs] });
    if (!isGate) continue;
    const n = Number(step.id.slice('gate'.length));
    groups[step.id] = [...new Set([`scope${n}`, `scope${Math.max(0, n - 1)}`])];
    const id = stepId(n);
    const common = { title: '', work: `for ${n}`, after: [], aside: onFailure, ...(delaySeconds > 0 && { delaySeconds }) };
    steps.push({ ...common, id, needs, after: [step.id], scope: id, forGroup: step.id });
    needs = [id];
  }
  return { graph: { steps, groups }, scripts, undoScripts };
}

const scripted = (from: fc.Arbitrary<Scripted>) =>
  fc
    .record({ from, onFailure: fc.constantFrom('stop' as const, 'continue' as const), delay: fc.constantFrom(0, 90) })
    .map((given) => withGroups(given.from, given.onFailure, given.delay));

const rules = (graph: Graph<string>, facts: readonly Fact[]) => {
  const trace = [
    { at: 0, type: 'opened', job: { job: { id: 'j' }, graph, claims: [], newVms: [] } as never },
    { at: 0, type: 'facts', jobId: 'j' as never, facts, projections: [] },
  ] as TraceEvent[];
  return [...order(trace), ...boundedRetries(trace)];
};

/** Whether every scope that the step is for has been taken back, or is on its way there, by the facts so far. */
function areAllLost(graph: Graph<string>, facts: readonly Fact[], step: Step<string>): boolean {
  const state = new RunState(graph, facts);
  const scopes = graph.groups?.[step.forGroup ?? ''] ?? [];
  const isLost = (scope: string) => {
    const views = [...state.views()].filter((view) => view.step.scope === scope);
    const isStuck = views.some((view) => state.waitsForPerson(view.step.id) && view.status === 'failed');
    return !isStuck && views.some(({ status }) => ['failed', 'blocked', 'undoing', 'undone', 'undoFailed'].includes(status));
  };
  return scopes.every(isLost);
}

describe('a step for a group, over random graphs and outcomes', () => {
  test('is begun only while one of them is left, is passed over only when none is, and the order is kept', async () => {
    let passed = 0;
    await fc.assert(
      fc.asyncProperty(scripted(scriptedGraphs), async (given) => {
        checkGraph(given.graph);
        const world = new EngineWorld(given);
        const state = await world.run();
        assert.notEqual(state.verdict(), null);
        assert.deepEqual(rules(given.graph, world.log), []);
        for (const [index, fact] of world.log.entries()) {
          const step = 'step' in fact ? given.graph.steps.find(({ id }) => id === fact.step) : undefined;
          if (step?.forGroup === undefined || (fact.type !== 'started' && fact.type !== 'notNeeded')) continue;
          if (fact.type === 'notNeeded') passed++;
          assert.equal(areAllLost(given.graph, world.log.slice(0, index), step), fact.type === 'notNeeded', `${fact.type} ${step.id}`);
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(passed > 20, `only ${passed} steps were not needed`);
  });

  test('ends the same whichever append it was killed at, before or after', async () => {
    let passed = 0;
    await fc.assert(
      fc.asyncProperty(scripted(linearGraphs), async (given) => {
        const calm = new EngineWorld(given);
        const end = endOf(await calm.run());
        if (Object.values(end).includes('notNeeded')) passed++;
        for (let at = 0; at < calm.appends; at++) {
          for (const when of ['before', 'after'] as const) {
            const world = new EngineWorld(given, { at, when });
            assert.deepEqual(endOf(await world.run()), end, `killed ${when} append ${at}`);
            assert.equal(world.kills, 1, 'it was killed');
          }
        }
      }),
      { numRuns: 40 },
    );
    assert.ok(passed > 3, `only ${passed} runs had a step that was not needed`);
  });
});

type Part = Partial<Step<string>> & { readonly n: number };

function worldOf(parts: readonly Part[], members: readonly string[], scripts: Readonly<Record<number, Script>>) {
  const steps = parts.map(
    ({ n, ...part }): Step<string> => ({ id: stepId(n), title: '', scope: `scope ${n}`, needs: [], after: [], work: `do ${n}`, ...part }),
  );
  const told = new Map(Object.entries(scripts).map(([n, script]) => [stepId(Number(n)) as string, script]));
  return new EngineWorld({ graph: { steps, groups: { all: members } }, scripts: told, undoScripts: new Map() });
}

const aside = { aside: 'stop', forGroup: 'all' } as const;

describe('a step for a group', () => {
  test('that nobody needs lets what comes behind it go on, and is told by a fact of its own', async () => {
    const world = worldOf([{ n: 1 }, { n: 2, after: [stepId(1)], ...aside }, { n: 3, needs: [stepId(2)] }], ['scope 1'], {
      1: ['lasting'],
    });
    const state = await world.run();
    assert.deepEqual(endOf(state), { job: 'completedWithFailures', s1: 'failed', s2: 'notNeeded', s3: 'done' });
    assert.deepEqual(world.handedOut, ['do s1 1', 'do s3 1']);
    assert.equal(world.log.filter(({ type }) => type === 'notNeeded').length, 1);
  });

  test('waits for its turn before it is passed over, so that what comes before it is not overtaken', async () => {
    const parts: Part[] = [{ n: 1 }, { n: 4, attempts: 2 }, { n: 2, needs: [stepId(4)], ...aside }, { n: 3, needs: [stepId(2)] }];
    const world = worldOf(parts, ['scope 1'], { 1: ['lasting'], 4: ['passing', 'well'] });
    const state = await world.run();
    assert.equal(endOf(state).s2, 'notNeeded');
    assert.deepEqual(world.handedOut, ['do s1 1', 'do s4 1', 'do s4 2', 'do s3 1']);
  });

  test('that is held back when the last of them falls is not begun any more', async () => {
    const parts: Part[] = [
      { n: 2, delaySeconds: 900, ...aside },
      { n: 1, attempts: 3 },
    ];
    const world = worldOf(parts, ['scope 1'], { 1: ['passing'] });
    assert.deepEqual(endOf(await world.run()), { job: 'failed', s1: 'failed', s2: 'notNeeded' });
    assert.deepEqual(world.handedOut, ['do s1 1', 'do s1 2', 'do s1 3']);
    assert.ok((world.log.at(-1)?.at ?? 0) < 900_000, 'nobody waited for it');
  });

  test('that was begun goes to its end, and a person who tries it again is obeyed', async () => {
    const parts: Part[] = [
      { n: 1, pivot: true, skipEndsScope: true },
      { n: 4, pivot: true },
      { n: 2, after: [stepId(1), stepId(4)], ...aside },
    ];
    const world = worldOf(parts, ['scope 1'], { 1: ['lasting'], 2: ['lasting', 'well'] });
    await world.run();
    assert.equal(world.engine.state.state, 'parked');
    await world.act(() => world.engine.decide(stepId(1), 'skip', 'kim', 'it stays'));
    await world.act(() => world.engine.decide(stepId(2), 'retry', 'kim', 'it is needed all the same'));
    assert.deepEqual(endOf(await world.goOn()), { job: 'completedWithFailures', s1: 'skipped', s2: 'done', s4: 'done' });
  });

  test('of which one was given up by a person is needed by the others only', async () => {
    const parts: Part[] = [
      { n: 1, pivot: true, skipEndsScope: true },
      { n: 2, asks: 'look', needs: [stepId(1)], aside: 'stop' },
      { n: 3, needs: [stepId(2)], ...aside },
    ];
    const world = worldOf(
      parts.map((part) => (part.n === 2 ? { ...part, work: undefined as never } : part)),
      ['scope 1'],
      { 1: ['lasting'] },
    );
    await world.run();
    await world.act(() => world.engine.decide(stepId(1), 'skip', 'kim', 'it stays'));
    await world.goOn();
    assert.equal(world.engine.state.state, 'waiting', 'what it needs comes first');
    await world.act(() => world.engine.decide(stepId(2), 'confirm', 'kim', 'seen'));
    assert.equal(endOf(await world.goOn()).s3, 'notNeeded');
  });

  test('is refused in a graph whose group is not there or has nobody', () => {
    const step: Step<string> = { id: stepId(1), title: '', scope: 'a', work: 'w', needs: [], after: [], forGroup: 'all' };
    for (const groups of [undefined, { others: ['a'] }, { all: [] }])
      assert.throws(() => checkGraph({ steps: [step], ...(groups && { groups }) }), { code: 'ERR_INTERNAL' });
    checkGraph({ steps: [step], groups: { all: ['a'] } });
  });
});
