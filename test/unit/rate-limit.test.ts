/** The token bucket of the agent channel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../shared/protocol/limits.ts';

const NOON = Date.parse('2026-11-23T12:00:00Z');
const HOUR = 3_600_000;

test('what is taken comes back with time, up to the burst', () => {
  const limit = new RateLimit(NOON, 10, 20);
  assert.equal(limit.take(NOON, 20), true);
  assert.equal(limit.take(NOON), false);
  assert.equal(limit.take(NOON + 1_000, 10), true);
  assert.equal(limit.take(NOON + HOUR, 21), false);
  assert.equal(limit.take(NOON + HOUR, 20), true);
});

test('a clock that is set back by an hour locks nobody out', () => {
  const limit = new RateLimit(NOON, 10, 20);
  assert.equal(limit.take(NOON), true);
  assert.equal(limit.take(NOON - HOUR), true);
  assert.equal(limit.take(NOON - HOUR + 1_000, 19), true);
});
