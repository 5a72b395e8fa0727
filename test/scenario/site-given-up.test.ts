/** A site dies in the middle of a job, as sentences: the job waits for it, until a person says that it will not come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

const slow = 'timings: { stopVm: { median: 40 s }, startFailover: { median: 40 s } }';
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} ${vm.activeLocation}`);

test('the primary site dies while its guests are shut down for a planned failover: it is given up, and they are failed over all the same', async () => {
  const world = await protectedWorld({ vms: 2, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  await assert.rejects(world.giveUp(planned, 'reading'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'its agent is there');
  world.goesDark('reading');
  await world.clock.advance(3_600_000);
  assert.equal(await stateOf(world, planned), 'inProgress', 'it waits');
  await assert.rejects(world.failOver(), { code: 'ERR_VM_BUSY' });

  await world.giveUp(planned, 'reading');
  await world.settles(planned);
  assert.equal(await stateOf(world, planned), 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary', 'interrupted primary']);
  const facts = (await world.job(planned))?.facts ?? [];
  assert.deepEqual(
    facts.flatMap((fact) => (fact.type === 'givenUp' ? [`${fact.by}: ${fact.reason}`] : [])),
    ['operator: it will not come back'],
  );
  assert.equal(await stateOf(world, await world.failOver()), 'succeeded');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  await world.finishes();
});

test('what the site had in hand when it was given up changes nothing when it is back', async () => {
  const world = await protectedWorld({ vms: 1, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await world.giveUp(planned, 'reading');
  await world.settles(planned);
  await world.clock.advance(60_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating', 'the agent went on alone, as far as a dark site lets it');
  world.returns('reading');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, planned), 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary']);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'and it can be asked for again');
  await world.finishes();
});

test('past the point of no return a step of a site that was given up waits for a person, and can be tried again when the site is back', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startVm: { median: 20 s } }' });
  await world.failOverAsPlanned();
  const back = await world.ask(await world.requestFor('takeBack'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(120_000);
  await world.giveUp(back, 'reading');
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'parked');
  await assert.rejects(world.giveUp(back, 'reading'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'nothing waits for it any more');
  world.returns('reading');
  await world.everythingIsBack();
  const [vm] = await world.protectedVms();
  await world.decide(back, `start/${vm?.id}`, 'retry');
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual(await promises(world), ['protected primary']);
  await world.finishes();
});

test('a site that was given up stays given up when the control plane is killed right after', async () => {
  const world = await protectedWorld({ vms: 2, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await world.giveUp(planned, 'reading');
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  await world.until('the job ends', async () => (await stateOf(world, planned)) === 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary', 'interrupted primary']);
  await world.finishes();
});
