/** An unplanned failover as sentences: what it needs, in which order it starts, and how a run that is stuck is led out of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

const starts = (world: World) =>
  world
    .site('slough')
    .fabric.powerLog()
    .filter(({ cause }) => cause === 'startVm')
    .map(({ vmId }) => world.definition('reading').vms.find(({ id }) => id === vmId)?.name);
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.name} ${vm.phase} ${vm.activeLocation}`);

test('with the primary site dead, VMs start group by group at the recovery site, and nothing is asked of the dead one', async () => {
  const world = await protectedWorld({ vms: 3, extra: 'timings: { startVm: { median: 3 s } }' });
  world.goesDark('reading');
  const job = await world.failOver(await world.plan([['vm-3'], ['vm-1'], ['vm-2']]));
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(starts(world), ['vm-3', 'vm-1', 'vm-2']);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery', 'vm-2 failedOver recovery', 'vm-3 failedOver recovery']);
  await world.finishes();
});

test('a member that cannot be failed over is taken back and told; the others go on', async () => {
  const world = await protectedWorld({ vms: 2 });
  world.goesDark('reading');
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startFailover', vm: 'vm-1', times: 3 });
  const job = await world.failOver(await world.plan([['vm-1'], ['vm-2']]));
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  assert.deepEqual(await promises(world), ['vm-1 protected primary', 'vm-2 failedOver recovery']);
  await world.finishes();
});

test('a second run that wants the same VM is refused, and told which job has it', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startVm: { median: 30 s } }' });
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const first = await world.ask(await world.requestFor('unplannedFailover'));
  const refusal = await world.ask(await world.requestFor('unplannedFailover')).catch((thrown: { code: string; message: string }) => thrown);
  assert.ok(typeof refusal === 'object');
  assert.equal(refusal.code, 'ERR_VM_BUSY');
  assert.match(JSON.stringify(refusal) + refusal.message, new RegExp(first));
  await world.settles(first);
  await world.finishes();
});

test('a plan leaves out whom another run has moved already, and says so', async () => {
  const world = await protectedWorld({ vms: 2 });
  const [first] = await world.protectedVms();
  assert.ok(first);
  world.goesDark('reading');
  await world.failOver({ vms: [first.id] });
  const job = await world.failOver(await world.plan([['vm-1', 'vm-2']]));
  assert.equal(await stateOf(world, job), 'succeeded');
  const stored = await world.job(job);
  assert.ok(stored);
  const { skipped } = stored.job.input as { skipped: { name: string; reason: string }[] };
  assert.deepEqual(
    skipped.map(({ name }) => name),
    ['vm-1'],
  );
  assert.deepEqual(starts(world), ['vm-1', 'vm-2'], 'nobody was started twice');
  await world.finishes();
});

test('cancelled before anything has started, all is taken back; after that what runs is left running', async () => {
  const world = await protectedWorld({ vms: 2, extra: 'timings: { startFailover: { median: 10 s }, startVm: { median: 10 s } }' });
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const early = await world.ask(await world.requestFor('unplannedFailover'));
  await world.clock.advance(5_000);
  await world.cancel(early);
  await world.settles(early);
  assert.equal(await stateOf(world, early), 'cancelled');
  assert.deepEqual(await promises(world), ['vm-1 protected primary', 'vm-2 protected primary']);
  const late = await world.ask(await world.requestFor('unplannedFailover', await world.plan([['vm-1'], ['vm-2']])));
  const { fabric } = world.site('slough');
  await world.until('the first one is being started', () => fabric.taskLog().some(({ operation }) => operation === 'startVm'));
  await world.cancel(late);
  await world.settles(late);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery', 'vm-2 protected primary']);
  await world.finishes();
});

test('a run that is parked is led out of: tried again, or left as it is and taken back', async () => {
  const world = await protectedWorld({ vms: 2 });
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'startVm', vm: 'vm-1', times: 1_000 });
  const job = await world.ask(await world.requestFor('plannedFailover'));
  await world.settles(job);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'parked');
  const stuck = (await world.protectedVms()).find(({ name }) => name === 'vm-1');
  await world.decide(job, `start/${stuck?.id}`, 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked', 'the cause is still there');
  await world.decide(job, `start/${stuck?.id}`, 'skip');
  await world.settles(job);
  faults.lift(fault);
  assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
  assert.deepEqual(await promises(world), ['vm-1 protected primary', 'vm-2 protected primary']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});
