/** Steps that a person settles, steps that are held back, and steps that stand beside what is undone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { boundedRetries, order } from '../support/checkers-jobs.ts';
import { EngineWorld, type Killing, type Script, stepId } from '../support/engine-world.ts';
import type { TraceEvent } from '../support/trace.ts';

type Part = Partial<Step<string>> & { readonly n: number };

const step = ({ n, ...part }: Part): Step<string> => ({
  id: stepId(n),
  title: '',
  scope: `scope ${n}`,
  needs: [],
  after: [],
  ...(part.asks === undefined && { work: `do ${n}` }),
  ...part,
});

function worldOf(parts: readonly Part[], scripts: Readonly<Record<number, Script>> = {}, killing: Killing | null = null, together = false) {
  const graph = { steps: parts.map(step), ...(together && { together: true as const }) };
  const told = new Map(Object.entries(scripts).map(([n, script]) => [stepId(Number(n)) as string, script]));
  return new EngineWorld({ graph, scripts: told, undoScripts: new Map() }, killing);
}

const stateOf = (world: EngineWorld) => world.engine.state.state;
const statusOf = (world: EngineWorld, n: number) => world.engine.state.view(stepId(n))?.status;
const decide = (world: EngineWorld, n: number, decision: 'confirm' | 'skip' | 'retry') =>
  world.act(() => world.engine.decide(stepId(n), decision, 'kim', 'seen'));
const typesIn = (world: EngineWorld) => world.log.map(({ type }) => type);

function keepsTheRules(world: EngineWorld): void {
  const trace = [
    { at: 0, type: 'opened', job: { job: { id: 'j' }, graph: world.scripted.graph, claims: [], newVms: [] } as never },
    { at: 0, type: 'facts', jobId: 'j' as never, facts: world.log, projections: [] },
  ] as TraceEvent[];
  assert.deepEqual([...order(trace), ...boundedRetries(trace)], []);
}

describe('a step that is asked of a person', () => {
  const parts: Part[] = [{ n: 1 }, { n: 2, asks: 'look', needs: [stepId(1)] }, { n: 3, needs: [stepId(2)] }];

  test('makes the job wait, and is done with the comment of the person who confirms it', async () => {
    const world = worldOf(parts);
    await world.run();
    assert.deepEqual([stateOf(world), statusOf(world, 2), statusOf(world, 3)], ['waiting', 'running', 'waiting']);
    assert.deepEqual(world.handedOut, ['do s1 1'], 'it is handed to nobody');
    await decide(world, 2, 'confirm');
    await world.goOn();
    assert.equal(stateOf(world), 'succeeded');
    const confirmed = world.log.find((fact): fact is Extract<Fact, { type: 'decided' }> => fact.type === 'decided');
    assert.deepEqual([confirmed?.decision, confirmed?.by, confirmed?.reason], ['confirm', 'kim', 'seen']);
    keepsTheRules(world);
  });

  test('is confirmed or skipped, never retried; and what failed is never confirmed', async () => {
    const world = worldOf([...parts, { n: 4, pivot: true }], { 4: ['lasting'] });
    await world.run();
    assert.equal(stateOf(world), 'parked', 'what failed comes first');
    await assert.rejects(world.engine.decide(stepId(2), 'retry', 'kim', 'again'), { code: 'ERR_OPERATION_NOT_ALLOWED' });
    await assert.rejects(world.engine.decide(stepId(4), 'confirm', 'kim', 'fine'), { code: 'ERR_OPERATION_NOT_ALLOWED' });
    await decide(world, 4, 'skip');
    await world.goOn();
    assert.equal(stateOf(world), 'waiting');
    await decide(world, 2, 'skip');
    await world.goOn();
    assert.equal(stateOf(world), 'completedWithFailures');
    assert.equal(statusOf(world, 3), 'done');
    keepsTheRules(world);
  });

  test('is asked of nobody any more when the job is cancelled', async () => {
    const world = worldOf(parts);
    await world.run();
    await world.act(() => world.engine.cancel('kim', 'wrong plan'));
    await world.goOn();
    assert.deepEqual([stateOf(world), statusOf(world, 2), statusOf(world, 3)], ['cancelled', 'blocked', 'failed']);
    assert.equal(world.engine.state.waitsForPerson(stepId(2)), false);
  });

  test('waits on after a crash anywhere, and is asked once', async () => {
    const calm = worldOf(parts);
    await calm.run();
    for (let at = 0; at < calm.appends; at++) {
      for (const when of ['before', 'after'] as const) {
        const world = worldOf(parts, {}, { at, when });
        await world.run();
        assert.equal(world.kills, 1, 'it was killed');
        assert.equal(stateOf(world), 'waiting');
        assert.equal(typesIn(world).filter((type) => type === 'asked').length, 1);
        await decide(world, 2, 'confirm');
        await world.goOn();
        assert.equal(stateOf(world), 'succeeded');
      }
    }
  });
});

describe('a step that is held back', () => {
  test('starts so long after what it needs was done, also when a crash comes in between', async () => {
    for (const killing of [null, { at: 1, when: 'after' }, { at: 1, when: 'before' }] as const) {
      const world = worldOf([{ n: 1 }, { n: 2, needs: [stepId(1)], delaySeconds: 90 }], {}, killing);
      await world.run();
      assert.equal(world.kills, killing === null ? 0 : 1);
      assert.equal(stateOf(world), 'succeeded');
      const at = (type: string, n: number) =>
        world.log.find((fact) => fact.type === type && 'step' in fact && fact.step === stepId(n))?.at ?? 0;
      assert.equal(at('started', 2) - at('done', 1), 90_000);
    }
  });

  test('is not started any more when its job is cancelled meanwhile', async () => {
    const world = worldOf([
      { n: 1, undo: 'undo 1', scope: 'a' },
      { n: 2, scope: 'a', needs: [stepId(1)], delaySeconds: 90 },
    ]);
    await world.act(() => world.engine.resume());
    await world.act(async () => {});
    while (statusOf(world, 1) !== 'done') await world.act(() => world.engine.settle(stepId(1), 'do', 1, { ok: true, result: {} }));
    await world.act(() => world.engine.cancel('kim', 'no'));
    await world.goOn();
    assert.equal(stateOf(world), 'cancelled');
    assert.ok(!world.handedOut.includes('do s2 1'));
  });
});

describe('a step beside what is undone', () => {
  const fails = { 1: ['lasting'] } as const;

  test('with continue lets those go on that need it, and the job ends with failures', async () => {
    const world = worldOf(
      [
        { n: 1, aside: 'continue' },
        { n: 2, needs: [stepId(1)], pivot: true },
      ],
      fails,
      null,
      true,
    );
    await world.run();
    assert.deepEqual([stateOf(world), statusOf(world, 1), statusOf(world, 2)], ['completedWithFailures', 'failed', 'done']);
    keepsTheRules(world);
  });

  test('with stop takes all others back as long as no pivot was begun', async () => {
    const world = worldOf(
      [
        { n: 2, undo: 'undo 2' },
        { n: 1, aside: 'stop', needs: [stepId(2)] },
        { n: 3, needs: [stepId(1)], scope: 'scope 2', pivot: true },
      ],
      fails,
    );
    await world.run();
    assert.deepEqual([stateOf(world), statusOf(world, 2), statusOf(world, 3)], ['failed', 'undone', 'failed']);
    keepsTheRules(world);
  });

  test('with stop waits for a person once a pivot was begun anywhere, and what comes after it waits too', async () => {
    const parts: Part[] = [
      { n: 4, pivot: true },
      { n: 1, aside: 'stop', needs: [stepId(4)] },
      { n: 2, undo: 'undo 2' },
      { n: 3, needs: [stepId(1), stepId(2)], scope: 'scope 2', pivot: true },
    ];
    for (const decision of ['retry', 'skip'] as const) {
      const world = worldOf(parts, { 1: ['lasting', 'well'] });
      await world.run();
      assert.deepEqual([stateOf(world), statusOf(world, 2), statusOf(world, 3)], ['parked', 'done', 'waiting']);
      await decide(world, 1, decision);
      await world.goOn();
      assert.equal(stateOf(world), decision === 'retry' ? 'succeeded' : 'completedWithFailures');
      assert.equal(statusOf(world, 3), 'done');
      keepsTheRules(world);
    }
    const cancelled = worldOf(parts, fails);
    await cancelled.run();
    await cancelled.act(() => cancelled.engine.cancel('kim', 'no'));
    await cancelled.goOn();
    assert.deepEqual([stateOf(cancelled), statusOf(cancelled, 2), statusOf(cancelled, 4)], ['cancelled', 'undone', 'done']);
    keepsTheRules(cancelled);
  });

  test('what it did stays done when its scope is undone', async () => {
    const world = worldOf(
      [
        { n: 1, aside: 'stop', scope: 'a' },
        { n: 2, needs: [stepId(1)], scope: 'a' },
      ],
      { 2: ['lasting'] },
    );
    await world.run();
    assert.deepEqual([stateOf(world), statusOf(world, 1)], ['failed', 'done']);
  });

  test('that alone went well makes no job a success', async () => {
    const world = worldOf([{ n: 1, aside: 'continue' }, { n: 2 }], { 2: ['lasting'] });
    await world.run();
    assert.equal(stateOf(world), 'failed');
  });
});

test('what may have been done and is not known waits for a person, also before any pivot, and takes nobody along', async () => {
  for (const aside of ['stop', 'continue'] as const) {
    const world = worldOf(
      [
        { n: 1, aside },
        { n: 2, undo: 'undo 2' },
        { n: 3, needs: [stepId(1), stepId(2)], scope: 'scope 2' },
      ],
      {},
      null,
      true,
    );
    await world.act(() => world.engine.resume());
    await world.act(() => world.engine.settle(stepId(1), 'do', 1, { ok: false, error: { code: 'ERR_SCRIPT_UNKNOWN', logRef: '' } }));
    await world.goOn();
    assert.deepEqual([stateOf(world), statusOf(world, 2), statusOf(world, 3)], ['parked', 'done', 'waiting']);
    assert.equal(world.engine.state.waitsForPerson(stepId(1)), true);
    await decide(world, 1, 'retry');
    await world.goOn();
    assert.equal(stateOf(world), 'succeeded');
    keepsTheRules(world);
  }
});
