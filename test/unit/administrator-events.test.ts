import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  administratorEvents,
  ConnectionWatch,
  type EventName,
  eventLine,
  seldom,
} from '../../provider-agent/local/administrator-events.ts';
import { ManualClock } from '../support/manual-clock.ts';

const MINUTE = 60_000;
const status = (state: string, lastFailure: string | null = null) => ({ state, lastFailure });

function watched() {
  const clock = new ManualClock(1_000);
  const told: string[] = [];
  const watch = new ConnectionWatch(clock, (name, text) => told.push(`${name}: ${text}`));
  return { clock, told, watch };
}

test('a connection that is not there for a quarter of an hour is told once, with the reason; and that it is back', () => {
  const { clock, told, watch } = watched();
  watch.status(status('connected'));
  watch.status(status('waiting', 'refused with status 502'));
  clock.advance(14 * MINUTE);
  assert.deepEqual(told, []);
  watch.status(status('connecting', 'refused with status 502'));
  clock.advance(2 * MINUTE);
  watch.status(status('waiting', 'refused with status 502'));
  clock.advance(60 * MINUTE);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^notConnected: .*15 minutes: refused with status 502/);
  watch.status(status('connected'));
  watch.status(status('connected'));
  assert.deepEqual(told.slice(1), ['connectedAgain: The control plane is reached again.']);
});

test('an agent that never comes to connect tells it too, and a short gap is no event', () => {
  const { clock, told, watch } = watched();
  watch.status(status('connecting'));
  clock.advance(16 * MINUTE);
  assert.match(told.join(), /no reason is known/);
  const calm = watched();
  for (let i = 0; i < 5; i++) {
    calm.watch.status(status('connected'));
    calm.clock.advance(20 * MINUTE);
    calm.watch.status(status('waiting'));
    calm.clock.advance(10 * MINUTE);
  }
  assert.deepEqual(calm.told, []);
  calm.watch.stop();
  calm.clock.advance(60 * MINUTE);
  assert.deepEqual(calm.told, []);
  watch.stop();
});

test('what happens again and again is told once in an hour, each kind by itself', () => {
  const clock = new ManualClock(1_000);
  const told: EventName[] = [];
  const tell = seldom((name) => told.push(name), clock);
  for (let i = 0; i < 7; i++) {
    tell('fenced', 'a');
    tell('envelopeRefused', 'b');
    clock.advance(10 * MINUTE);
  }
  assert.deepEqual(told, ['fenced', 'envelopeRefused', 'fenced', 'envelopeRefused']);
});

test('an event is one line that the service host takes apart', () => {
  assert.equal(eventLine('fenced', 'two\r\nlines  and\ttabs'), 'farshore-event 300 warning two lines and tabs');
  assert.ok(eventLine('started', 'x'.repeat(100_000)).length < 9_000);
  const ids = Object.values(administratorEvents).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});
