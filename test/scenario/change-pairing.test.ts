/** Changing a pairing in use, as sentences: what holds at once, what each VM gets, and what cannot be changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobInput } from '../../shared/api/job-input.ts';
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
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

const changeOf = async (world: World, change: object) => {
  const [pairing] = await world.pairings();
  return { id: world.newJobId(), kind: 'changePairing', pairing: pairing?.id, ...change } as OperationRequestOf<'changePairing'>;
};

test('of two changes at once neither is lost, in whichever order they come, also where they name fields of one policy', async () => {
  const points = { policy: { additionalRecoveryPoints: 7 } };
  const others = [{ networks: [] }, { policy: { copyFrequencySeconds: 900 } }];
  for (const pair of others.flatMap((other) => [
    [points, other],
    [other, points],
  ])) {
    const world = await World.make({ vms: 1 });
    await world.pair();
    const [before] = await world.pairings();
    const requests = await Promise.all(pair.map((change) => changeOf(world, change)));
    const actor = { vaultId, name: 'operator' };
    const asked = Promise.allSettled(requests.map((request) => world.controlPlane.runner.start(request, actor)));
    await world.clock.advance(10_000);
    assert.deepEqual(
      (await asked).map(({ status }) => status),
      ['fulfilled', 'fulfilled'],
    );
    const [after] = await world.pairings();
    const wanted = Object.assign({}, ...pair) as { networks?: [] };
    const policies = pair.map((change) => ('policy' in change ? change.policy : {}));
    assert.deepEqual(after?.policy, Object.assign({}, before?.policy, ...policies));
    assert.deepEqual(after?.networks, wanted.networks ?? before?.networks);
    await world.finishes();
  }
});

test('of two changes at once that do not go together the second is refused, and the first stands', async () => {
  const world = await World.make({ vms: 1, recoveryPoints: 6 });
  await world.pair();
  const requests = [
    await changeOf(world, { policy: { applicationConsistentHours: 4 } }),
    await changeOf(world, { policy: { additionalRecoveryPoints: 2 } }),
  ];
  const asked = Promise.allSettled(requests.map((request) => world.controlPlane.runner.start(request, { vaultId, name: 'operator' })));
  await world.clock.advance(10_000);
  const [first, second] = await asked;
  assert.deepEqual([first?.status, second?.status], ['fulfilled', 'rejected']);
  assert.equal((second as PromiseRejectedResult).reason.code, 'ERR_STALE_VERSION');
  const [after] = await world.pairings();
  assert.deepEqual([after?.policy.applicationConsistentHours, after?.policy.additionalRecoveryPoints], [4, 6]);
  await world.finishes();
});

test('fewer recovery points are not deleted unless a person says so; it tells how many of which VM', async () => {
  const world = await protectedWorld({ vms: 2, recoveryPoints: 4 });
  await world.clock.advance(4 * 3_600_000 + 60_000);
  const fewer = await changeOf(world, { policy: { additionalRecoveryPoints: 1 } });
  const refusal = await world.ask(fewer).catch((thrown: { code: string; problems: object[] }) => thrown);
  assert.ok(typeof refusal === 'object');
  assert.equal(refusal.code, 'ERR_POINTS_WOULD_GO');
  assert.deepEqual(refusal.problems, [
    { field: 'vm-1', message: 'loses up to 3 recovery points' },
    { field: 'vm-2', message: 'loses up to 3 recovery points' },
  ]);
  assert.deepEqual([pointsAt(world, 'vm-1').length, (await world.pairings())[0]?.policy.additionalRecoveryPoints], [5, 4]);
  const said = await world.ask({ ...fewer, id: world.newJobId(), deleteRecoveryPoints: { reason: 'the storage is full' } });
  await world.settles(said);
  assert.equal(await stateOf(world, said), 'succeeded');
  const { reason } = JobInput.parse((await world.job(said))?.job.input);
  assert.equal(reason, 'the storage is full');
  await world.clock.advance(60_000);
  assert.equal(pointsAt(world, 'vm-1').length, 2);
  await world.finishes();
});

test('of a VM that is committed no recovery points are left to go, and nobody is asked about it', async () => {
  const world = await protectedWorld({ vms: 2, recoveryPoints: 4 });
  const [first] = await world.protectedVms();
  assert.ok(first);
  await world.failOverAsPlanned({ vms: [first.id] });
  await world.commit({ vms: [first.id] });
  const fewer = await changeOf(world, { policy: { additionalRecoveryPoints: 1 } });
  const refusal = await world.ask(fewer).catch((thrown: { problems: object[] }) => thrown);
  assert.deepEqual((refusal as { problems: object[] }).problems, [{ field: 'vm-2', message: 'loses up to 3 recovery points' }]);
  await world.settles(await world.ask({ ...fewer, id: world.newJobId(), deleteRecoveryPoints: { reason: 'the storage is full' } }));
  const [apply] = [await changeOf(world, {})];
  assert.equal(apply.policy ?? apply.networks, undefined, 'as farshore pairings apply asks for it');
  const job = await world.ask(apply);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  const { skipped } = JobInput.parse((await world.job(job))?.job.input);
  assert.deepEqual(
    skipped?.map(({ name }) => name),
    ['vm-1'],
    'it is behind, and gets it when it is reversed',
  );
  await world.finishes();
});

test('a VM that is failed over and not committed keeps its points: whoever applies what is behind is not asked about it', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  await world.failOverAsPlanned();
  const fewer = await changeOf(world, { policy: { additionalRecoveryPoints: 1 } });
  const refusal = await world.ask(fewer).catch((thrown: { code: string }) => thrown.code);
  assert.equal(refusal, 'ERR_POINTS_WOULD_GO', 'they go when it is taken back');
  await world.settles(await world.ask({ ...fewer, id: world.newJobId(), deleteRecoveryPoints: { reason: 'the storage is full' } }));
  const job = await world.ask(await changeOf(world, {}));
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});

test('where nobody is protected, or more are kept, nobody is asked', async () => {
  const world = await World.make({ vms: 1, recoveryPoints: 4 });
  await world.pair();
  await world.settles(await world.ask(await changeOf(world, { policy: { additionalRecoveryPoints: 0 } })));
  await world.protect();
  const more = await world.ask(await changeOf(world, { policy: { additionalRecoveryPoints: 9 } }));
  await world.settles(more);
  assert.equal(await stateOf(world, more), 'succeeded');
  await world.finishes();
});
