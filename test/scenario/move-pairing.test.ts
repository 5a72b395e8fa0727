/** Moving a pairing to another recovery cloud, as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { RuleId } from '../../shared/ids.ts';
import { endsReplication } from '../support/by-hand.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { type SiteName, World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
import { addRule, vmAppears } from '../support/world-rules.ts';
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

test('the old recovery site may be gone, if a person says so: the VMs are free once they are copied, and what is left stays open', async () => {
  const world = await pairedTwice();
  world.goesDark('slough');
  await world.clock.advance(1_000);
  await assert.rejects(world.ask(await world.moveRequest()), { code: 'ERR_AGENT_OFFLINE' });
  const moved = await world.ask({ ...(await world.moveRequest()), forced: true } as OperationRequestOf<'movePairing'>);
  await world.until('they are copied', async () =>
    (await pairingsOf(world)).every((text) => text.includes('protected, reading/Gold to bath')),
  );
  assert.equal(await stateOf(world, moved), 'inProgress', 'the old replicas are still there');
  assert.deepEqual(
    (await world.protectedVms()).map(({ busyWith }) => busyWith),
    [null, null],
  );
  await world.clock.advance(2 * 3_600_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'they are failed over while it goes on');
  await world.commit();
  assert.equal(await stateOf(world, moved), 'inProgress');
  world.returns('slough');
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'succeeded');
  assert.deepEqual(await replicasAt(world, 'slough'), [], 'what was left is removed when the site is back');
  assert.deepEqual((await replicasAt(world, 'bath')).length, 2, 'and nothing else');
  await world.finishes();
});

test('what is left at a site that does not come back is given up, and no VM knows of it', async () => {
  const world = await pairedTwice();
  world.goesDark('slough');
  const moved = await world.ask({ ...(await world.moveRequest()), forced: true } as OperationRequestOf<'movePairing'>);
  await world.until('they are free', async () => (await world.protectedVms()).every(({ busyWith }) => busyWith === null));
  await world.givesUp(moved, 'slough');
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'parked');
  for (const { id } of await world.protectedVms()) await world.decide(moved, `remove/${id}`, 'skip');
  await world.settles(moved);
  assert.equal(await stateOf(world, moved), 'failed', 'the job tells that something is left');
  assert.deepEqual(await pairingsOf(world), ['vm-1: protected, reading/Gold to bath/Tin', 'vm-2: protected, reading/Gold to bath/Tin']);
  await world.finishes();
});

test('while something is left of it at a site, a VM is not moved back there: what is left would be taken for the new replica', async () => {
  const world = await pairedTwice();
  world.goesDark('slough');
  const moved = await world.ask({ ...(await world.moveRequest()), forced: true } as OperationRequestOf<'movePairing'>);
  await world.until('they are free', async () => (await world.protectedVms()).every(({ busyWith }) => busyWith === null));
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'removeReplication', times: 1_000, when: 'beforeEffect' });
  world.returns('slough');
  await world.settles(moved);
  assert.deepEqual([await stateOf(world, moved), faults.fired().length > 0], ['parked', true], 'the faults happened');
  await assert.rejects(world.ask(await world.moveRequest()), { code: 'ERR_VM_BUSY' });
  faults.lift(fault);
  for (const { id } of await world.protectedVms()) await world.decide(moved, `remove/${id}`, 'retry');
  await world.settles(moved);
  const back = await world.ask(await world.moveRequest());
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual(await replicasAt(world, 'slough'), ['vm-1: off replica/replicating', 'vm-2: off replica/replicating']);
  await world.finishes();
});

test('the rules of a pairing go with it, once each, and plans over its VMs run as before', async () => {
  const world = await pairedTwice();
  const plan = await world.plan([['vm-1'], ['vm-2']]);
  const old = 'reading/Gold to slough/Silver';
  await addRule(world, { by: 'name', pattern: 'vm-*' }, old);
  const { rules } = world.controlPlane.store;
  const to = (await world.pairings()).find(({ name }) => name !== old);
  const [known] = await rules.list(vaultId);
  assert.ok(known && to);
  const same = { ...known, id: RuleId.parse(uuidOf('the same, there')), pairingId: to.id };
  await rules.add(same);
  await addRule(world, { by: 'name', pattern: 'sql-*' }, old);
  const moved = await world.ask(await world.moveRequest());
  vmAppears(world, 'sql-1');
  await world.settles(moved);
  const held = (await rules.list(vaultId)).filter(({ removedAt }) => removedAt === null);
  assert.deepEqual(
    held.map(({ pairingId, match }) => [pairingId === to.id, match]),
    [
      [true, { by: 'name', pattern: 'vm-*' }],
      [true, { by: 'name', pattern: 'sql-*' }],
    ],
  );
  await world.clock.advance(120_000);
  assert.ok(
    (await pairingsOf(world)).includes('sql-1: protected, reading/Gold to bath/Tin'),
    'who appears is protected where the pairing is now',
  );
  const failover = await world.failOverAsPlanned(plan);
  assert.equal(await stateOf(world, failover), 'succeeded');
  const sides = (await world.protectedVms()).map(({ name, activeLocation }) => `${name} ${activeLocation}`);
  assert.deepEqual(sides, ['sql-1 primary', 'vm-1 recovery', 'vm-2 recovery']);
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
  const refusedAs = async (message: string) =>
    assert.rejects(world.ask({ ...request, id: world.newJobId() }), {
      code: 'ERR_OPERATION_NOT_ALLOWED',
      problems: ['vm-1', 'vm-2'].map((field) => ({ field, message })),
    });
  await world.failOverAsPlanned();
  await refusedAs('it runs at the recovery site: fail it back first');
  await world.commit();
  await world.reverseReplication();
  await refusedAs('it runs at the recovery site: fail it back first');
  await world.failOverAsPlanned(undefined, 'toPrimary');
  await refusedAs('its failback is not committed: farshore commit first');
  await world.commit();
  await refusedAs('it was failed back and nothing protects it: farshore reverse-replication first');
  await world.finishes();
});

test('what is left of a move is not done to a VM that was protected anew there, and whoever tries is told', async () => {
  const world = await pairedTwice();
  const { faults } = world.site('slough').fabric;
  const moved = await world.ask(await world.moveRequest());
  const fault = faults.order({ kind: 'fails', operation: 'removeReplication', times: 1_000, when: 'beforeEffect' });
  await world.settles(moved);
  assert.deepEqual([await stateOf(world, moved), faults.fired().length > 0], ['parked', true], 'the faults happened');
  faults.lift(fault);
  const before = await world.protectedVms();
  await world.unprotect();
  for (const { vmId } of before) await endsReplication(world, 'slough', vmId);
  assert.deepEqual(await replicasAt(world, 'slough'), [], 'somebody has cleaned it by hand');
  await world.protect([0, 1], 'reading/Gold', 'slough/Silver');
  for (const { id } of before) await assert.rejects(world.decide(moved, `remove/${id}`, 'retry'), { code: 'ERR_PROTECTED_ANEW' });
  for (const { id } of before) await world.decide(moved, `remove/${id}`, 'skip');
  assert.deepEqual(await replicasAt(world, 'slough'), ['vm-1: off replica/replicating', 'vm-2: off replica/replicating']);
  assert.deepEqual(
    (await world.protectedVms()).map(({ phase, epoch }) => `${phase} ${epoch}`),
    ['protected 1', 'protected 1'],
    'the new protection is the newer decision',
  );
  await world.finishes();
});
