import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Engine } from '../../shared/engine/engine.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import { Fact as FactSchema } from '../../shared/engine/facts.ts';
import { checkGraph, type Graph } from '../../shared/engine/graph.ts';
import type { StepId } from '../../shared/ids.ts';
import { boundedRetries, order as orderChecker } from '../support/checkers-jobs.ts';
import { EngineWorld, endOf, linearGraphs, scriptedGraphs, stepId } from '../support/engine-world.ts';
import type { TraceEvent } from '../support/trace.ts';

const runs = { numRuns: 150 };

const decisions = fc.array(fc.constantFrom('retry', 'skip'), { minLength: 1, maxLength: 4 });

function traceOf(graph: Graph<string>, facts: readonly Fact[]): TraceEvent[] {
  return [
    { at: 0, type: 'opened', job: { job: { id: 'j' }, graph, claims: [], newVms: [] } as never },
    { at: 0, type: 'facts', jobId: 'j' as never, facts, projections: [] },
  ];
}

describe('the engine, over random graphs and outcomes', () => {
  test('always comes to a verdict, and every fact fits its schema', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, async (scripted) => {
        checkGraph(scripted.graph);
        const world = new EngineWorld(scripted);
        const state = await world.run();
        assert.notEqual(state.verdict(), null);
        assert.notEqual(state.state, 'inProgress');
        for (const fact of world.log) FactSchema.parse(fact);
        assert.equal(world.log.filter(({ type }) => type === 'ended').length, state.state === 'parked' ? 0 : 1);
      }),
      runs,
    ));

  test('keeps the order: predecessors first, undo backwards, nothing past a pivot, no more attempts than allowed', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, fc.infiniteStream(fc.nat()), async (scripted, stream) => {
        const world = new EngineWorld(scripted, null, (count) => (count === 0 ? 0 : (stream.next().value ?? 0) % count));
        await world.run();
        const trace = traceOf(scripted.graph, world.log);
        assert.deepEqual([...orderChecker(trace), ...boundedRetries(trace)], []);
      }),
      runs,
    ));

  test('ends the same whichever append it was killed at, before or after, and hands nothing out that was settled', () =>
    fc.assert(
      fc.asyncProperty(linearGraphs, async (scripted) => {
        const calm = new EngineWorld(scripted);
        const end = endOf(await calm.run());
        for (let at = 0; at < calm.appends; at++) {
          for (const when of ['before', 'after'] as const) {
            const world = new EngineWorld(scripted, { at, when });
            assert.deepEqual(endOf(await world.run()), end, `killed ${when} append ${at}`);
            assert.equal(world.kills, 1, 'it was killed');
            assertSettledOnce(world.log);
          }
        }
      }),
      { numRuns: 40 },
    ));

  test('an outcome that comes twice changes nothing', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, async (scripted) => {
        const once = new EngineWorld(scripted);
        await once.run();
        const twice = new EngineWorld(scripted);
        twice.settles = 2;
        await twice.run();
        assert.deepEqual(twice.log, once.log);
      }),
      runs,
    ));

  test('what waits for a person goes on to an end by retry where the work then goes well, and by skip in any case', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, fc.constantFrom('retry', 'skip'), async (given, decision) => {
        const scripted = { ...given, scripts: new Map(given.scripts), undoScripts: new Map(given.undoScripts) };
        const world = new EngineWorld(scripted);
        let state = await world.run();
        for (let decisions = 0; state.state === 'parked'; decisions++) {
          assert.ok(decisions < 40, 'a person is not asked for ever');
          const stuck = [...state.views()].find(({ step }) => state.waitsForPerson(step.id));
          assert.ok(stuck, 'a job that is parked names a step to decide');
          const scripts = stuck.status === 'undoFailed' ? scripted.undoScripts : scripted.scripts;
          scripts.set(stuck.step.id, ['well']);
          await world.act(() => world.engine.decide(stuck.step.id, decision, 'somebody', 'because'));
          state = await world.goOn();
        }
        assert.match(state.state, /^(succeeded|completedWithFailures|failed)$/);
        if (decision === 'skip' && world.log.some(({ type }) => type === 'decided')) assert.notEqual(state.state, 'succeeded');
        assert.deepEqual(orderChecker(traceOf(scripted.graph, world.log)), []);
      }),
      runs,
    ));

  test('what waits for a person and is all decided at once comes to an end, and keeps the order of the graph', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, decisions, async (given, decided) => {
        const scripted = { ...given, scripts: new Map(given.scripts), undoScripts: new Map(given.undoScripts) };
        const world = new EngineWorld(scripted);
        let state = await world.run();
        for (let rounds = 0; state.state === 'parked'; rounds++) {
          assert.ok(rounds < 40, 'a person is not asked for ever');
          const asked = [...state.views()].filter(({ step }) => state.waitsForPerson(step.id)).map(({ step }) => step.id);
          for (const id of asked) for (const scripts of [scripted.scripts, scripted.undoScripts]) scripts.set(id, ['well']);
          const decide = (id: StepId, at: number) =>
            world.engine.decide(id, decided[at % decided.length] ?? 'retry', 'somebody', 'because');
          await world.act(async () => void (await Promise.all(asked.map(decide))));
          state = await world.goOn();
        }
        assert.deepEqual(orderChecker(traceOf(scripted.graph, world.log)), []);
      }),
      runs,
    ));

  test('cancelled at any moment, what is before its pivot is undone and what is past it goes to its end', () =>
    fc.assert(
      fc.asyncProperty(scriptedGraphs, fc.nat({ max: 12 }), async (scripted, after) => {
        const world = new EngineWorld(scripted);
        void world.engine.resume();
        await new Promise((resolve) => setImmediate(resolve));
        for (let i = 0; i < after; i++) await world.clock.advance(0);
        await world.act(() => world.engine.cancel('somebody', 'not wanted'));
        const state = await world.goOn();
        assert.notEqual(state.state, 'inProgress');
        for (const { step, status } of state.views())
          if (status === 'undone') assert.ok(!hasPivotBegun(step.scope, world), `${step.id} is past a pivot`);
        assert.deepEqual(orderChecker(traceOf(scripted.graph, world.log)), []);
      }),
      runs,
    ));

  test('a decision about a step that does not wait is refused', async () => {
    const world = new EngineWorld({
      graph: { steps: [{ id: stepId(1), title: '', scope: 'a', work: 'w', needs: [], after: [] }] },
      scripts: new Map(),
      undoScripts: new Map(),
    });
    await world.run();
    await assert.rejects(world.engine.decide(stepId(1), 'retry', 'somebody', 'because'), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  });
});

