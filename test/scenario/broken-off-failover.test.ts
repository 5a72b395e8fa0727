/**
 * A failover that was broken off, as sentences: what it left at the recovery site is never taken for the work of another, and the
 * VM is not called protected while its replica takes no changes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId } from '../../shared/ids.ts';
import { leavesAFailover, protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { failuresOf, refOf, stateOf, viewOf } from '../support/world-views.ts';

const HOUR_MS = 3_600_000;
const slow = 'timings: { startFailover: { median: 40 s } }';
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} ${vm.activeLocation}`);
const pointsOf = (world: World) => world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'));

/** The moment of the point that the job says it failed the VM over to. */
async function toldPoint(world: World, job: JobId): Promise<string | undefined> {
  const facts = (await world.job(job))?.facts ?? [];
  const done = facts.find((fact) => fact.type === 'done' && fact.step.startsWith('failover/'));
  return (done as { result?: { recoveryPointAt?: string } } | undefined)?.result?.recoveryPointAt;
}

const standsOn = async (world: World) => {
  const vm = await world.site('slough').fabric.findVm(refOf(world, 'slough', 'vm-1'));
  return new Date(vm?.failover?.recoveryPoint.at ?? 0).toISOString();
};

const begunFailover = async (world: World, job: JobId) =>
  world.until('the replica is being failed over', async () =>
    Boolean((await world.job(job))?.facts.some((fact) => fact.type === 'started' && fact.step.startsWith('failover/'))),
  );

/** The recovery site dies while it fails the replica over, is given up, and is back when what the fabric was doing there is done. */
async function brokenOff(world: World, job: JobId): Promise<void> {
  await begunFailover(world, job);
  await world.clock.advance(3_000);
  world.goesDark('slough');
  await world.givesUp(job, 'slough');
  await world.settles(job);
  await world.clock.advance(120_000);
  world.returns('slough');
  await world.everythingIsBack();
}

test('a planned failover whose recovery site dies and is given up leaves a VM that nobody calls protected; the next failover tells the point that it took', async () => {
  const world = await protectedWorld({ vms: 1, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await brokenOff(world, planned);
  assert.equal(await stateOf(world, planned), 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/failedOverWaitingCompletion');
  await assert.rejects(world.resynchronize(), { code: 'ERR_OPERATION_NOT_ALLOWED' });

  await world.clock.advance(6 * HOUR_MS);
  await world.hostOfCrashes('reading', refOf(world, 'reading', 'vm-1').vmId);
  const second = await world.failOver();
  assert.equal(await stateOf(world, second), 'succeeded');
  assert.deepEqual(await promises(world), ['failedOver recovery']);
  assert.equal(await toldPoint(world, second), await standsOn(world));
  await world.finishes();
});

test('what is left of a broken off failover is taken back, and changes arrive again', async () => {
  const world = await protectedWorld({ vms: 1, extra: slow });
  await brokenOff(world, await world.ask(await world.requestFor('plannedFailover')));
  assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
  assert.deepEqual(await promises(world), ['protected primary']);
  const before = pointsOf(world)[0]?.at ?? 0;
  await world.clock.advance(120_000);
  assert.ok((pointsOf(world)[0]?.at ?? 0) > before, 'newer points arrive');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});

test('a failover to an older point that was given up is not found "reached" by one to the latest, which tells the point it used', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4, extra: slow });
  await world.clock.advance(2 * HOUR_MS + 60_000);
  const older = pointsOf(world).at(-1);
  assert.ok(older && older.at < (pointsOf(world)[0]?.at ?? 0), 'there is an older point');
  const request = { ...(await world.requestFor('unplannedFailover')), recoveryPoint: { choose: 'given', id: older.id } };
  await brokenOff(world, await world.ask(request as never));
  assert.deepEqual(await promises(world), ['interrupted primary']);

  await world.clock.advance(HOUR_MS);
  const second = await world.failOver();
  assert.equal(await stateOf(world, second), 'succeeded');
  assert.deepEqual(await promises(world), ['failedOver recovery']);
  assert.equal(await toldPoint(world, second), await standsOn(world));
  assert.ok((await standsOn(world)) > new Date(older.at).toISOString());
  await world.finishes();
});

test('an undo of the failover that a person skips leaves it broken off; taking it back once more leads out', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startFailover: { median: 20 s } }' });
  assert.equal(await stateOf(world, await leavesAFailover(world)), 'cancelled');
  assert.deepEqual(await promises(world), ['interrupted primary']);
  assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
  assert.deepEqual(await promises(world), ['protected primary']);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  await world.finishes();
});

/** Somebody fails the replica over at the recovery site, past Farshore. */
async function failedOverByHand(world: World): Promise<void> {
  const { fabric } = world.site('slough');
  const [ref, act] = [refOf(world, 'slough', 'vm-1'), { commandId: 'by-hand', epoch: 0 } as never];
  const oldest = pointsOf(world).at(-1);
  const done = fabric.startFailover(ref, oldest?.id ?? null, act);
  await world.clock.advance(60_000);
  await done;
}

test('a replica that somebody failed over by hand is cleared away while it is off, and left alone when it runs', async () => {
  const world = await protectedWorld({ vms: 2, recoveryPoints: 4 });
  await failedOverByHand(world);
  const [first] = await world.protectedVms();
  assert.ok(first?.name === 'vm-1');
  assert.equal(await stateOf(world, await world.failOver({ vms: [first.id] })), 'succeeded', 'nobody worked on it');
  await world.takeBack({ vms: [first.id] });
  await world.clock.advance(65_000);

  await failedOverByHand(world);
  const { fabric } = world.site('slough');
  const started = fabric.startVm(refOf(world, 'slough', 'vm-1'), { commandId: 'by-hand', epoch: 9 } as never);
  await world.clock.advance(60_000);
  await started;
  const job = await world.failOver({ vms: [first.id] });
  assert.equal(await stateOf(world, job), 'failed');
  assert.deepEqual(await failuresOf(world, job), ['ERR_REPLICA_FAILED_OVER']);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion', 'neither the failover nor its undo');
  await world.isOver();
});

test('resynchronizing says when it is the replica that takes nothing', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  await failedOverByHand(world);
  const job = await world.resynchronize();
  assert.equal(await stateOf(world, job), 'failed');
  assert.deepEqual(await failuresOf(world, job), ['ERR_REPLICA_FAILED_OVER']);
  await world.isOver();
});

test('where another recovery point was wanted and failing over to it is skipped, the VM is broken off, and both ways lead out', async () => {
  for (const way of ['takeBack', 'failOver'] as const) {
    const world = await protectedWorld({ vms: 1 });
    await world.failOverAsPlanned();
    const { faults } = world.site('slough').fabric;
    faults.order({ kind: 'fails', operation: 'startFailover', times: 3, when: 'beforeEffect' });
    const job = await world.ask(await world.requestFor('changeRecoveryPoint'));
    await world.settles(job);
    assert.equal(faults.fired().length, 3, 'the faults happened');
    const [vm] = await world.protectedVms();
    await world.decide(job, `failover/${vm?.id}`, 'skip');
    await world.settles(job);
    assert.equal((await world.protectedVms())[0]?.phase, 'interrupted');
    assert.equal(await stateOf(world, await world.commit()), 'failed', 'it does not run there');
    assert.equal((await world.protectedVms())[0]?.phase, 'interrupted');
    assert.equal(await stateOf(world, await world[way]()), 'succeeded', way);
    assert.deepEqual(await promises(world), [way === 'takeBack' ? 'protected primary' : 'failedOver recovery']);
    await world.finishes();
  }
});
