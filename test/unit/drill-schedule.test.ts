/** When a plan that says how often it is drilled is due, and when it may begin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginsAt, DrillSchedule, dueAt, isOverdue, networkMeant } from '../../shared/domain/drill-schedule.ts';

const at = (text: string) => Date.parse(`2026-${text}:00Z`);
const nightly = { everyDays: 30, at: '02:00' };

test('a drill is due so many days after the last one, at the time of day of the plan', () => {
  assert.equal(dueAt({ everyDays: 30 }, at('01-01T15:20')), at('01-31T15:20'));
  assert.equal(dueAt(nightly, at('01-01T02:00')), at('01-31T02:00'));
  assert.equal(dueAt(nightly, at('01-01T02:07')), at('01-31T02:00'), 'one that began late does not move the next to the day after');
  assert.equal(dueAt(nightly, at('01-01T15:20')), at('01-31T02:00'));
});

test('it begins when it is due, and with a time of day within two hours of that or on another day', () => {
  const due = at('01-31T02:00');
  const begins = (now: string) => beginsAt(nightly, due, at(now));
  assert.equal(begins('01-30T23:00'), due);
  assert.equal(begins('01-31T02:00'), due);
  assert.equal(begins('01-31T03:59'), due);
  assert.equal(begins('01-31T04:00'), at('02-01T02:00'), 'the site was dark all night: nobody expects it at noon');
  assert.equal(begins('02-03T01:59'), at('02-03T02:00'));
  assert.equal(begins('02-03T02:30'), at('02-03T02:00'));
  assert.equal(beginsAt({ at: '23:30' }, at('01-31T23:30'), at('02-01T01:00')), at('01-31T23:30'), 'also past midnight');
  assert.equal(beginsAt({}, due, at('02-09T12:00')), due, 'without one at once');
});

test('a plan is overdue an hour after its moment', () => {
  assert.deepEqual([isOverdue(0, 3_600_000), isOverdue(0, 3_600_001)], [false, true]);
});

test('a network is meant by its name, or by site and name where several sites have one of that name', () => {
  const known = ['Reading/LAN', 'Slough/LAN', 'Slough/Bubble'].map((full) => {
    const [siteName = '', name = ''] = full.split('/');
    return { siteName, name };
  });
  assert.deepEqual(networkMeant('Bubble', known), known[2]);
  assert.deepEqual(networkMeant('Slough/LAN', known), known[1]);
  assert.deepEqual(networkMeant('LAN', known), { problem: "several sites have a VM network 'LAN'", allowed: 'Reading/LAN, Slough/LAN' });
  assert.deepEqual(networkMeant('Foam', known), {
    problem: "no site has a VM network 'Foam'",
    allowed: 'Reading/LAN, Slough/Bubble, Slough/LAN',
  });
});

test('a schedule names networks that are there, or those to make its own like, and no times that do not exist', () => {
  const ok = (more: object) => DrillSchedule.safeParse({ everyDays: 90, standsMinutes: 60, ...more }).success;
  assert.ok(ok({}));
  assert.ok(ok({ at: '23:59', networks: ['Slough/Bubble'] }));
  assert.ok(!ok({ networks: ['Slough/Bubble'], makeNetworksLike: ['Slough/LAN'] }));
  for (const wrong of ['24:00', '7:00', '07:60', 'noon']) assert.ok(!ok({ at: wrong }), wrong);
  assert.ok(!ok({ everyDays: 0 }));
});
