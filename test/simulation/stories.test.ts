import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batches } from '../../control-plane/store/batches.ts';
import { tellStory } from '../support/simulation.ts';

const only = process.env.FARSHORE_SEED;
const count = Number(process.env.FARSHORE_SEEDS ?? 120);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

const happened = new Map<string, number>();
/** Each test has the time limit of a test. */
for (const some of batches(seeds, 20)) {
  test(`random stories with random faults end well, every invariant kept: seeds ${some[0]} to ${some.at(-1)}`, async (t) => {
    for (const seed of some) {
      const { counts, told } = await tellStory(seed);
      for (const [kind, times] of counts) happened.set(kind, (happened.get(kind) ?? 0) + times);
      if (only !== undefined) t.diagnostic(told.join('\n'));
    }
  });
}

test('everything that may happen has happened in them', (t) => {
  t.diagnostic(`${seeds.length} stories: ${[...happened].map(([kind, times]) => `${kind} ${times}`).join(', ')}`);
  if (only !== undefined) return;
  for (const kind of [
    'protect',
    'unplannedFailover',
    'plannedFailover',
    'takeBack',
    'changeRecoveryPoint',
    'commit',
    'reverseReplication',
    'suspend',
    'resume',
    'resynchronize',
    'unprotect',
    'testFailover',
    'cleanUpTest',
    'control plane dies',
    'agent dies',
    'dies at a place',
    'line is cut',
    'line is half-open',
    'call goes wrong',
    'site goes dark',
    'give up',
    'site given up',
    'a plan with actions',
    'action ask',
    'action waitForTcp',
    'action waitForHttp',
    'action waitForGuest',
    'action runScript',
    'action failOverChannel',
    'confirm',
  ])
    assert.ok((happened.get(kind) ?? 0) > 0, `it happened: ${kind}`);
});

test('a story is told again word for word by its seed', async () => {
  const [first, again] = [await tellStory(3, 25), await tellStory(3, 25)];
  assert.deepEqual(again.told, first.told);
});
