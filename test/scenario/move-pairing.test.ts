/** Moving a pairing to another recovery cloud, as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SiteName, World } from '../support/world.ts';
import { stateOf } from '../support/world-views.ts';

async function pairedTwice(): Promise<World> {
  const world = await World.make({
    sites: { reading: [{ name: 'Gold', vms: 2 }], slough: [{ name: 'Silver', vms: 0 }], bath: [{ name: 'Tin', vms: 0 }] },
  });
  await world.pair();
  await world.pair('reading/Gold', 'bath/Tin');
  await world.protect([0, 1], 'reading/Gold', 'slough/Silver');
  await world.clock.advance(65_000);
  return world;
}

async function replicasAt(world: World, site: SiteName): Promise<string[]> {
  const { vms } = await world.site(site).fabric.readInventory(null);
  return vms.map(({ name, power, replication }) => `${name}: ${power} ${replication.mode}/${replication.state}`).sort();
}

const pairingsOf = async (world: World) => {
  const names = new Map((await world.pairings()).map(({ id, name }) => [id, name]));
  return (await world.protectedVms()).map(({ name, phase, pairingId }) => `${name}: ${phase}, ${names.get(pairingId)}`);
};

test('VMs leave their old replicas, are copied to the other site, run all the time, and are failed over there', async () => {
  const world = await pairedTwice();
  const moved = await world.ask(await world.moveRequest());
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'succeeded');
  assert.deepEqual(await replicasAt(world, 'slough'), [], 'the old replicas are deleted, as the policy says');
  assert.deepEqual(await replicasAt(world, 'bath'), ['vm-1: off replica/replicating', 'vm-2: off replica/replicating']);
  assert.deepEqual(await pairingsOf(world), ['vm-1: protected, reading/Gold to bath/Tin', 'vm-2: protected, reading/Gold to bath/Tin']);
  const stops = world
    .site('reading')
    .fabric.powerLog()
    .filter(({ change }) => change === 'off');
  assert.deepEqual(stops, [], 'nobody noticed');
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  assert.deepEqual(await replicasAt(world, 'bath'), [
    'vm-1: running replica/failedOverWaitingCompletion',
    'vm-2: running replica/failedOverWaitingCompletion',
  ]);
  await world.finishes();
});

test('the old recovery site may be gone: the VMs are protected at the new one, and what is left is given up', async () => {
  const world = await pairedTwice();
  world.goesDark('slough');
  const moved = await world.ask(await world.moveRequest());
  await world.until('they are copied', async () =>
    (await pairingsOf(world)).every((text) => text.includes('protected, reading/Gold to bath')),
  );
  assert.equal(await stateOf(world, moved), 'inProgress', 'the old replicas are still there');
  await world.givesUp(moved, 'slough');
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'parked');
  for (const { id } of await world.protectedVms()) await world.decide(moved, `remove/${id}`, 'skip');
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'failed', 'the job tells that something is left');
  await world.finishes();
});

test('a VM that cannot leave its old replica stays there, protected, and the others go', async () => {
  const world = await pairedTwice();
  const [vm] = await world.protectedVms();
  assert.ok(vm);
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'fails', operation: 'removeReplication', vm: vm.name, times: 3 });
  const moved = await world.ask(await world.moveRequest());
  await world.settles(moved);
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.equal(await stateOf(world, moved), 'parked');
  await world.decide(moved, `leave/${vm.id}`, 'skip');
  await world.settles(moved);
  assert.deepEqual(await pairingsOf(world), [
    'vm-1: protected, reading/Gold to slough/Silver',
    'vm-2: protected, reading/Gold to bath/Tin',
  ]);
  await world.finishes();
});

test('a pairing is moved to one of the same primary cloud and another recovery cloud only, with everybody at home', async () => {
  const world = await pairedTwice();
  const request = await world.moveRequest();
  assert.ok(request.kind === 'movePairing');
  await assert.rejects(world.ask({ ...request, to: request.pairing }), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await world.failOverAsPlanned();
  await assert.rejects(world.ask({ ...request, id: world.newJobId() }), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await world.finishes();
});
