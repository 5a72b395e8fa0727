/** Drills as sentences: test copies run where nobody reaches them, production does not notice, and nothing of them is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import { type CloudId, JobId, type VmRef } from '../../shared/ids.ts';
import { aDrillOnAnOpenNetworkStartsNothing, protectedWorld } from '../support/planted-scenarios.ts';
import type { SiteName, World } from '../support/world.ts';
import { siteIdOf } from '../support/world-core.ts';
import { failuresOf, stateOf } from '../support/world-views.ts';

const recoveryOf = (world: World): SimulatedSite => world.site('slough').fabric;
const refOf = (world: World, site: SiteName, index = 0): VmRef => ({
  cloudId: world.definition(site).clouds[0]?.id as CloudId,
  vmId: world.definition('reading').vms[index]?.id as never,
});
const copiesAt = (world: World) => [...recoveryOf(world).testCopies().values()].map(({ name, power }) => `${name} ${power}`);
/** What production is made of; only the newest recovery point may have moved on. */
async function production(world: World) {
  return Promise.all(
    (['reading', 'slough'] as const).map(async (site) => {
      const vm = await world.site(site).fabric.findVm(refOf(world, site));
      return vm && { ...vm, replication: { ...vm.replication, lastPointAt: null } };
    }),
  );
}

test('test copies run isolated, in the order of the plan, with the addresses of a failover, and production does not notice', async () => {
  const world = await protectedWorld({ extra: 'timings: { guestStart: { median: 10 s, spread: 0 } }' });
  const before = await production(world);
  const drill = await world.drill(await world.plan([['vm-2'], ['vm-1']]));
  assert.equal(await stateOf(world, drill), 'succeeded');
  assert.deepEqual(copiesAt(world).sort(), ['vm-1 - Test running', 'vm-2 - Test running']);

  const replica = refOf(world, 'slough');
  const copy = await recoveryOf(world).findTestCopy(replica);
  const bubble = world.definition('slough').networks.find(({ isIsolated }) => isIsolated)?.id;
  assert.deepEqual(copy?.networkIds, [bubble]);
  assert.notEqual(copy?.ref.vmId, replica.vmId, 'it is a VM of its own');
  const planned = recoveryOf(world).adapters(replica)[0]?.planned?.address;
  assert.ok(planned);
  assert.equal(recoveryOf(world).adapters(copy?.ref as VmRef)[0]?.connected?.address, planned);
  const starts = recoveryOf(world).powerLog();
  assert.deepEqual(
    starts.map(({ vmId, cause }) => `${vmId === copy?.ref.vmId ? 'vm-1' : 'vm-2'} ${cause}`),
    ['vm-2 startTestVm', 'vm-1 startTestVm'],
  );
  assert.ok((starts[1]?.at ?? 0) - (starts[0]?.at ?? 0) >= 10_000, 'the second group waited for the guest of the first');

  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.activeLocation, vm?.epoch, vm?.busyWith, vm?.drill], ['protected', 'primary', 0, null, drill]);
  assert.deepEqual(await production(world), before);
  await world.cleanUp(drill);
  assert.deepEqual(copiesAt(world), []);
  assert.equal((await world.protectedVms())[0]?.drill, null);
  assert.deepEqual(await production(world), before);
  await world.finishes();
});

test('replication goes on while the copies run, and they stay what they were made from', async () => {
  const world = await protectedWorld({ vms: 1 });
  const [replica, primary] = [refOf(world, 'slough'), refOf(world, 'reading')];
  const newest = recoveryOf(world).pointsWithContent(replica)[0];
  await world.drill();
  for (let minute = 0; minute < 60; minute++) {
    await world.clock.advance(60_000);
    const { lagMs } = world.site('reading').fabric.measureReplication(primary) ?? {};
    assert.ok(lagMs !== null && lagMs !== undefined && lagMs <= 31_000, `the RPO is kept: ${lagMs} ms`);
  }
  const copy = await recoveryOf(world).findTestCopy(replica);
  assert.equal(copy?.recoveryPoint.id, newest?.id);
  assert.notEqual(recoveryOf(world).pointsWithContent(replica)[0]?.id, newest?.id, 'the latest point has moved on');
  await world.finishes();
});

test('the copies are in no inventory, so nothing can be done with them but by the drill', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.drill();
  await world.clock.advance(60_000);
  const copy = await recoveryOf(world).findTestCopy(refOf(world, 'slough'));
  const inventory = await recoveryOf(world).readInventory(null);
  assert.deepEqual(
    inventory.vms.map(({ name }) => name),
    ['vm-1'],
  );
  const seen = await world.controlPlane.store.observations.vms((await world.protectedVms())[0]?.vaultId as never);
  assert.ok(seen.every(({ report }) => report.ref.vmId !== copy?.ref.vmId));
  await world.finishes();
});

