/** The way back as sentences: replication is turned round after a failover, the VM fails back, and it is as it was at first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { aFailoverAfterAReversalLeadsBack, protectedWorld } from '../support/planted-scenarios.ts';
import type { SiteName, World } from '../support/world.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

const view = (world: World, site: SiteName) => viewOf(world, site, 'vm-1');
const promiseOf = async (world: World) => {
  const [vm] = await world.protectedVms();
  return [vm?.phase, vm?.activeLocation, vm?.replicatesFrom];
};
const adaptersAt = (world: World, site: SiteName) => world.site(site).fabric.adapters(refOf(world, site, 'vm-1'));
const copies = (world: World) =>
  (['reading', 'slough'] as const).flatMap((site) =>
    world
      .site(site)
      .fabric.taskLog()
      .filter(({ operation, hadEffect }) => hadEffect && (operation === 'startInitialReplication' || operation === 'becomeReplica'))
      .map(({ operation }) => `${operation} at ${site}`),
  );

test('after a planned failover the sides swap roles, nothing is copied, and the old primary takes the changes', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.commit();
  const copied = copies(world).length;
  const job = await world.reverseReplication();
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await promiseOf(world), ['protected', 'recovery', 'recovery']);
  assert.equal(await view(world, 'slough'), 'running primary/replicating');
  assert.equal(await view(world, 'reading'), 'off replica/replicating');
  assert.equal(copies(world).length, copied, 'no copy was begun');
  await world.clock.advance(65_000);
  const [point] = world.site('reading').fabric.pointsWithContent(refOf(world, 'reading', 'vm-1'));
  assert.ok(point && world.clock.now() - point.at < 65_000, 'changes made since have arrived');
  await world.finishes();
});

test('a VM goes there and back again, loses nothing, and has the network and address that it had', async () => {
  const world = await protectedWorld({ vms: 1 });
  const [before] = adaptersAt(world, 'reading');
  await world.failOverAsPlanned();
  await world.commit();
  await world.reverseReplication();
  await world.clock.advance(120_000);

  const back = await world.failOverAsPlanned(undefined, 'toPrimary');
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual(await promiseOf(world), ['failedOver', 'primary', 'recovery']);
  const written = world.site('slough').fabric.measureReplication(refOf(world, 'slough', 'vm-1'))?.writtenBytes;
  const [point] = world.site('reading').fabric.pointsWithContent(refOf(world, 'reading', 'vm-1'));
  assert.equal(point?.writtenBytes, written, 'every byte written at the recovery site has come back');
  assert.deepEqual(adaptersAt(world, 'reading')[0]?.connected, before?.connected);
  await world.commit();
  await world.reverseReplication();
  assert.deepEqual(await promiseOf(world), ['protected', 'primary', 'primary']);
  assert.equal(await view(world, 'reading'), 'running primary/replicating');
  assert.equal(await view(world, 'slough'), 'off replica/replicating');
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'and all of it again');
  await world.finishes();
});

test('after an unplanned failover the old primary becomes a replica, and only what differs is copied', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'replication: { bandwidth: 10 MB/s }' });
  const vmId = world.definition('reading').vms[0]?.id;
  assert.ok(vmId);
  await world.hostOfCrashes('reading', vmId);
  await world.failOver();
  await world.commit();
  await world.clock.advance(30_000);
  const began = world.clock.now();
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  assert.deepEqual(await promiseOf(world), ['protected', 'recovery', 'recovery']);
  assert.equal(await view(world, 'reading'), 'off replica/replicating');
  assert.deepEqual(copies(world).slice(-2).sort(), ['becomeReplica at reading', 'startInitialReplication at slough']);
  const wholeCopyMs = (1_000_000_000 / 10_000_000) * 1000;
  assert.ok(world.clock.now() - began < wholeCopyMs / 2, 'a full copy of 1 GB would have taken 100 s');
  await world.finishes();
});

test('after a failover to an older point the sides are not equal, so they are compared although the primary was prepared', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  await world.clock.advance(2 * 3_600_000 + 60_000);
  await world.failOverAsPlanned();
  const points = world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'));
  const older = points.at(-1);
  assert.ok(older && points.length > 1);
  const change = { ...(await world.requestFor('changeRecoveryPoint')), recoveryPoint: { choose: 'given', id: older.id } } as never;
  await world.settles(await world.ask(change));
  assert.equal(await view(world, 'reading'), 'off primary/preparedForFailover');
  await world.commit();
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  assert.ok(copies(world).includes('becomeReplica at reading'), 'the roles were not just swapped');
  assert.equal(await view(world, 'reading'), 'off replica/replicating');
  await world.finishes();
});

test('a former primary that still runs is overwritten only when a person says that it is to be shut down', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await world.failOver();
  world.returns('reading');
  await world.everythingIsBack();
  await world.commit();
  const { shutDownFormerPrimary: _, ...careful } = (await world.requestFor(
    'reverseReplication',
  )) as OperationRequestOf<'reverseReplication'>;
  const refused = await world.ask(careful);
  await world.settles(refused);
  assert.equal(await stateOf(world, refused), 'failed');
  assert.deepEqual(await promiseOf(world), ['committed', 'recovery', 'primary'], 'nothing was begun');
  assert.equal(await view(world, 'reading'), 'running primary/replicating');

  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  assert.equal(await view(world, 'reading'), 'off replica/replicating');
  await world.finishes();
});

test('after a reversal an unplanned failover leads back to the primary site', aFailoverAfterAReversalLeadsBack);

test('a failover goes in one direction: members that replicate the other way are left out and named', async () => {
  const world = await protectedWorld({ vms: 2 });
  const [first] = await world.protectedVms();
  assert.ok(first);
  await world.failOverAsPlanned({ vms: [first.id] });
  await world.commit({ vms: [first.id] });
  await world.reverseReplication({ vms: [first.id] });
  await world.clock.advance(65_000);
  const job = await world.failOverAsPlanned(await world.plan([['vm-1', 'vm-2']]));
  const input = (await world.job(job))?.job.input as { skipped: { name: string; reason: string }[] };
  assert.deepEqual(input.skipped, [
    { name: 'vm-1', reason: 'it runs at the recovery site already: only the other direction is open to it' },
  ]);
  await assert.rejects(world.failOverAsPlanned({ vms: [first.id] }), { code: 'ERR_PLAN_EMPTY' });
  await world.finishes();
});

test('a reversal that a person gives up leaves the VM committed, and it can be asked for again', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.commit();
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'reverseReplication', times: 3, when: 'beforeEffect' });
  const job = await world.ask(await world.requestFor('reverseReplication'));
  await world.settles(job);
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.equal(await stateOf(world, job), 'parked');
  const [vm] = await world.protectedVms();
  await world.decide(job, `reverse/${vm?.id}`, 'skip');
  await world.settles(job);
  assert.deepEqual(await promiseOf(world), ['committed', 'recovery', 'primary']);
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  assert.deepEqual(await promiseOf(world), ['protected', 'recovery', 'recovery']);
  await world.finishes();
});
