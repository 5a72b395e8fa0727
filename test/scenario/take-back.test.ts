/** Taking a failover back as sentences: one side goes off before the other goes on, and whoever cannot wait for that decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { SiteName, World } from '../support/world.ts';
import { refOf } from '../support/world-views.ts';

const viewOf = async (world: World, site: SiteName) => {
  const vm = await world.site(site).fabric.findVm(refOf(world, site, 'vm-1'));
  return vm === null ? 'none' : `${vm.power} ${vm.replication.state}, epoch ${vm.epoch}`;
};
const promiseOf = async (world: World) => {
  const [vm] = await world.protectedVms();
  return [vm?.phase, vm?.activeLocation, vm?.epoch];
};

test('a planned failover is taken back: off there, on here, under a newer decision, and it can be failed over again', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.takeBack();
  assert.equal(await viewOf(world, 'reading'), 'running replicating, epoch 2');
  assert.equal(await viewOf(world, 'slough'), 'off replicating, epoch 1');
  assert.deepEqual(await promiseOf(world), ['protected', 'primary', 2]);
  await world.clock.advance(65_000);
  await world.failOverAsPlanned();
  assert.deepEqual(await promiseOf(world), ['failedOver', 'recovery', 3]);
  await world.finishes();
});

test('whoever depends on another starts after it at home too', async () => {
  const world = await protectedWorld({ vms: 2, extra: 'timings: { startVm: { median: 3 s } }' });
  const plan = await world.plan([['vm-1', 'vm-2']], { 'vm-1': ['vm-2'] });
  await world.failOverAsPlanned(plan);
  await world.takeBack(plan);
  const names = new Map(world.definition('reading').vms.map(({ id, name }) => [id as string, name]));
  const starts = world
    .site('reading')
    .fabric.powerLog()
    .filter(({ cause }) => cause === 'startVm');
  assert.deepEqual(
    starts.map(({ vmId }) => names.get(vmId)),
    ['vm-2', 'vm-1'],
  );
  await world.finishes();
});

test('an unplanned failover is taken back when the primary is there again and its VM still runs', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await world.failOver();
  await assert.rejects(world.takeBack(), { code: 'ERR_AGENT_OFFLINE' });
  world.returns('reading');
  await world.everythingIsBack();
  await world.takeBack();
  assert.equal(await viewOf(world, 'reading'), 'running replicating, epoch 2');
  assert.equal(await viewOf(world, 'slough'), 'off replicating, epoch 1');
  assert.deepEqual(await promiseOf(world), ['protected', 'primary', 2]);
  await world.finishes();
});

test('where the VM cannot be switched off at the recovery site it is never started at the primary, whatever a person skips', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'stopFailover', times: 1_000 });
  const request = await world.requestFor('takeBack');
  const job = await world.ask(request);
  await world.settles(job);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal((await world.job(job))?.job.state, 'parked');
  const [vm] = await world.protectedVms();
  await world.decide(job, `take-back/${vm?.id}`, 'skip');
  await world.settles(job);
  assert.equal((await world.job(job))?.job.state, 'failed');
  assert.equal(await viewOf(world, 'slough'), 'running failedOverWaitingCompletion, epoch 1');
  assert.equal(await viewOf(world, 'reading'), 'off preparedForFailover, epoch 0');
  assert.deepEqual(await promiseOf(world), ['failedOver', 'recovery', 2]);
  await world.finishes();
});

test('what is committed or was never failed over is not taken back', async () => {
  const world = await protectedWorld({ vms: 1 });
  await assert.rejects(world.takeBack(), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await world.failOverAsPlanned();
  await world.commit();
  await assert.rejects(world.takeBack(), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await world.finishes();
});
