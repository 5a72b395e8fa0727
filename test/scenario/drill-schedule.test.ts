/** Plans that are drilled by themselves: at their time, once, and cleaned up again; and what an operator sees when that is not possible. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY, drilled, drilledPlan, MINUTE, nextDrill, scheduleOf, shortlyBefore, worldToDrill } from '../support/drilled-world.ts';
import type { World } from '../support/world.ts';
import { inputOf, stateOf } from '../support/world-views.ts';

const endedAt = async (world: World, id: never) => (await world.job(id))?.job.endedAt;
const untilEnded = (world: World, id: string, limit = 25 * 60 * MINUTE) =>
  world.until('the job has ended', async () => (await endedAt(world, id as never)) != null, limit);

test('a plan is drilled by itself when it is due, its copies stand as long as it says, and the next drill counts from this one', async () => {
  let world = await worldToDrill();
  await drilledPlan(world);
  const asked = world.clock.now();
  const { drill, cleanUp, dueAt } = await nextDrill(world);
  assert.equal(dueAt, asked + DAY);
  world = await shortlyBefore(dueAt, world);
  await world.clock.advance(MINUTE);
  assert.equal(await world.job(drill), null);
  await untilEnded(world, drill);
  const job = (await world.job(drill))?.job;
  assert.deepEqual([job?.state, job?.startedBy], ['succeeded', 'Farshore (drill schedule)']);
  assert.ok((job?.startedAt ?? 0) >= dueAt && (job?.startedAt ?? 0) < dueAt + 5_000);
  assert.equal(world.site('slough').fabric.madeForDrills().length, 1, 'on a network of its own');

  await world.clock.advance(29 * MINUTE);
  assert.equal(world.site('slough').fabric.testCopies().size, 1);
  await untilEnded(world, cleanUp);
  const cleaned = (await world.job(cleanUp))?.job;
  assert.equal(cleaned?.state, 'succeeded');
  assert.ok((cleaned?.startedAt ?? 0) >= (job?.endedAt ?? 0) + 30 * MINUTE);
  const { outcome, notes } = await inputOf(world, cleanUp);
  assert.equal(outcome, 'passed');
  assert.match(notes ?? '', /^Cleaned up by its schedule, 30 minutes after it ended/);
  assert.deepEqual([world.site('slough').fabric.testCopies().size, world.site('slough').fabric.madeForDrills()], [0, []]);

  const next = await nextDrill(world);
  assert.equal(next.dueAt, (job?.startedAt ?? 0) + DAY);
  const shown = await scheduleOf(world);
  assert.deepEqual([shown.last?.drill, Date.parse(shown.nextAt), shown.issues], [drill, next.dueAt, []]);
  await world.finishes();
});

test('a drill that somebody starts counts: the next is due a day after it; one of some members only does not', async () => {
  const world = await worldToDrill();
  const target = await drilledPlan(world);
  const [vm] = await world.protectedVms();
  await world.clock.advance(60 * MINUTE);
  const { dueAt } = await nextDrill(world);
  await world.cleanUp(await world.drill({ ...target, only: [vm?.id as never] } as never));
  assert.equal((await nextDrill(world)).dueAt, dueAt);
  const startedAt = world.clock.now();
  await world.cleanUp(await world.drill(target));
  assert.ok((await nextDrill(world)).dueAt >= startedAt + DAY);
  await world.finishes();
});

test('with a time of day it begins at that time, and after a night in the dark not before the next', async () => {
  let world = await worldToDrill();
  await drilledPlan(world, { at: '02:00' });
  const { drill, dueAt } = await nextDrill(world);
  assert.equal(dueAt % DAY, 2 * 60 * MINUTE);
  world = await shortlyBefore(dueAt, world);
  world.goesDark('slough');
  await world.clock.advance(130 * MINUTE);
  world.returns('slough');
  await world.everythingIsBack();
  await world.clock.advance(20 * MINUTE);
  assert.equal(await world.job(drill), null, 'nobody expects it by day');
  const [issue] = (await scheduleOf(world)).issues;
  assert.equal(issue?.issue, 'drillOverdue');
  assert.match(issue?.cause ?? '', /Reason: it begins from .*T02:00:00.000Z on\.$/);
  world = await shortlyBefore(dueAt + DAY, world);
  await untilEnded(world, drill);
  const startedAt = (await world.job(drill))?.job.startedAt ?? 0;
  assert.ok(startedAt >= dueAt + DAY && startedAt < dueAt + DAY + MINUTE);
  await world.finishes();
});

test('while the site is dark nothing begins and the plan says why; it is drilled soon after the site is back', async () => {
  let world = await worldToDrill();
  await drilledPlan(world);
  const { drill, dueAt } = await nextDrill(world);
  world = await shortlyBefore(dueAt, world);
  world.goesDark('slough');
  await world.clock.advance(70 * MINUTE);
  assert.equal(await world.job(drill), null);
  assert.match((await scheduleOf(world)).issues[0]?.cause ?? '', /Reason: no agent is connected at slough\.$/);
  world.returns('slough');
  await world.everythingIsBack();
  await untilEnded(world, drill, 10 * MINUTE);
  assert.deepEqual([await stateOf(world, drill), (await scheduleOf(world)).issues], ['succeeded', []]);
  await world.finishes();
});

test('a VM that was failed over is not drilled and the plan says so, and so it does while a copy is left', async () => {
  let world = await worldToDrill();
  await drilledPlan(world);
  const { drill, dueAt } = await nextDrill(world);
  await world.failOverAsPlanned();
  world = await shortlyBefore(dueAt, world);
  await world.clock.advance(70 * MINUTE);
  assert.equal(await world.job(drill), null);
  assert.match((await scheduleOf(world)).issues[0]?.cause ?? '', /Reason: .*; vm-1: it is failedOver: /);
  await world.takeBack();
  const byHand = await world.drill();
  await world.clock.advance(10 * MINUTE);
  assert.equal(await world.job(drill), null);
  assert.match((await scheduleOf(world)).issues[0]?.cause ?? '', /vm-1: the test copy of drill .* is there; clean the drill up first/);
  await world.cleanUp(byHand);
  await untilEnded(world, drill, 10 * MINUTE);
  assert.equal(await stateOf(world, drill), 'succeeded');
  await world.finishes();
});

test('a network that is gone by its name is a reason too', async () => {
  let world = await worldToDrill();
  await drilledPlan(world, { makeNetworksLike: ['slough/Foam'] });
  const { drill, dueAt } = await nextDrill(world);
  world = await shortlyBefore(dueAt, world);
  await world.clock.advance(70 * MINUTE);
  assert.equal(await world.job(drill), null);
  assert.match((await scheduleOf(world)).issues[0]?.cause ?? '', /no site has a VM network 'slough\/Foam'/);
  await world.finishes();
});

test('a drill whose copies did not all run is cleaned up as failed', async () => {
  let world = await worldToDrill();
  await drilledPlan(world);
  const { drill, cleanUp, dueAt } = await nextDrill(world);
  world = await shortlyBefore(dueAt, world);
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startTestVm', times: 3 });
  faults.order({ kind: 'fails', operation: 'stopTestFailover', times: 3 });
  await world.until('its undo waits for a person', async () => (await stateOf(world, drill)) === 'parked');
  assert.equal(faults.fired().length, 6, 'the faults happened');
  await world.decide(drill, `copy/${(await world.protectedVms())[0]?.id}`, 'skip');
  await untilEnded(world, cleanUp, 60 * MINUTE);
  assert.equal((await inputOf(world, cleanUp)).outcome, 'failed');
  await world.finishes();
});

test('a clean-up that left something is tried again, an hour later', async () => {
  let world = await worldToDrill();
  await drilledPlan(world);
  const { drill, cleanUp, dueAt } = await nextDrill(world);
  world = await shortlyBefore(dueAt, world);
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'stopTestFailover', times: 3 });
  await untilEnded(world, cleanUp);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, cleanUp), 'failed');
  await world.until('it is gone', () => world.site('slough').fabric.testCopies().size === 0, 70 * MINUTE);
  const drills = await world.controlPlane.store.jobs.list((await drilled(world)).plan.vaultId, { kind: 'testFailover', limit: 10 });
  assert.deepEqual(
    drills.map(({ id }) => id),
    [drill],
    'it was drilled once',
  );
  await world.finishes();
});

test('a drill that somebody starts may be cleaned up by itself too', async () => {
  const world = await worldToDrill();
  const drill = await world.ask({ ...(await world.requestFor('testFailover')), cleanUpAfterMinutes: 10 } as never);
  await world.settles(drill);
  await world.clock.advance(9 * MINUTE);
  assert.equal(world.site('slough').fabric.testCopies().size, 1);
  await world.until('it is cleaned up', () => world.site('slough').fabric.testCopies().size === 0, 2 * MINUTE);
  await world.finishes();
});