test('a member that fails is cleaned up and leaves nothing, and the others run', async () => {
  const world = await protectedWorld();
  const before = await production(world);
  recoveryOf(world).faults.order({ kind: 'fails', operation: 'startTestVm', vm: 'vm-1', times: 1_000 });
  const drill = await world.drill(await world.plan([['vm-1', 'vm-2']]));
  assert.ok(recoveryOf(world).faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, drill), 'completedWithFailures');
  assert.deepEqual(copiesAt(world), ['vm-2 - Test running']);
  assert.deepEqual(
    (await world.protectedVms()).map(({ drill: left }) => left),
    [null, drill],
  );
  assert.deepEqual(await production(world), before);
  await world.finishes();
});

test('the copy of a member that failed stays to be looked at where that was asked for, until the clean-up', async () => {
  const world = await protectedWorld({ vms: 1 });
  recoveryOf(world).faults.order({ kind: 'fails', operation: 'startTestVm', times: 1_000 });
  const request = await world.requestFor('testFailover');
  const drill = await world.ask({ ...request, keepFailed: true } as never);
  await world.settles(drill);
  assert.ok(recoveryOf(world).faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, drill), 'failed');
  assert.deepEqual(copiesAt(world), ['vm-1 - Test off']);
  assert.equal((await world.protectedVms())[0]?.drill, drill);
  assert.equal(await stateOf(world, await world.cleanUp(drill, 'failed')), 'succeeded');
  assert.deepEqual(copiesAt(world), []);
  await world.finishes();
});

test('who depends on another starts after it, also when that did not come up: a drill is there to find out', async () => {
  const world = await protectedWorld();
  recoveryOf(world).faults.order({ kind: 'fails', operation: 'startTestVm', vm: 'vm-1', times: 1_000 });
  const drill = await world.drill(await world.plan([['vm-1', 'vm-2']], { 'vm-2': ['vm-1'] }));
  assert.ok(recoveryOf(world).faults.fired().length > 0, 'the fault happened');
  const facts = (await world.job(drill))?.facts ?? [];
  const [first, second] = (await world.protectedVms()).map(({ id }) => `start/${id}`);
  const failedAt = facts.findLastIndex((fact) => fact.type === 'failed' && fact.step === first);
  const startedAt = facts.findIndex((fact) => fact.type === 'started' && fact.step === second);
  assert.ok(failedAt >= 0 && startedAt > failedAt);
  assert.deepEqual(copiesAt(world), ['vm-2 - Test running']);
  await world.finishes();
});

test('on a network that leads somewhere nothing is started: the site looks itself', aDrillOnAnOpenNetworkStartsNothing);

test('a network of production is refused before anything is done, and so is a site without one', async () => {
  const world = await protectedWorld({ vms: 1 });
  const request = await world.requestFor('testFailover');
  const lan = world.definition('slough').networks[0]?.id;
  const on = (siteId: unknown, networkId: unknown) =>
    world.ask({ ...request, id: world.newJobId(), network: { use: 'isolated', networks: [{ siteId, networkId }] } } as never);
  await assert.rejects(on(siteIdOf('slough'), lan), { code: 'ERR_NETWORK_NOT_ISOLATED' });
  await assert.rejects(on(siteIdOf('slough'), refOf(world, 'slough').vmId), { code: 'ERR_NETWORK_NOT_FOUND' });
  await assert.rejects(on(siteIdOf('reading'), world.definition('reading').networks[2]?.id), { code: 'ERR_REQUEST_INVALID' });
  await world.finishes();
});

test('without a network the copies run unconnected', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.ask({ ...(await world.requestFor('testFailover')), network: { use: 'none' } } as never);
  await world.settles(drill);
  assert.equal(await stateOf(world, drill), 'succeeded');
  const copy = await recoveryOf(world).findTestCopy(refOf(world, 'slough'));
  assert.deepEqual([copy?.power, copy?.networkIds], ['running', []]);
  await world.finishes();
});

test('a real failover says what becomes of the copies; those that are left are cleaned up later, and the VM runs on', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  world.goesDark('reading');
  await world.clock.advance(11_000);
  const request = await world.requestFor('unplannedFailover');
  await assert.rejects(world.ask(request), { code: 'ERR_DRILL_COPIES' });
  const failover = await world.ask({ ...request, id: world.newJobId(), drillCopies: 'leave' } as never);
  await world.settles(failover);
  assert.equal(await stateOf(world, failover), 'succeeded');
  assert.deepEqual(copiesAt(world), ['vm-1 - Test running']);
  await assert.rejects(world.commit(), { code: 'ERR_OPERATION_NOT_ALLOWED' });

  assert.equal(await stateOf(world, await world.cleanUp(drill)), 'succeeded');
  assert.deepEqual(copiesAt(world), []);
  const vm = await recoveryOf(world).findVm(refOf(world, 'slough'));
  assert.deepEqual([vm?.power, vm?.replication.state, vm?.epoch], ['running', 'failedOverWaitingCompletion', 1]);
  world.returns('reading');
  await world.finishes();
});

