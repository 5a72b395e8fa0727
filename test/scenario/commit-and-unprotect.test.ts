/** What ends a failover, and what ends protection, as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

const points = (world: World) => world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1')).length;

test('commit gives the other recovery points up, and the failover can no longer be taken back', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  assert.ok(points(world) > 0);
  assert.equal(await stateOf(world, await world.commit()), 'succeeded');
  assert.equal(points(world), 0);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOver');
  await assert.rejects(world.takeBack(), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await assert.rejects(world.commit(), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await world.finishes();
});

test('unprotecting leaves the VM running, and the idle replica goes where the policy says so', async () => {
  for (const deleteReplica of [true, false]) {
    const world = await protectedWorld({ vms: 1, deleteReplica });
    assert.equal(await stateOf(world, await world.unprotect()), 'succeeded');
    assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
    assert.equal(await viewOf(world, 'slough', 'vm-1'), deleteReplica ? 'none' : 'off none/disabled');
    assert.deepEqual(await world.protectedVms(), []);
    await world.finishes();
  }
});

test('after a reversal the idle copy is the VM that was there before us: it is never deleted', async () => {
  const world = await protectedWorld({ vms: 1, deleteReplica: true });
  await world.failOverAsPlanned();
  await world.commit();
  await world.reverseReplication();
  assert.equal(await stateOf(world, await world.unprotect()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off none/disabled');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running none/disabled');
  await world.finishes();
});

test('what cannot be ended waits for a person, who tries again or leaves it', async () => {
  const world = await protectedWorld({ vms: 1 });
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'removeReplication', times: 3 });
  const job = await world.ask(await world.requestFor('unprotect'));
  await world.settles(job);
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.equal(await stateOf(world, job), 'parked');
  const [vm] = await world.protectedVms();
  assert.equal(vm?.phase, 'disabling');
  await world.decide(job, `remove/${vm?.id}`, 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});
