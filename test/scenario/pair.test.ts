/** Pairing clouds as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../support/world.ts';
import { stateOf } from '../support/world-views.ts';

test('one job prepares the hosts of both clouds, and both say where they receive replicas', async () => {
  const world = await World.make({ vms: 1 });
  assert.equal(await stateOf(world, await world.pair()), 'succeeded');
  const [pairing] = await world.pairings();
  assert.equal(pairing?.state, 'paired');
  assert.ok(pairing?.replicaAddresses.primary && pairing.replicaAddresses.recovery);
  await world.finishes();
});

test('where the hosts of one cloud cannot be prepared nothing of the pairing is left, and its name is free again', async () => {
  const world = await World.make({ vms: 1 });
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'fails', operation: 'prepareHosts', times: 3 });
  assert.equal(await stateOf(world, await world.pair()), 'failed');
  assert.equal(faults.fired().length, 3, 'the faults happened');
  const released = world
    .site('slough')
    .fabric.taskLog()
    .filter(({ operation, hadEffect }) => operation === 'releaseHosts' && hadEffect);
  assert.equal(released.length, 1, 'what was prepared at the other side is taken back');
  assert.equal(await stateOf(world, await world.pair()), 'succeeded');
  await world.finishes();
});

test('clouds and networks that nobody has, and a cloud with itself, are refused in one answer', async () => {
  const world = await World.make({ vms: 1 });
  const request = world.pairRequest();
  assert.ok(request.kind === 'pair');
  const networks = [{ from: world.newJobId() as never, to: world.newJobId() as never }];
  const wrong = { ...request, recovery: request.primary, networks };
  const refusal = await world.ask(wrong).catch((thrown: { code: string; problems: { field: string }[] }) => thrown);
  assert.ok(typeof refusal === 'object');
  assert.deepEqual(
    refusal.problems.map(({ field }) => field),
    ['recovery', 'networks[0].from', 'networks[0].to'],
  );
  await world.finishes();
});
