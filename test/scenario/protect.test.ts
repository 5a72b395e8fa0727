/** Protecting VMs as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../support/world.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

async function paired(options: Parameters<typeof World.make>[0] = {}): Promise<World> {
  const world = await World.make({ vms: 2, ...options });
  await world.pair();
  return world;
}
const phases = async (world: World) => (await world.protectedVms()).map(({ name, phase }) => `${name} ${phase}`);

test('the replica is made, gets its network and address, and holds a first copy; the VM runs all the time', async () => {
  const world = await paired();
  assert.equal(await stateOf(world, await world.protect()), 'succeeded');
  assert.deepEqual(await phases(world), ['vm-1 protected', 'vm-2 protected']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  const [adapter] = world.site('slough').fabric.adapters(refOf(world, 'slough', 'vm-1'));
  assert.ok(adapter?.planned?.address, 'an address is reserved for the day of the failover');
  assert.equal(adapter?.connected, null, 'and not used before');
  await world.finishes();
});

test('VMs stand or fall one by one: one that fails leaves nothing behind on either side', async () => {
  const world = await paired();
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'configureReplica', vm: 'vm-1', times: 3 });
  assert.equal(await stateOf(world, await world.protect()), 'completedWithFailures');
  assert.equal(faults.fired().length, 3, 'the faults happened');
  assert.deepEqual(await phases(world), ['vm-2 protected']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'none');
  await world.finishes();
});

test('protecting that is cancelled while the first copy is on its way is taken back', async () => {
  const world = await paired({ extra: 'replication: { bandwidth: 10 MB/s }' });
  const job = await world.ask(await world.protectRequest([0]));
  await world.clock.advance(20_000);
  assert.deepEqual(await phases(world), ['vm-1 seeding']);
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  assert.deepEqual(await phases(world), []);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'none');
  await world.finishes();
});

test('a VM is protected once: a second request names the pairing that has it', async () => {
  const world = await paired();
  await world.protect([0]);
  await assert.rejects(world.protect([0]), { code: 'ERR_CONFLICT', message: /vm-1 .* is protected already, in the pairing reading\/Gold/ });
  await world.finishes();
});
