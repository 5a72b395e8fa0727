/**
 * A backup of the control plane's database is put back, as sentences: it knows nothing of what came after it, and its sites do. Nothing
 * of a job goes on or is undone before what they know is known.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ends, protectedWorld, untilFact } from '../support/planted-scenarios.ts';
import {
  aJobIsHeldWhoseVmWasFailedOverSince,
  decisionsAreAboveAllThatSitesHaveSeen,
  holdOn,
  nothingIsDoneBeforeEverySiteIsHeard,
  slowFailover,
} from '../support/restored-scenarios.ts';
import type { World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

const MINUTE_MS = 60_000;

const slow = { vms: 1, extra: slowFailover };
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} ${vm.activeLocation}`);

test('a backup from the middle of a planned failover is put back after the VM was failed over otherwise: the job is held, and the VM runs once', async () =>
  aJobIsHeldWhoseVmWasFailedOverSince(await protectedWorld(slow)));

test('... and the recovery site comes back later than the primary: nothing is undone before it is heard', async () =>
  nothingIsDoneBeforeEverySiteIsHeard(await protectedWorld(slow)));

test('what is decided after a backup was put back is above everything that the sites have seen', async () =>
  decisionsAreAboveAllThatSitesHaveSeen(await protectedWorld({ vms: 1 })));

test('a site that knows no newer decision but newer commands of the same one holds the job too: the VM was brought back there', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startFailover: { median: 40 s } }' });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await untilFact(world, planned, 'started', 'failover/');
  world.backUp();
  world.goesDark('slough');
  await world.givesUp(planned, 'slough');
  await ends(world, planned, 'failed');
  assert.match(await viewOf(world, 'reading', 'vm-1'), /^running/, 'it was brought back');
  world.returns('slough');
  await world.controlPlaneIsRestoredFromBackup();
  await world.clock.advance(10 * MINUTE_MS);
  assert.equal(await holdOn(world, planned), 'ERR_NEWER_DECISION reading');
  assert.match(await viewOf(world, 'reading', 'vm-1'), /^running/);
  assert.match(await viewOf(world, 'slough', 'vm-1'), /^off/);
  await world.finishes();
});

test('after a plain restart a job goes on by itself when its sites were heard', async () => {
  const world = await protectedWorld(slow);
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(2_000);
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  await world.settles(planned);
  assert.equal(await stateOf(world, planned), 'succeeded');
  assert.equal(
    (await world.job(planned))?.facts.some(({ type }) => type === 'held'),
    false,
  );
  await world.finishes();
});

test('after a plain restart with a site away the job waits for a person, and goes on by itself when the site is back', async () => {
  const world = await protectedWorld(slow);
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(2_000);
  world.controlPlaneCrashes();
  world.goesDark('slough');
  await world.controlPlaneRestarts();
  await world.clock.advance(3 * MINUTE_MS);
  assert.equal(await holdOn(world, planned), 'ERR_SITE_UNHEARD slough');
  world.returns('slough');
  await world.until('it has gone on', async () => (await stateOf(world, planned)) === 'succeeded');
  await world.finishes();
});

test('... and whoever gives that site up has answered for it', async () => {
  const world = await protectedWorld(slow);
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(2_000);
  world.controlPlaneCrashes();
  world.goesDark('reading');
  await world.controlPlaneRestarts();
  await world.clock.advance(3 * MINUTE_MS);
  assert.equal(await holdOn(world, planned), 'ERR_SITE_UNHEARD reading');
  await world.givesUp(planned, 'reading');
  await ends(world, planned, 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary']);
  await world.finishes();
});

test('an unplanned failover waits for the site that it leads away from no longer than half a minute', async () => {
  const world = await protectedWorld(slow);
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const request = await world.requestFor('unplannedFailover');
  await world.ask(request);
  await world.clock.advance(1_000);
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  const from = world.clock.now();
  await world.until('it goes on', () => world.trace.events.some(({ type, at }) => type === 'call' && at > from), 31_000);
  await world.settles(request.id);
  assert.equal(await stateOf(world, request.id), 'succeeded');
  await world.finishes();
});

for (const [title, agedMs, waitsMs, mostMs] of [
  ['for seconds alone where its log is young: an agent that lives would be back by then', 1_000, 4_000, 20_000],
  ['for all of that half minute where its log is older, as of a backup', 13_000, 28_000, 40_000],
] as const)
  test(`... ${title}`, async () => {
    const world = await protectedWorld(slow);
    world.goesDark('reading');
    await world.clock.advance(15_000);
    const job = await world.ask(await world.requestFor('unplannedFailover'));
    await world.clock.advance(agedMs);
    world.controlPlaneCrashes();
    await world.clock.advance(1_000);
    await world.controlPlaneRestarts();
    const from = world.clock.now();
    await world.clock.advance(waitsMs);
    await assert.rejects(world.cancel(job), { code: 'ERR_SITE_UNHEARD' });
    // The agent of the other site has to connect and to look before it calls.
    await world.until('it goes on', () => world.trace.events.some(({ type, at }) => type === 'call' && at > from), mostMs - waitsMs);
    await world.settles(job);
    assert.equal(await stateOf(world, job), 'succeeded');
    await world.finishes();
  });

test('a person lets a held job go on, and it is not held again for what that person knew', async () => {
  const world = await protectedWorld(slow);
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await untilFact(world, planned, 'started', 'shut-down/');
  world.backUp();
  await untilFact(world, planned, 'started', 'failover/');
  await world.clock.advance(1_000);
  await world.controlPlaneIsRestoredFromBackup();
  await world.until('it is held', async () => (await holdOn(world, planned)) !== null);
  assert.equal(await holdOn(world, planned), 'ERR_NEWER_DECISION slough');
  world.goesDark('reading');
  await world.letGoOn(planned);
  world.controlPlaneCrashes();
  world.returns('reading');
  await world.controlPlaneRestarts();
  await world.until('it goes on to its end', async () => (await stateOf(world, planned)) === 'succeeded');
  const holds = (await world.job(planned))?.facts.filter(({ type }) => type === 'held');
  assert.equal(holds?.length, 1);
  await world.finishes();
});
