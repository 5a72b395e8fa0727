/** Suspending replication as sentences: who is told, what still works and what is refused until it is resumed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { failuresOf, refOf, shownVms, stateOf, viewOf } from '../support/world-views.ts';

const newestPoint = async (world: World) =>
  (await world.site('slough').fabric.findVm(refOf(world, 'slough', 'vm-1')))?.replication.lastPointAt;

const issuesOf = async (world: World) => (await shownVms(world)).flatMap(({ issues }) => issues.map(({ issue }) => issue));

/** One VM whose replication was suspended at that end half an hour ago. */
async function suspended(end: 'source' | 'target' = 'source'): Promise<World> {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  assert.equal(await stateOf(world, await world.suspend(undefined, end)), 'succeeded');
  await world.clock.advance(1_800_000);
  return world;
}

test('a VM that is suspended sends nothing and goes on running; resumed, it catches up', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.suspend();
  const before = await newestPoint(world);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/suspended');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  await world.clock.advance(30_000);
  assert.deepEqual(await issuesOf(world), ['suspended']);
  await world.clock.advance(3_600_000);
  assert.equal(await newestPoint(world), before, 'the newest recovery point only grows older');
  assert.equal((await world.protectedVms())[0]?.phase, 'protected');
  assert.equal(await stateOf(world, await world.resume()), 'succeeded');
  await world.clock.advance(1_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.ok((await newestPoint(world)) !== before);
  await world.finishes();
});

test('a replica that is suspended takes nothing, and the side that sends says that it cannot send', async () => {
  const world = await suspended('target');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/suspended');
  assert.deepEqual(await issuesOf(world), ['replicaSuspended']);
  assert.equal((await world.site('reading').fabric.findVm(refOf(world, 'reading', 'vm-1')))?.replication.health, 'critical');
  await world.resume();
  await world.clock.advance(31_000);
  assert.equal((await world.site('reading').fabric.findVm(refOf(world, 'reading', 'vm-1')))?.replication.health, 'normal');
  await world.finishes();
});

test('both ends are resumed, whichever was suspended, also what a person suspended by hand', async () => {
  const world = await suspended();
  await world.suspend(undefined, 'target');
  assert.equal(await stateOf(world, await world.resume()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  assert.equal(await stateOf(world, await world.resume()), 'succeeded', 'and once more changes nothing');
  await world.finishes();
});

for (const end of ['source', 'target'] as const) {
  test(`suspended at its ${end}, a VM is not failed over as planned and goes on running: nobody overrules who suspended it`, async () => {
    const world = await suspended(end);
    const job = await world.failOverAsPlanned();
    assert.equal(await stateOf(world, job), 'failed');
    assert.deepEqual(await failuresOf(world, job), ['ERR_REPLICATION_SUSPENDED']);
    assert.match(await viewOf(world, 'reading', 'vm-1'), /^running primary/);
    assert.equal((await world.protectedVms())[0]?.phase, 'protected');
    await world.resume();
    assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
    await world.finishes();
  });

  test(`suspended at its ${end}, a VM is failed over from the points that are there, and comes back`, async () => {
    const world = await suspended(end);
    const before = await newestPoint(world);
    world.goesDark('reading');
    assert.equal(await stateOf(world, await world.failOver()), 'succeeded');
    assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
    assert.equal((await world.site('slough').fabric.findVm(refOf(world, 'slough', 'vm-1')))?.failover?.recoveryPoint.at, before);
    world.returns('reading');
    await world.everythingIsBack();
    assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
    assert.equal(await stateOf(world, await world.resume()), 'succeeded');
    assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
    await world.finishes();
  });

  test(`suspended at its ${end}, a VM is unprotected as any other`, async () => {
    const world = await suspended(end);
    assert.equal(await stateOf(world, await world.unprotect()), 'succeeded');
    assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
    assert.deepEqual(await world.protectedVms(), []);
    await world.finishes();
  });
}

test('after a committed failover a suspended former primary is made the replica', async () => {
  const world = await suspended();
  await world.failOver();
  await world.commit();
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});

test('a drill of a suspended replica is refused; of a suspended primary it is not', async () => {
  const world = await suspended('target');
  const refused = await world.drill();
  assert.deepEqual(await failuresOf(world, refused), ['ERR_REPLICATION_SUSPENDED']);
  await world.resume();
  await world.suspend();
  const drill = await world.drill();
  assert.equal(await stateOf(world, drill), 'succeeded');
  assert.equal(await stateOf(world, await world.resume()), 'succeeded', 'also while the test copy is there');
  await world.cleanUp(drill);
  await world.finishes();
});

test('the replica can be suspended while the other side is away, and resumed when it is back', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await assert.rejects(world.suspend(), { code: 'ERR_AGENT_OFFLINE' });
  assert.equal(await stateOf(world, await world.suspend(undefined, 'target')), 'succeeded');
  await assert.rejects(world.resume(), { code: 'ERR_AGENT_OFFLINE' });
  world.returns('reading');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, await world.resume()), 'succeeded');
  await world.finishes();
});

test('a VM that does not replicate now is not suspended, and the others of the same job are', async () => {
  const world = await protectedWorld({ vms: 4 });
  await world.hostOfCrashes('reading', refOf(world, 'reading', 'vm-1').vmId);
  await world.clock.advance(60_000);
  const job = await world.suspend();
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  const views = await Promise.all([1, 2, 3, 4].map((number) => viewOf(world, 'reading', `vm-${number}`)));
  const outOfStep = views.filter((view) => view === 'off primary/waitingForStartResynchronize').length;
  assert.equal(outOfStep + views.filter((view) => view === 'running primary/suspended').length, 4);
  assert.deepEqual(await failuresOf(world, job), Array(outOfStep).fill('ERR_WRONG_STATE'));
  await world.finishes();
});

test('restarts of everything change nothing of a suspension; resynchronizing resumes it', async () => {
  const world = await suspended();
  world.controlPlaneCrashes();
  for (const site of ['reading', 'slough'] as const) world.agentCrashes(site);
  await world.everythingRestarts();
  await world.clock.advance(600_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/suspended');
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});

test('resynchronizing resumes a suspended replica too, and says that it is done only once something arrives', async () => {
  const world = await suspended('target');
  const before = await newestPoint(world);
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  await world.clock.advance(31_000);
  assert.ok((await newestPoint(world)) !== before);
  await world.finishes();
});

test('a VM whose replica was suspended when the host of its primary crashed comes back by resynchronizing', async () => {
  const world = await suspended('target');
  await world.hostOfCrashes('reading', refOf(world, 'reading', 'vm-1').vmId);
  assert.deepEqual(await failuresOf(world, await world.resume()), ['ERR_WRONG_STATE'], 'it would not be enough');
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  await world.finishes();
});
