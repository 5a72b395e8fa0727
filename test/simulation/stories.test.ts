import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellStory } from '../support/simulation.ts';

const only = process.env.FARSHORE_SEED;
const count = Number(process.env.FARSHORE_SEEDS ?? 120);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

test('random stories with random faults end well, every invariant kept', async (t) => {
  const happened = new Map<string, number>();
  for (const seed of seeds) {
    const { counts, told } = await tellStory(seed);
    for (const [kind, times] of counts) happened.set(kind, (happened.get(kind) ?? 0) + times);
    if (only !== undefined) t.diagnostic(told.join('\n'));
  }
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
  ])
    assert.ok((happened.get(kind) ?? 0) > 0, `it happened: ${kind}`);
});

test('a story is told again word for word by its seed', async () => {
  const [first, again] = [await tellStory(3, 25), await tellStory(3, 25)];
  assert.deepEqual(again.told, first.told);
});