function hasPivotBegun(scope: string, { log, scripted }: EngineWorld): boolean {
  const pivots = new Set(scripted.graph.steps.filter((step) => step.scope === scope && step.pivot).map(({ id }) => id as string));
  return log.some((fact) => fact.type === 'started' && pivots.has(fact.step));
}

/** No attempt is in the log as settled twice. */
function assertSettledOnce(log: readonly Fact[]): void {
  const settled = log.flatMap((fact) => {
    if (fact.type === 'done' || fact.type === 'failed') return [`do ${fact.step} ${fact.attempt}`];
    return fact.type === 'undone' || fact.type === 'undoFailed' ? [`undo ${fact.step} ${fact.attempt}`] : [];
  });
  assert.equal(new Set(settled).size, settled.length);
}

test('steps that keep a distance before they are tried again are not gone through with every outcome, and the job goes on', async () => {
  const step = (n: number) => ({ id: stepId(n), title: '', work: 'w', needs: [], after: [], scope: `${n}`, attempts: 2 });
  const wakes: (() => void)[] = [];
  const handedOut: string[] = [];
  const engine = new Engine<string>({ steps: [step(1), step(2)] }, [], {
    clock: {
      now: () => 0,
      after(_ms, callback) {
        wakes.push(callback);
        return () => {};
      },
    },
    append: async () => {},
    dispatch: (assignments) => handedOut.push(...assignments.map(({ step: { id }, attempt }) => `${id} ${attempt}`)),
    onHalted: (reason) => assert.fail(String(reason)),
    onEnded: () => {},
  });
  await engine.resume();
  for (const n of [1, 2]) await engine.settle(stepId(n), 'do', 1, { ok: false, error: { code: 'ERR_FABRIC_FAILED', logRef: '' } });
  assert.deepEqual([engine.state.ready(), engine.state.verdict()], [[], null], 'neither is listed, and nothing is over');
  wakes[1]?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(handedOut.slice(2), ['s2 2'], 'the one whose distance is over');
  await engine.cancel('kim', 'test');
  wakes[0]?.();
  assert.deepEqual(
    [engine.state.ready(), engine.state.view(stepId(1))?.status],
    [[], 'failed'],
    'what was cancelled meanwhile is not woken',
  );
});
