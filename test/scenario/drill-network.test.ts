/** Networks that are made for drills: there when the first copy is connected, gone with the last one, and each drill has its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationRequest, Target } from '../../shared/api/operations.ts';
import type { JobId, NetworkId } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { siteIdOf } from '../support/world-core.ts';
import { refOf, stateOf } from '../support/world-views.ts';

const slough = (world: World) => world.site('slough').fabric;
const made = (world: World) => slough(world).madeForDrills();
const copyOf = (world: World, name: string) => slough(world).findTestCopy(refOf(world, 'slough', name));

async function requestOn(world: World, target?: Target): Promise<OperationRequest> {
  return { ...(await world.requestFor('testFailover', target)), network: world.ownNetwork() } as OperationRequest;
}
async function drillOn(world: World, target?: Target): Promise<JobId> {
  const drill = await world.ask(await requestOn(world, target));
  await world.settles(drill);
  return drill;
}
const vmsOf = async (world: World, ...names: string[]): Promise<Target> => ({
  vms: (await world.protectedVms()).filter(({ name }) => names.includes(name)).map(({ id }) => id),
});

test('a drill gets a network of its own, like that of production and with no way out, and it goes with the last copy', async () => {
  const world = await protectedWorld();
  const drill = await drillOn(world);
  assert.equal(await stateOf(world, drill), 'succeeded');
  const [network] = made(world);
  assert.deepEqual(made(world), [{ drill, id: network?.id, copies: 2 }]);
  assert.deepEqual(await slough(world).networkExposure(network?.id as NetworkId), { leadsOut: false, otherVms: 0 });
  const copy = await copyOf(world, 'vm-1');
  assert.deepEqual([copy?.power, copy?.networkIds], ['running', [network?.id]]);
  const planned = slough(world).adapters(refOf(world, 'slough', 'vm-1'))[0]?.planned?.address;
  assert.equal(slough(world).adapters(copy?.ref as never)[0]?.connected?.address, planned, 'with the address of a failover');
  const seen = await world.controlPlane.store.observations.networks((await world.protectedVms())[0]?.vaultId as never);
  assert.ok(
    seen.every(({ id }) => id !== network?.id),
    'it is in no inventory: nothing else can be put on it',
  );
  await world.cleanUp(drill);
  assert.deepEqual(made(world), []);
  await world.finishes();
});

test('two drills at once have a network each, and the clean-up of one leaves that of the other alone', async () => {
  const world = await protectedWorld();
  const [first, second] = [await requestOn(world, await vmsOf(world, 'vm-1')), await requestOn(world, await vmsOf(world, 'vm-2'))];
  await Promise.all([first, second].map((request) => world.ask(request)));
  for (const { id } of [first, second]) await world.settles(id);
  assert.deepEqual(
    made(world)
      .map(({ drill, copies }) => [drill, copies])
      .sort(),
    [
      [first.id, 1],
      [second.id, 1],
    ].sort(),
  );
  const [one, two] = [await copyOf(world, 'vm-1'), await copyOf(world, 'vm-2')];
  assert.notDeepEqual(one?.networkIds, two?.networkIds);
  await world.cleanUp(first.id);
  assert.deepEqual(
    made(world).map(({ drill }) => drill),
    [second.id],
  );
  assert.deepEqual((await copyOf(world, 'vm-2'))?.networkIds, two?.networkIds, 'and it is still the same');
  await world.cleanUp(second.id);
  assert.deepEqual(made(world), []);
  await world.finishes();
});

test('a drill that fails, or is cancelled, leaves no network', async () => {
  const world = await protectedWorld({ extra: 'timings: { startTestVm: { median: 20 s, spread: 0 } }' });
  const { faults } = slough(world);
  const fault = faults.order({ kind: 'fails', operation: 'startTestVm', times: 1_000 });
  const failed = await drillOn(world);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.deepEqual([await stateOf(world, failed), made(world)], ['failed', []]);
  faults.lift(fault);
  const cancelled = await world.ask(await requestOn(world));
  await world.until('the copies are connected', () => made(world).some(({ copies }) => copies === 2));
  await world.cancel(cancelled);
  await world.settles(cancelled);
  assert.deepEqual([await stateOf(world, cancelled), made(world), slough(world).testCopies().size], ['cancelled', [], 0]);
  await world.finishes();
});

test('a network that could not be removed keeps its VM telling of the drill, until it is cleaned up again', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await drillOn(world);
  const { faults } = slough(world);
  const fault = faults.order({ kind: 'fails', operation: 'removeDrillNetwork', times: 1_000 });
  const first = await world.cleanUp(drill);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.deepEqual([await stateOf(world, first), made(world).length, (await world.protectedVms())[0]?.drill], ['failed', 1, drill]);
  faults.lift(fault);
  assert.equal(await stateOf(world, await world.cleanUp(drill)), 'succeeded');
  assert.deepEqual([made(world), (await world.protectedVms())[0]?.drill], [[], null]);
  await world.finishes();
});

test('the last copy of a VM that is unprotected by force takes the network along when its site is back', async () => {
  const world = await protectedWorld({ vms: 1 });
  await drillOn(world);
  world.goesDark('slough');
  const job = await world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'it is rebuilt' } } as never);
  await world.clock.advance(10_000);
  assert.equal(made(world).length, 1);
  world.returns('slough');
  await world.everythingIsBack();
  await world.settles(job);
  assert.deepEqual([slough(world).testCopies().size, made(world)], [0, []]);
  await world.finishes();
});

test('a network that the site says it made, and did not, starts nothing', async () => {
  const world = await protectedWorld({ vms: 1 });
  const { faults } = slough(world);
  faults.order({ kind: 'lies', operation: 'makeDrillNetwork', times: 1_000 });
  const drill = await drillOn(world);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.deepEqual([await stateOf(world, drill), made(world), slough(world).testCopies().size], ['failed', [], 0]);
  assert.ok(
    slough(world)
      .powerLog()
      .every(({ cause }) => cause !== 'startTestVm'),
  );
  await world.finishes();
});

test('a network that does not exist cannot be copied, and the drill is refused', async () => {
  const world = await protectedWorld({ vms: 1 });
  const networks = [{ siteId: siteIdOf('slough'), networkId: refOf(world, 'slough', 'vm-1').vmId }];
  await assert.rejects(world.ask({ ...(await requestOn(world)), network: { use: 'made', networks } } as never), {
    code: 'ERR_NETWORK_NOT_FOUND',
  });
  await world.finishes();
});
