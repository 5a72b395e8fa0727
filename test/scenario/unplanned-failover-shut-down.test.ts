/** Shutting down what still runs before an unplanned failover, as sentences: tried where it can be, for so long, and never needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { siteIdOf, vaultId } from '../support/world-core.ts';
import { failuresOf, refOf, stateOf, viewOf } from '../support/world-views.ts';

async function failOver(world: World, withinSeconds: number): Promise<JobId> {
  const request = { ...(await world.requestFor('unplannedFailover')), shutDownWithinSeconds: withinSeconds };
  const id = await world.ask(request as never);
  await world.settles(id);
  return id;
}

test('what still runs is shut down and its last changes are sent, so nothing is lost and only one copy runs', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.clock.advance(20_000);
  assert.equal(await stateOf(world, await failOver(world, 120)), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/preparedForFailover');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  const written = world.site('reading').fabric.measureReplication(refOf(world, 'reading', 'vm-1'))?.writtenBytes;
  assert.equal(world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'))[0]?.writtenBytes, written);
  await world.finishes();
});

test('a guest that does not go down in time is left, and the failover goes on', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { stopVm: { median: 10 min } }' });
  const began = world.clock.now();
  const job = await failOver(world, 30);
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  const failed = (await world.job(job))?.facts.flatMap((fact) => (fact.type === 'failed' ? [[fact.error.code, fact.at - began]] : []));
  assert.deepEqual(failed, [['ERR_TIME_LIMIT', 30_000]]);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  await world.finishes();
});

test('the time limit holds across a restart of the control plane, and when the line is cut after the command was sent', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { stopVm: { median: 10 min } }' });
  const began = world.clock.now();
  const id = await world.ask({ ...(await world.requestFor('unplannedFailover')), shutDownWithinSeconds: 60 } as never);
  await world.clock.advance(20_000);
  world.goesDark('reading');
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  await world.until('it ends', async () => (await stateOf(world, id)) === 'completedWithFailures', 300_000);
  const failed = (await world.job(id))?.facts.flatMap((fact) => (fact.type === 'failed' ? [fact.at - began] : []));
  assert.deepEqual(failed, [60_000]);
  await world.finishes();
});

test('a failover that fails lets a VM that it shut down run again', async () => {
  const world = await protectedWorld({ vms: 1 });
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startFailover', times: 3 });
  assert.equal(await stateOf(world, await failOver(world, 120)), 'failed');
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});

test('a site that is unreachable is asked nothing', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const job = await failOver(world, 120);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.ok((await world.graph(job)).steps.every(({ id }) => !id.startsWith('shut-down/')));
  await world.finishes();
});

test('a VM that was off, though the inventory had not told yet, stays off when the failover is taken back', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { stopVm: { median: 1 s } }' });
  const off = world.site('reading').fabric.stopVm(refOf(world, 'reading', 'vm-1'), { commandId: 'by-hand', epoch: 0 } as never);
  await world.clock.advance(1_200);
  await off;
  const seen = await world.controlPlane.store.observations.vms(vaultId, {});
  assert.equal(seen.find(({ siteId }) => siteId === siteIdOf('reading'))?.report.power, 'running', 'the inventory is old');
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startFailover', times: 3, when: 'beforeEffect' });
  assert.equal(await stateOf(world, await failOver(world, 120)), 'failed');
  assert.equal(faults.fired().length, 3, 'the faults happened');
  await world.clock.advance(60_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating');
  await world.isOver();
});

test('where the primary site falls silent before it was looked at, nothing is shut down, and the failover goes on', async () => {
  const world = await protectedWorld({ vms: 1 });
  const request = { ...(await world.requestFor('unplannedFailover')), shutDownWithinSeconds: 120 };
  world.deliver.toAgent = 0;
  const job = await world.ask(request as never);
  world.goesDark('reading');
  world.deliver.toAgent = 1;
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  assert.deepEqual(await failuresOf(world, job), ['ERR_TIME_LIMIT', 'ERR_PREDECESSOR_FAILED']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});
