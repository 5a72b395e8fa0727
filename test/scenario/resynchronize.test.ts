/** Resynchronizing as sentences: what a crash of the host does to replication, who is told, and how it comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

async function withCrashedHost(options: Parameters<typeof protectedWorld>[0] = {}): Promise<World> {
  const world = await protectedWorld({ vms: 1, ...options });
  const vmId = world.definition('reading').vms[0]?.id;
  assert.ok(vmId);
  await world.hostOfCrashes('reading', vmId);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/waitingForStartResynchronize');
  return world;
}

test('after its host crashed a VM does not replicate until it is resynchronized; older points are gone then', async () => {
  const world = await withCrashedHost({ recoveryPoints: 4 });
  const points = () => world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'));
  const before = points();
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating');
  assert.equal(points().length, 1);
  assert.ok(before.every(({ id }) => id !== points()[0]?.id));
  const [vm] = await world.protectedVms();
  assert.equal(vm?.phase, 'protected');
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'and it can be failed over as planned');
  await world.finishes();
});

test('a failover that was taken back after the crash of the host is protected again once it is resynchronized', async () => {
  const world = await withCrashedHost();
  await world.failOver();
  await world.takeBack();
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/waitingForStartResynchronize');
  const refused = await world.failOverAsPlanned();
  assert.equal(await stateOf(world, refused), 'failed', 'a planned failover would lose what was written');
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  await world.finishes();
});

test('a VM that replicates has nothing to be compared, and keeps its points', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  const points = () =>
    world
      .site('slough')
      .fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'))
      .map(({ id }) => id);
  const before = points();
  assert.equal(await stateOf(world, await world.resynchronize()), 'succeeded');
  assert.ok(before.some((id) => points().includes(id)));
  await world.finishes();
});

test('where a taking back was skipped step by step the VM is interrupted: resynchronizing is refused, and it is taken back once more', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'fails', operation: 'stopFailover', times: 3 });
  const job = await world.ask(await world.requestFor('takeBack'));
  await world.settles(job);
  assert.equal(faults.fired().length, 3, 'the faults happened');
  const [vm] = await world.protectedVms();
  await world.decide(job, `release/${vm?.id}`, 'skip');
  await world.settles(job);
  await world.decide(job, `start/${vm?.id}`, 'skip');
  await world.settles(job);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/preparedForFailover');
  assert.equal((await world.protectedVms())[0]?.phase, 'interrupted');
  await assert.rejects(world.resynchronize(), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});
