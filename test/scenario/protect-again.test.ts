/** Protection that begins again as sentences: sites remember every ownership decision, so the vault does too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { failuresOf, stateOf } from '../support/world-views.ts';

test('a VM that was failed over and taken out of protection is protected again, and failed over again', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.takeBack();
  await world.clock.advance(65_000);
  const [before] = await world.protectedVms();
  assert.equal(before?.epoch, 2, 'two decisions');
  await world.unprotect();
  await world.clock.advance(15_000);
  assert.equal(await stateOf(world, await world.protect()), 'succeeded');
  const [again] = await world.protectedVms();
  assert.deepEqual([again?.phase, again?.epoch], ['protected', 2]);
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  await world.finishes();
});

test('a VM that was forgotten by force with its replication left on is adopted again, and being forgotten was a decision too', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.takeBack();
  await world.clock.advance(65_000);
  world.goesDark('reading');
  world.goesDark('slough');
  await world.clock.advance(15_000);
  const forced = await world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'it is moved by hand' } } as never);
  await world.clock.advance(5_000);
  for (const site of ['reading', 'slough'] as const) await world.givesUp(forced, site);
  await world.settles(forced);
  const steps = (await world.graph(forced)).steps.map(({ id }) => id);
  for (const step of steps) await world.decide(forced, step, 'skip').catch(() => {});
  await world.settles(forced);
  world.returns('reading');
  world.returns('slough');
  await world.everythingIsBack();
  await world.clock.advance(90_000);
  assert.equal(await stateOf(world, await world.adopt()), 'succeeded');
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.epoch], ['protected', 3]);
  await world.finishes();
});

test('a replica that was kept when protection ended is named when the VM is protected again, and nothing was done by then', async () => {
  const world = await protectedWorld({ vms: 1, deleteReplica: false });
  await world.unprotect();
  await world.clock.advance(15_000);
  const again = await world.protect();
  assert.equal(await stateOf(world, again), 'failed');
  assert.deepEqual(await failuresOf(world, again), ['ERR_REPLICA_KEPT']);
  assert.deepEqual(await world.protectedVms(), []);
  await world.finishes();
});
