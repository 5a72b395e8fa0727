/** A planned failover as sentences: what moves, in which order, what is lost (nothing), and how an application stays whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildReport } from '../../control-plane/reports/report.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

/** `down` or `up`, with the name of the VM, in the order it happened. */
function powerOrder(world: World): string[] {
  return (['reading', 'slough'] as const)
    .flatMap((site) => world.site(site).fabric.powerLog())
    .filter(({ cause }) => cause === 'stopVm' || cause === 'startVm')
    .sort((a, b) => a.at - b.at)
    .map(({ change, vmId }) => `${change} ${world.definition('reading').vms.find(({ id }) => id === vmId)?.name}`);
}

test('guests go down in reverse order of their start, come up group by group at the other side, and nothing is lost', async () => {
  const world = await protectedWorld({ vms: 2, extra: 'timings: { stopVm: { median: 4 s }, startVm: { median: 3 s } }' });
  const job = await world.failOverAsPlanned(await world.plan([['vm-1'], ['vm-2']]));

  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(powerOrder(world), ['off vm-2', 'off vm-1', 'on vm-1', 'on vm-2']);
  for (const name of ['vm-1', 'vm-2']) {
    assert.equal(await viewOf(world, 'reading', name), 'off primary/preparedForFailover');
    assert.equal(await viewOf(world, 'slough', name), 'running replica/failedOverWaitingCompletion');
    const written = world.site('reading').fabric.measureReplication(refOf(world, 'reading', name));
    const [point] = world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', name));
    assert.equal(point?.writtenBytes, written?.writtenBytes, 'every byte that the guest wrote has arrived');
  }
  for (const vm of await world.protectedVms()) assert.deepEqual([vm.phase, vm.activeLocation, vm.epoch], ['failedOver', 'recovery', 1]);
  const stored = await world.job(job);
  assert.ok(stored);
  const facts = stored.facts.map((fact, index) => ({ seq: index + 1, fact }));
  const report = buildReport({ job: stored.job, graph: await world.graph(job), facts, names: new Map() });
  assert.deepEqual([report.rpoFrom, report.total.rpoSeconds], ['shutdown', 0]);
  await world.commit();
  await world.finishes();
});

test('whoever depends on another goes down before it and comes up after it, also within one group', async () => {
  const world = await protectedWorld({ vms: 3, extra: 'timings: { stopVm: { median: 4 s }, startVm: { median: 3 s } }' });
  const job = await world.failOverAsPlanned(await world.plan([['vm-1', 'vm-2', 'vm-3']], { 'vm-1': ['vm-2'], 'vm-2': ['vm-3'] }));
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(powerOrder(world), ['off vm-1', 'off vm-2', 'off vm-3', 'on vm-3', 'on vm-2', 'on vm-1']);
  await world.finishes();
});

test('where one cannot start at the other side, whoever depends on it waits for the person too', async () => {
  const world = await protectedWorld({ vms: 2 });
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'startVm', vm: refOf(world, 'slough', 'vm-2').vmId, times: 100 });
  const request = await world.requestFor('plannedFailover', await world.plan([['vm-1', 'vm-2']], { 'vm-1': ['vm-2'] }));
  const job = await world.ask(request);
  await world.settles(job);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(
    powerOrder(world).filter((change) => change.startsWith('on')),
    [],
  );
  faults.lift(fault);
  const needed = (await world.protectedVms()).find(({ name }) => name === 'vm-2');
  await world.decide(job, `start/${needed?.id}`, 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(powerOrder(world).slice(-2), ['on vm-2', 'on vm-1']);
  await world.finishes();
});

test('one member that cannot be moved keeps the whole application at the primary, and it runs there again', async () => {
  const world = await protectedWorld({ vms: 3 });
  const broken = refOf(world, 'slough', 'vm-2');
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startFailover', vm: broken.vmId, times: 100 });
  const job = await world.failOverAsPlanned(await world.plan([['vm-1'], ['vm-2'], ['vm-3']]));

  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'failed');
  for (const name of ['vm-1', 'vm-2', 'vm-3']) {
    assert.equal(await viewOf(world, 'reading', name), 'running primary/replicating');
    assert.equal(await viewOf(world, 'slough', name), 'off replica/replicating');
  }
  for (const vm of await world.protectedVms()) assert.deepEqual([vm.phase, vm.activeLocation], ['protected', 'primary']);
  await world.finishes();
});

test('once the first VM has started at the other side nothing is taken back: what fails waits for a person', async () => {
  const world = await protectedWorld({ vms: 2 });
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'startVm', vm: refOf(world, 'slough', 'vm-2').vmId, times: 100 });
  const request = await world.requestFor('plannedFailover', await world.plan([['vm-1'], ['vm-2']]));
  const job = await world.ask(request);
  await world.settles(job);

  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'parked');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  faults.lift(fault);
  const second = (await world.protectedVms()).find(({ name }) => name === 'vm-2');
  await world.decide(job, `start/${second?.id}`, 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});

test('a VM that was off stays off when the failover is taken back', async () => {
  const world = await protectedWorld({ vms: 2 });
  const idle = refOf(world, 'reading', 'vm-1');
  await world.site('reading').fabric.stopVm(idle, { commandId: 'by hand' as never, epoch: 0 });
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startFailover', vm: idle.vmId, times: 100 });
  const job = await world.failOverAsPlanned();
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'failed');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating');
  assert.equal(await viewOf(world, 'reading', 'vm-2'), 'running primary/replicating');
  await world.isOver();
});

test('it needs both sites: with one of them dark nothing is begun', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await assert.rejects(world.failOverAsPlanned(), { code: 'ERR_AGENT_OFFLINE' });
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  await world.finishes();
});

test('VMs of two groups that could not be started, and are tried again at once, start in the order of their groups', async () => {
  const world = await protectedWorld({ vms: 2, extra: 'timings: { startVm: { median: 20 s } }' });
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'startVm', times: 6, when: 'beforeEffect' });
  const job = await world.ask(await world.requestFor('plannedFailover', await world.plan([['vm-1'], ['vm-2']])));
  await world.settles(job);
  assert.equal(faults.fired().length, 6, 'the faults happened');
  const [first, second] = (await world.protectedVms()).map(({ id }) => `start/${id}`);
  await Promise.all([first, second].map((step) => world.decide(job, step as string, 'retry')));
  await world.settles(job);
  const facts = (await world.job(job))?.facts.slice(-20) ?? [];
  const last = facts.flatMap((fact) => ('step' in fact && ['started', 'done'].includes(fact.type) ? [`${fact.type} ${fact.step}`] : []));
  assert.deepEqual(last.slice(-4), [`started ${first}`, `done ${first}`, `started ${second}`, `done ${second}`]);
  await world.finishes();
});
