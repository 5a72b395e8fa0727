/** Changing a pairing in use, as sentences: what holds at once, what each VM gets, and what cannot be changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { refOf, stateOf } from '../support/world-views.ts';

const replica = (world: World, name: string) => refOf(world, 'slough', name);
const pointsAt = (world: World, name: string) =>
  world
    .site('slough')
    .fabric.pointsWithContent(replica(world, name))
    .map(({ at }) => at);
const plannedNetworks = (world: World, name: string) =>
  world
    .site('slough')
    .fabric.adapters(replica(world, name))
    .map(({ planned }) => planned?.networkId ?? 'none');

test('from then on copies come as often, and as many recovery points are kept, as the new policy says', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 0 });
  const [before] = await world.pairings();
  const changed = await world.ask(
    await world.changeRequest({ copyFrequencySeconds: 300, additionalRecoveryPoints: 3 }, before?.networks as never),
  );
  await world.settles(changed);
  assert.equal(await stateOf(world, changed), 'succeeded');
  assert.equal((await world.pairings())[0]?.policy.copyFrequencySeconds, 300);
  await world.clock.advance(3 * 3_600_000 + 600_000);
  const kept = pointsAt(world, 'vm-1');
  assert.equal(kept.length, 4, 'the newest, and three hourly ones');
  const newest = kept[0];
  await world.until('the next copy comes', () => pointsAt(world, 'vm-1')[0] !== newest);
  const next = pointsAt(world, 'vm-1')[0] ?? 0;
  await world.until('and the one after it', () => pointsAt(world, 'vm-1')[0] !== next);
  assert.ok((pointsAt(world, 'vm-1')[0] ?? 0) - next >= 300_000, 'not every 30 s any more');
  await world.finishes();
});

test('replicas are connected by the new network map when they are failed over', async () => {
  const world = await protectedWorld({ vms: 2 });
  const [lan] = plannedNetworks(world, 'vm-1');
  assert.ok(lan && lan !== 'none');
  const without = await world.ask(await world.changeRequest({}, []));
  await world.settles(without);
  assert.deepEqual(plannedNetworks(world, 'vm-1'), ['none'], 'a mapping that is removed disconnects');
  const from = world.definition('reading').networks.find(({ name }) => name === 'LAN')?.id;
  const to = world.definition('slough').networks.find(({ name }) => name === 'Office')?.id;
  const other = await world.ask(await world.changeRequest({}, [{ from: from as never, to: to as never }]));
  await world.settles(other);
  assert.equal(await stateOf(world, other), 'parked', 'the other network has no addresses to give');
  assert.deepEqual(plannedNetworks(world, 'vm-2'), ['none']);
  for (const { id } of await world.protectedVms()) await world.decide(other, `configure/${id}`, 'skip');
  await world.settles(other);
  const back = await world.ask(await world.changeRequest({}, [{ from: from as never, to: lan as never }]));
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual([plannedNetworks(world, 'vm-1'), plannedNetworks(world, 'vm-2')], [[lan], [lan]]);
  await world.finishes();
});

test('what the hosts were prepared with, and networks that nobody has, are refused, all in one answer', async () => {
  const world = await protectedWorld({ vms: 1 });
  const wrong = await world.changeRequest({ authentication: 'kerberos', port: 8443 }, [
    { from: world.newJobId() as never, to: world.newJobId() as never },
  ]);
  const refusal = await world.ask(wrong).catch((thrown: { code: string; problems: { field: string }[] }) => thrown);
  assert.ok(typeof refusal === 'object' && 'problems' in refusal);
  assert.deepEqual(
    refusal.problems.map(({ field }) => field),
    ['policy.authentication', 'policy.port', 'networks[0].from', 'networks[0].to'],
  );
  assert.equal((await world.pairings())[0]?.policy.authentication, 'certificate');
  await world.finishes();
});

test('a VM that was failed over gets the change when it replicates again; until then it is named as left out', async () => {
  const world = await protectedWorld({ vms: 2 });
  const [first] = await world.protectedVms();
  assert.ok(first);
  await world.failOverAsPlanned({ vms: [first.id] });
  await world.commit({ vms: [first.id] });
  const changed = await world.ask(await world.changeRequest({ copyFrequencySeconds: 900 }, (await world.pairings())[0]?.networks as never));
  await world.settles(changed);
  const input = (await world.job(changed))?.job.input as { skipped: { name: string }[] };
  assert.deepEqual(
    input.skipped.map(({ name }) => name),
    ['vm-1'],
  );
  await world.reverseReplication({ vms: [first.id] });
  await world.clock.advance(1_000_000);
  const arrived = world.site('reading').fabric.pointsWithContent(refOf(world, 'reading', 'vm-1'));
  const soonest = world.clock.now() - (arrived[0]?.at ?? 0);
  await world.clock.advance(120_000);
  assert.equal(
    world.clock.now() - (world.site('reading').fabric.pointsWithContent(refOf(world, 'reading', 'vm-1'))[0]?.at ?? 0),
    soonest + 120_000,
  );
  await world.finishes();
});
