/** Waiting for a copying as sentences: it may take for ever, and a person can always end it, also when the other end is dead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId } from '../../shared/ids.ts';
import { endsReplication } from '../support/by-hand.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { World } from '../support/world.ts';
import { failuresOf, refOf, stateOf, viewOf } from '../support/world-views.ts';

const LONG_MS = 1_200_000;
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} from ${vm.replicatesFrom}`);
const forced = async (world: World) =>
  world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'Slough will not come back' } } as never);

/** The first copy is on its way. */
async function seeding(): Promise<{ world: World; job: JobId }> {
  const world = await World.make({ vms: 1, extra: 'replication: { bandwidth: 10 MB/s }' });
  await world.pair();
  const job = await world.ask(await world.protectRequest());
  await world.clock.advance(20_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/initialReplicationInProgress');
  return { world, job };
}

/** The former primary is dead while what differs is sent to it. */
async function reversing(): Promise<{ world: World; job: JobId }> {
  const world = await protectedWorld({ vms: 1, extra: 'replication: { bandwidth: 5 MB/s }' });
  await world.hostOfCrashes('reading', refOf(world, 'reading', 'vm-1').vmId);
  await world.failOver();
  await world.commit();
  await world.clock.advance(300_000);
  const job = await world.ask(await world.requestFor('reverseReplication'));
  await world.clock.advance(5_000);
  assert.deepEqual(await promises(world), ['seeding from recovery']);
  world.goesDark('reading');
  await world.clock.advance(LONG_MS);
  assert.equal(await stateOf(world, job), 'inProgress', 'it waits as long as nobody says otherwise');
  await assert.rejects(forced(world), { code: 'ERR_VM_BUSY' });
  return { world, job };
}

test('the recovery site dies under the first copy: giving it up takes the protection back, and leaves the VM clean where it runs', async () => {
  const { world, job } = await seeding();
  world.goesDark('slough');
  await world.clock.advance(LONG_MS);
  assert.equal(await stateOf(world, job), 'inProgress');
  await assert.rejects(world.giveUp(job, 'reading'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'its agent is there');
  await world.givesUp(job, 'slough');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'failed');
  assert.deepEqual(await failuresOf(world, job), ['ERR_SITE_GIVEN_UP']);
  assert.deepEqual(await promises(world), []);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
  await world.finishes();
});

test('or it is cancelled: what the dead site would have to undo is given up, and the job ends', async () => {
  const { world, job } = await seeding();
  world.goesDark('slough');
  await world.clock.advance(LONG_MS);
  await world.cancel(job);
  await world.until('the primary is clean', async () => (await viewOf(world, 'reading', 'vm-1')) === 'running none/disabled');
  await world.givesUp(job, 'slough');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  assert.deepEqual(await promises(world), []);
  await world.finishes();
});

test('the primary site dies under the first copy and is given up: protecting anew tells at once what stands there, and works when it is cleaned', async () => {
  const { world, job } = await seeding();
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await world.givesUp(job, 'reading');
  await world.settles(job);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'none');
  world.returns('reading');
  await world.everythingIsBack();
  await world.clock.advance(60_000);
  const anew = await world.protect();
  assert.deepEqual([await stateOf(world, anew), await failuresOf(world, anew)], ['failed', ['ERR_WRONG_STATE']], 'it still sends');
  await endsReplication(world, 'reading', refOf(world, 'reading', 'vm-1').vmId);
  assert.equal(await stateOf(world, await world.protect()), 'succeeded');
  await world.finishes();
});

test('the former primary dies while what differs is sent to it: the wait is cancelled, and the VM unprotected by force', async () => {
  const { world, job } = await reversing();
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  assert.deepEqual(await promises(world), ['seeding from recovery'], 'nothing was taken back');
  const end = await forced(world);
  await world.until('the VM is clean where it runs', async () => (await viewOf(world, 'slough', 'vm-1')) === 'running none/disabled');
  assert.deepEqual(await promises(world), []);
  await world.givesUp(end, 'reading');
  await world.settles(end);
  assert.equal(await stateOf(world, end), 'parked', 'what is left at the dead site');
  await world.finishes();
});

test('or it is given up first: the job then waits for a person, whose cancel ends it', async () => {
  const { world, job } = await reversing();
  await world.givesUp(job, 'reading');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  const end = await forced(world);
  await world.clock.advance(10_000);
  assert.deepEqual(await promises(world), []);
  world.returns('reading');
  await world.settles(end);
  assert.equal(await stateOf(world, end), 'succeeded', 'what was left there is done when it is back after all');
  await world.finishes();
});

test('when the former primary is back after the wait was cancelled, resynchronizing goes on with what is on its way', async () => {
  const { world, job } = await reversing();
  await world.cancel(job);
  await world.settles(job);
  world.returns('reading');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.deepEqual(await promises(world), ['protected from recovery']);
  await world.finishes();
});

test('a move whose copying is cancelled leaves the old copy where it is, since the new one is not complete', async () => {
  const clouds = (...names: string[]) => names.map((name) => ({ name, vms: name === 'Gold' ? 1 : 0 }));
  const world = await World.make({
    sites: { reading: clouds('Gold'), slough: clouds('Silver', 'Copper') },
    extra: 'replication: { bandwidth: 20 MB/s }',
  });
  await world.pair();
  await world.pair('reading/Gold', 'slough/Copper');
  await world.protect([0], 'reading/Gold', 'slough/Silver');
  const job = await world.ask(await world.moveRequest());
  await world.until('the copying has begun', async () => (await promises(world))[0] === 'seeding from primary');
  await world.clock.advance(3_000);
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  assert.match(await viewOf(world, 'slough', 'vm-1'), /^off /, 'the complete copy, at Silver');
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded', 'the new one is completed when it is wanted after all');
  await world.finishes();
});
