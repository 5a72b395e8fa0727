/** Steps whose executor never answers: their time limit, a cancel where they only look, and the word of a person that it will not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Step } from '../../shared/engine/graph.ts';
import { EngineWorld, endOf, type Killing, type Script, stepId } from '../support/engine-world.ts';

type Part = Partial<Step<string>> & { readonly n: number };

function worldOf(
  parts: readonly Part[],
  scripts: Readonly<Record<number, Script>>,
  undos: Readonly<Record<number, Script>> = {},
  killing: Killing | null = null,
) {
  const steps = parts.map(
    ({ n, ...part }): Step<string> => ({ id: stepId(n), title: '', scope: 'vm', needs: [], after: [], work: `do ${n}`, ...part }),
  );
  const byId = (some: Readonly<Record<number, Script>>) =>
    new Map(Object.entries(some).map(([n, script]) => [stepId(Number(n)) as string, script]));
  return new EngineWorld({ graph: { steps }, scripts: byId(scripts), undoScripts: byId(undos) }, killing);
}

describe('a step with a time limit', () => {
  const parts: Part[] = [
    { n: 1, aside: 'continue', limitSeconds: 30, undo: 'undo 1' },
    { n: 2, after: [stepId(1)] },
  ];

  test('fails when its time is over, and what comes after it goes on', async () => {
    const world = worldOf(parts, { 1: ['never'] });
    const state = await world.run();
    assert.deepEqual(endOf(state), { job: 'completedWithFailures', s1: 'failed', s2: 'done' });
    const failed = world.log.flatMap((fact) => (fact.type === 'failed' ? [[fact.error.code, fact.retry]] : []));
    assert.deepEqual(failed, [['ERR_TIME_LIMIT', false]]);
  });

  test('has one time for all its attempts', async () => {
    const world = worldOf([{ n: 1, aside: 'continue', limitSeconds: 30, attempts: 9 }], { 1: ['passing', 'passing', 'never'] });
    await world.run();
    const failed = world.log.flatMap((fact) => (fact.type === 'failed' ? [fact.error.code] : []));
    assert.deepEqual(failed, ['ERR_FABRIC_FAILED', 'ERR_FABRIC_FAILED', 'ERR_TIME_LIMIT']);
  });

  test('that was done in time is not failed later', async () => {
    const world = worldOf(parts, {});
    assert.deepEqual(endOf(await world.run()), { job: 'succeeded', s1: 'done', s2: 'done' });
  });

  test('an outcome that comes after its time changes nothing', async () => {
    const world = worldOf([...parts, { n: 3, needs: [stepId(2)], asks: 'look', scope: 'person', work: undefined as never }], {
      1: ['never'],
    });
    await world.run();
    const before = world.log.length;
    await world.act(() => world.engine.settle(stepId(1), 'do', 1, { ok: true, result: {} }));
    assert.equal(world.log.length, before);
  });

  test('ends the same whichever append the engine was killed at', async () => {
    const calm = worldOf(parts, { 1: ['never'] });
    const end = endOf(await calm.run());
    for (let at = 0; at < calm.appends; at++) {
      for (const when of ['before', 'after'] as const) {
        const world = worldOf(parts, { 1: ['never'] }, {}, { at, when });
        assert.deepEqual(endOf(await world.run()), end);
        assert.equal(world.kills, 1, 'it was killed');
      }
    }
  });
});

describe('an executor that a person gives up', () => {
  const parts: Part[] = [
    { n: 1, undo: 'undo 1' },
    { n: 2, needs: [stepId(1)] },
    { n: 3, needs: [stepId(2)], pivot: true },
  ];
  const giveUp = (world: EngineWorld, ...steps: number[]) =>
    world.act(() => world.engine.giveUp(steps.map(stepId), 'reading', 'kim', 'it burns'));

  test('has its step fail for good; what it would undo is skipped by the same word, and the job ends', async () => {
    const world = worldOf(parts, { 2: ['never'] }, { 1: ['never'] });
    await world.run();
    assert.equal(world.engine.state.state, 'inProgress');
    await giveUp(world, 2);
    assert.equal(world.engine.state.view(stepId(1))?.status, 'undoing');
    await giveUp(world, 1);
    assert.deepEqual(endOf(world.engine.state), { job: 'failed', s1: 'skipped', s2: 'failed', s3: 'blocked' });
    assert.equal(world.log.filter(({ type }) => type === 'givenUp').length, 1, 'it is said once');
    assert.ok(!world.handedOut.includes('do s3 1'), 'nothing follows from what is not known');
  });

  test('past the pivot its step waits for a person, who may try again', async () => {
    const world = worldOf(parts, { 3: ['never', 'well'] });
    await world.run();
    await giveUp(world, 3);
    assert.equal(world.engine.state.state, 'parked');
    await world.act(() => world.engine.decide(stepId(3), 'retry', 'kim', 'it is back'));
    await world.goOn();
    assert.equal(world.engine.state.state, 'succeeded');
  });

  for (const aside of ['continue', 'stop'] as const)
    test(`a person says how it goes on where one that stands beside may have done something: ${aside}`, async () => {
      const asides: Part[] = [
        { n: 1, aside },
        { n: 2, needs: [stepId(1)] },
      ];
      const world = worldOf(asides, { 1: ['never'] });
      await world.run();
      await giveUp(world, 1);
      assert.deepEqual([world.engine.state.state, world.engine.state.waitsForPerson(stepId(1))], ['parked', true]);
      await world.act(() => world.engine.decide(stepId(1), 'skip', 'kim', 'I have looked'));
      await world.goOn();
      assert.equal(world.engine.state.view(stepId(2))?.status, 'done');
    });

  for (const harmless of [{ looksOnly: true }, { limitSeconds: 600 }])
    test(`is passed over by \`continue\` where nothing hangs on it: ${Object.keys(harmless)[0]}`, async () => {
      const asides: Part[] = [
        { n: 1, aside: 'continue', ...harmless },
        { n: 2, needs: [stepId(1)] },
      ];
      const world = worldOf(asides, { 1: ['never'] });
      await world.act(() => world.engine.resume());
      await giveUp(world, 1);
      await world.goOn();
      assert.deepEqual(endOf(world.engine.state), { job: 'completedWithFailures', s1: 'failed', s2: 'done' });
    });

  test('does not touch steps that have settled', async () => {
    const world = worldOf(parts, { 3: ['never'] });
    await world.run();
    await giveUp(world, 1, 2);
    assert.equal(world.engine.state.view(stepId(1))?.status, 'done');
    assert.equal(world.engine.state.state, 'inProgress');
  });
});

describe('a step that only looks, when the job is cancelled', () => {
  const cancel = (world: EngineWorld) => world.act(() => world.engine.cancel('kim', 'it takes too long'));
  const looking: Part[] = [
    { n: 1, undo: 'undo 1' },
    { n: 2, needs: [stepId(1)], looksOnly: true },
    { n: 3, needs: [stepId(2)] },
  ];
  const past: Part[] = [
    { n: 1, pivot: true },
    { n: 2, needs: [stepId(1)], looksOnly: true, skipEndsScope: true },
    { n: 3, needs: [stepId(2)], pivot: true },
  ];

  test('is not waited for: what was done before it is undone', async () => {
    const world = worldOf(looking, { 2: ['never'] });
    await world.run();
    await cancel(world);
    assert.deepEqual(endOf(await world.goOn()), { job: 'cancelled', s1: 'undone', s2: 'failed', s3: 'blocked' });
    const before = world.log.length;
    await world.act(() => world.engine.settle(stepId(2), 'do', 1, { ok: true, result: {} }));
    assert.equal(world.log.length, before, 'what it finds later changes nothing');
  });

  test('past the pivot is skipped by the same word where that ends its scope', async () => {
    const world = worldOf(past, { 2: ['never'] });
    await world.run();
    await cancel(world);
    assert.deepEqual(endOf(world.engine.state), { job: 'cancelled', s1: 'done', s2: 'skipped', s3: 'skipped' });
    assert.ok(!world.handedOut.includes('do s3 1'), 'nothing follows from what was not seen');
  });

  test('and has failed before, past the pivot, needs no decision any more', async () => {
    const world = worldOf(past, { 2: ['lasting'] });
    await world.run();
    assert.equal(world.engine.state.state, 'parked');
    await cancel(world);
    assert.deepEqual(endOf(world.engine.state), { job: 'cancelled', s1: 'done', s2: 'skipped', s3: 'skipped' });
  });

  test('is waited for when it is begun after that, past the pivot, until it is cancelled again', async () => {
    const world = worldOf(past, { 2: ['never'] });
    await world.act(() => world.engine.resume());
    await cancel(world);
    assert.equal((await world.goOn()).view(stepId(2))?.status, 'running');
    await cancel(world);
    assert.deepEqual(endOf(world.engine.state), { job: 'cancelled', s1: 'done', s2: 'skipped', s3: 'skipped' });
  });

  test('past the pivot is waited for where more of its scope would follow', async () => {
    const world = worldOf(
      [
        { n: 1, pivot: true },
        { n: 2, needs: [stepId(1)], looksOnly: true },
      ],
      { 2: ['never'] },
    );
    await world.run();
    await cancel(world);
    assert.equal(world.engine.state.view(stepId(2))?.status, 'running');
  });

  test('ends the same whichever append the engine was killed at', async () => {
    const calm = worldOf(past, { 2: ['never'] });
    await calm.run();
    await cancel(calm);
    for (let at = 0; at < calm.appends; at++) {
      for (const when of ['before', 'after'] as const) {
        const world = worldOf(past, { 2: ['never'] }, {}, { at, when });
        await world.run();
        if (!world.isEnded) await cancel(world);
        if (!world.isEnded && world.kills > 0) await cancel(world);
        assert.deepEqual(endOf(await world.goOn()), endOf(calm.engine.state));
        assert.equal(world.kills, 1, 'it was killed');
      }
    }
  });
});