test('while a copy is there nothing but a failover and the clean-up may start, and a second drill neither', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  for (const kind of ['testFailover', 'unprotect'] as const)
    await assert.rejects(
      world.requestFor(kind).then((request) => world.ask(request)),
      { code: 'ERR_OPERATION_NOT_ALLOWED' },
    );
  await world.cleanUp(drill);
  await assert.rejects(world.cleanUp(drill), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await assert.rejects(world.cleanUp(JobId.parse(world.newJobId())), { code: 'ERR_NOT_FOUND' });
  assert.equal(await stateOf(world, await world.drill()), 'succeeded', 'and then again');
  await world.finishes();
});

test('a clean-up that cannot be done now holds no VM, and is done again', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  const { faults } = recoveryOf(world);
  const fault = faults.order({ kind: 'fails', operation: 'stopTestFailover', times: 1_000 });
  const first = await world.cleanUp(drill);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.deepEqual([await stateOf(world, first), await failuresOf(world, first)], ['failed', Array(3).fill('ERR_FABRIC_FAILED')]);
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.busyWith, vm?.drill], [null, drill]);
  faults.lift(fault);
  assert.equal(await stateOf(world, await world.cleanUp(drill)), 'succeeded');
  assert.deepEqual(copiesAt(world), []);
  await world.finishes();
});

test('a drill whose copy could not be removed is not forgotten when a person skips that', async () => {
  const world = await protectedWorld({ vms: 1 });
  const { faults } = recoveryOf(world);
  const ordered = (['startTestVm', 'stopTestFailover'] as const).map((operation) =>
    faults.order({ kind: 'fails', operation, times: 1_000 }),
  );
  const drill = await world.ask(await world.requestFor('testFailover'));
  await world.settles(drill);
  assert.equal(new Set(faults.fired().map(({ operation }) => operation)).size, 2, 'both faults happened');
  assert.equal(await stateOf(world, drill), 'parked');
  await world.decide(drill, `copy/${(await world.protectedVms())[0]?.id}`, 'skip');
  await world.settles(drill);
  assert.deepEqual([await stateOf(world, drill), copiesAt(world)], ['failed', ['vm-1 - Test off']]);
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.busyWith, vm?.drill], [null, drill]);
  for (const id of ordered) faults.lift(id);
  await world.cleanUp(drill, 'failed');
  assert.deepEqual(copiesAt(world), []);
  await world.finishes();
});

test('when the host of the copies dies their replicas are as a dead host leaves them, and the copies can still be cleaned up', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  const replica = refOf(world, 'slough');
  const copyId = (await recoveryOf(world).findTestCopy(replica))?.ref.vmId;
  for (const host of [1, 2]) world.hostDies('slough', host);
  await world.clock.advance(5_000);
  const off = recoveryOf(world).powerLog().at(-1);
  assert.deepEqual([off?.vmId, off?.change, off?.cause], [copyId, 'off', 'hostDies']);
  for (const host of [1, 2]) world.hostReturns('slough', host);
  await world.clock.advance(60_000);
  const vm = await recoveryOf(world).findVm(replica);
  assert.deepEqual([vm?.power, vm?.replication.state, vm?.replication.health], ['off', 'replicating', 'normal']);
  assert.deepEqual(copiesAt(world), ['vm-1 - Test off']);
  assert.equal(await stateOf(world, await world.cleanUp(drill)), 'succeeded');
  await world.finishes();
});

test('a control plane that was put back to before the drill does not know of the copy; it goes with the replica', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.backUp();
  await world.drill();
  await world.controlPlaneIsRestoredFromBackup();
  const job = await world.unprotect();
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(copiesAt(world), []);
  assert.equal(await recoveryOf(world).findVm(refOf(world, 'slough')), null);
  await world.finishes();
});

test('after a reversal a drill is held at the site that holds the replica now, and is cleaned up there', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.commit();
  await world.reverseReplication();
  await world.clock.advance(65_000);
  const networkId = world.definition('reading').networks.find(({ isIsolated }) => isIsolated)?.id;
  const drill = await world.drill();
  assert.equal(await stateOf(world, drill), 'succeeded');
  const copy = await world.site('reading').fabric.findTestCopy(refOf(world, 'reading'));
  assert.deepEqual([copy?.power, copy?.networkIds], ['running', [networkId]]);
  assert.equal((await recoveryOf(world).findVm(refOf(world, 'slough')))?.power, 'running', 'production runs on');
  await world.cleanUp(drill);
  assert.equal(await world.site('reading').fabric.findTestCopy(refOf(world, 'reading')), null);
  await world.finishes();
});
