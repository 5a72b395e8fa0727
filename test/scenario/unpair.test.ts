/** Removing a pairing as sentences: when nothing stands on it, what is undone at the hosts, and what a dead site leaves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JobId, type PairingId, RuleId, UserId } from '../../shared/ids.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { type SiteName, World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
import { addRule } from '../support/world-rules.ts';
import { stateOf } from '../support/world-views.ts';

async function paired(): Promise<World> {
  const world = await World.make({ vms: 1 });
  await world.pair();
  return world;
}

const statesOf = async (world: World) => (await world.pairings()).map(({ name, state }) => `${name}: ${state}`);
const releasesAt = (world: World, site: SiteName) =>
  world
    .site(site)
    .fabric.taskLog()
    .filter(({ operation, hadEffect }) => operation === 'releaseHosts' && hadEffect).length;

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly problems: readonly { readonly field?: string; readonly message: string }[];
}
const refusalOf = async (asked: Promise<unknown>): Promise<Refusal> =>
  asked.then(
    () => assert.fail('it was taken'),
    (thrown: Refusal) => thrown,
  );

async function unpair(world: World, name?: string): Promise<JobId> {
  const job = await world.ask(await world.unpairRequest(name));
  await world.settles(job);
  return job;
}
const forced = async (world: World) => world.ask({ ...(await world.unpairRequest()), forced: { reason: 'Slough is rebuilt' } });

test('the hosts of both clouds are released, the pairing is gone, and its name is free', async () => {
  const world = await paired();
  assert.equal(await stateOf(world, await unpair(world)), 'succeeded');
  assert.deepEqual(await statesOf(world), []);
  assert.deepEqual([releasesAt(world, 'reading'), releasesAt(world, 'slough')], [1, 1]);
  await world.pair();
  await world.protect();
  assert.deepEqual(
    (await world.protectedVms()).map(({ phase }) => phase),
    ['protected'],
  );
  await world.finishes();
});

test('a pairing whose VMs were moved away is removed, and what they need of the hosts now stays', async () => {
  const world = await World.make({
    sites: { reading: [{ name: 'Gold', vms: 1 }], slough: [{ name: 'Silver', vms: 0 }], bath: [{ name: 'Tin', vms: 0 }] },
  });
  await world.pair();
  await world.pair('reading/Gold', 'bath/Tin');
  await world.protect([0], 'reading/Gold', 'slough/Silver');
  const moved = await world.ask(await world.moveRequest());
  await world.settles(moved);
  assert.equal(await stateOf(world, await unpair(world, 'reading/Gold to slough/Silver')), 'succeeded');
  assert.deepEqual(await statesOf(world), ['reading/Gold to bath/Tin: paired']);
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'they go on replicating');
  await world.finishes();
});

test('it is refused while VMs are protected in it, naming them and the plans that name them', async () => {
  const world = await paired();
  await world.protect();
  await world.plan([['vm-1']]);
  const { code, problems } = await refusalOf(unpair(world));
  assert.equal(code, 'ERR_CONFLICT');
  assert.deepEqual(
    problems.map(({ field }) => field),
    ['vm-1'],
  );
  assert.match(problems[0]?.message ?? '', /is protected in it, and named in \w+/);
  await world.finishes();
});

test('it is refused while a rule uses it, also by force', async () => {
  const world = await paired();
  const rule = await addRule(world, { by: 'name', pattern: 'nobody-*' });
  assert.match((await refusalOf(unpair(world))).message, new RegExp(`rule ${rule} protects VMs in it`));
  assert.equal((await refusalOf(forced(world))).code, 'ERR_CONFLICT');
  await world.finishes();
});

test('while a side is away it is refused; by force it stays open, nothing begins in it, and it is done when the side is back', async () => {
  const world = await paired();
  world.goesDark('slough');
  await world.clock.advance(15_000);
  assert.equal((await refusalOf(unpair(world))).code, 'ERR_AGENT_OFFLINE');
  const job = await forced(world);
  await world.clock.advance(10_000);
  assert.deepEqual(await statesOf(world), ['reading/Gold to slough/Silver: unpairing']);
  assert.equal(releasesAt(world, 'reading'), 1, 'done where it could be done');
  assert.match((await refusalOf(forced(world))).message, new RegExp(`job ${job} \\(unpair\\) works with it`));
  world.returns('slough');
  await world.everythingIsBack();
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await statesOf(world), []);
  await world.finishes();
});

test('a side that never comes back is given up and the step skipped: the pairing is gone', async () => {
  const world = await paired();
  world.goesDark('slough');
  await world.clock.advance(15_000);
  const job = await forced(world);
  await world.clock.advance(60_000);
  await world.givesUp(job, 'slough');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  await world.decide(job, 'release/recovery', 'skip');
  await world.settles(job);
  assert.deepEqual(await statesOf(world), []);
  await world.finishes();
});

test('no VM is protected in a pairing that is being removed, and no rule is added to it', async () => {
  const world = await paired();
  const [pairing] = await world.pairings();
  world.site('slough').fabric.faults.order({ kind: 'fails', operation: 'releaseHosts', times: 3 });
  const protect = await world.protectRequest();
  const job = await unpair(world);
  assert.equal(await stateOf(world, job), 'parked');
  assert.equal((await refusalOf(world.ask(protect))).code, 'ERR_NOT_PREPARED');
  const rule = { id: RuleId.parse(uuidOf('too late')), vaultId, pairingId: pairing?.id as PairingId, match: { by: 'all' } } as const;
  const wanted = { createdAt: world.clock.now(), createdBy: UserId.parse(uuidOf('owner')), removedAt: null, removedBy: null };
  const late = world.controlPlane.store.rules.add({ ...rule, ...wanted });
  assert.equal((await refusalOf(late)).code, 'ERR_NOT_PREPARED');
  await world.decide(job, 'release/recovery', 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});

test('a pairing that failed is removed too, beside another of its name', async () => {
  const world = await World.make({ vms: 1 });
  world.site('reading').fabric.faults.order({ kind: 'fails', operation: 'prepareHosts', times: 3 });
  await world.pair();
  await world.pair();
  assert.deepEqual(
    (await world.pairings()).map(({ state }) => state),
    ['failed', 'paired'],
  );
  assert.equal(await stateOf(world, await unpair(world)), 'succeeded');
  assert.deepEqual(
    (await world.pairings()).map(({ state }) => state),
    ['paired'],
  );
  await world.protect();
  assert.deepEqual(
    (await world.protectedVms()).map(({ phase }) => phase),
    ['protected'],
  );
  await world.finishes();
});

test('it is refused while VMs are on their way into it', async () => {
  const clouds = (...names: string[]) => names.map((name) => ({ name, vms: name === 'Gold' ? 1 : 0 }));
  const world = await World.make({
    sites: { reading: clouds('Gold'), slough: clouds('Silver', 'Copper') },
    extra: 'timings: { enableReplication: { median: 20 s } }',
  });
  await world.pair();
  await world.pair('reading/Gold', 'slough/Copper');
  await world.protect([0], 'reading/Gold', 'slough/Silver');
  const moved = await world.ask(await world.moveRequest());
  const refusal = await refusalOf(unpair(world, 'reading/Gold to slough/Copper'));
  assert.match(refusal.message, new RegExp(`job ${moved} \\(movePairing\\) works with it`));
  await world.settles(moved);
  await world.finishes();
});
