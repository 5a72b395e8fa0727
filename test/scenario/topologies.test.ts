/** Pairings between any sites, as sentences: one to many, many to one, crosswise, within one site, and plans that span them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SiteName, World, type WorldOptions } from '../support/world.ts';
import { stateOf } from '../support/world-views.ts';

type Sites = NonNullable<WorldOptions['sites']>;

/** Each pairing as `site/cloud`, with all VMs of its primary cloud protected, or those given. */
async function worldOf(sites: Sites, pairings: readonly (readonly [from: string, to: string, vms?: readonly number[]])[]): Promise<World> {
  const world = await World.make({ sites, extra: 'timings: { startVm: { median: 2 s } }' });
  for (const [from, to, vms] of pairings) {
    await world.pair(from, to);
    await world.protect(vms, from, to);
  }
  await world.clock.advance(65_000);
  return world;
}

/** Where each VM runs, as `name: site/cloud`; a name is there once for each place. */
async function runningAt(world: World): Promise<string[]> {
  const places = await Promise.all(
    world.siteNames.map(async (site) => {
      const { clouds } = world.definition(site);
      const { vms } = await world.site(site).fabric.readInventory(null);
      return vms
        .filter(({ power }) => power === 'running')
        .map(({ name, ref }) => `${name}: ${site}/${clouds.find(({ id }) => id === ref.cloudId)?.name}`);
    }),
  );
  return places.flat().sort();
}

const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.name}: ${vm.phase} ${vm.activeLocation}`);

test('one to many: a plan that spans two pairings brings its members up where each has its replica, group after group', async () => {
  const world = await worldOf(
    { reading: [{ name: 'Gold', vms: 2 }], slough: [{ name: 'Silver', vms: 0 }], bath: [{ name: 'Tin', vms: 0 }] },
    [
      ['reading/Gold', 'slough/Silver', [0]],
      ['reading/Gold', 'bath/Tin', [1]],
    ],
  );
  const plan = await world.plan([['vm-1'], ['vm-2']], { 'vm-2': ['vm-1'] });
  world.goesDark('reading');
  assert.equal(await stateOf(world, await world.failOver(plan)), 'succeeded');
  const started = (site: SiteName) =>
    world
      .site(site)
      .fabric.powerLog()
      .find(({ cause }) => cause === 'startVm')?.at ?? 0;
  assert.ok(started('slough') > 0 && started('slough') < started('bath'), 'the second site waits for the first');
  await world.commit(plan);
  world.returns('reading');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, await world.reverseReplication(plan)), 'succeeded');
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned(plan, 'toPrimary')), 'succeeded');
  assert.deepEqual(await runningAt(world), ['vm-1: reading/Gold', 'vm-2: reading/Gold']);
  await world.finishes();
});

test('one cloud is paired with two clouds of one site: each VM goes to the one it is protected for', async () => {
  const world = await worldOf(
    {
      reading: [{ name: 'Gold', vms: 2 }],
      slough: [
        { name: 'Silver', vms: 0 },
        { name: 'Copper', vms: 0 },
      ],
    },
    [
      ['reading/Gold', 'slough/Silver', [0]],
      ['reading/Gold', 'slough/Copper', [1]],
    ],
  );
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  assert.deepEqual(await runningAt(world), ['vm-1: slough/Silver', 'vm-2: slough/Copper']);
  await world.finishes();
});

test('a plan that spans pairings is not begun while one of its recovery sites is away, and the refusal names that site', async () => {
  const world = await worldOf(
    { reading: [{ name: 'Gold', vms: 2 }], slough: [{ name: 'Silver', vms: 0 }], bath: [{ name: 'Tin', vms: 0 }] },
    [
      ['reading/Gold', 'slough/Silver', [0]],
      ['reading/Gold', 'bath/Tin', [1]],
    ],
  );
  const plan = await world.plan([['vm-1', 'vm-2']]);
  world.goesDark('reading');
  world.goesDark('bath');
  await assert.rejects(world.failOver(plan), { code: 'ERR_AGENT_OFFLINE', message: /bath/ });
  assert.deepEqual(await promises(world), ['vm-1: protected primary', 'vm-2: protected primary']);
  const [first] = await world.protectedVms();
  assert.ok(first);
  assert.equal(
    await stateOf(world, await world.failOver({ vms: [first.id] })),
    'succeeded',
    'its other member can be failed over by itself',
  );
  await world.finishes();
});

test('many to one: two primary sites share a recovery site, and the loss of one moves only its own VMs', async () => {
  const world = await worldOf(
    { reading: [{ name: 'Gold', vms: 1 }], slough: [{ name: 'Silver', vms: 1, namePattern: 'db-{0}' }], bath: [{ name: 'Tin', vms: 0 }] },
    [
      ['reading/Gold', 'bath/Tin'],
      ['slough/Silver', 'bath/Tin'],
    ],
  );
  const both = await world.plan([['db-1', 'vm-1']]);
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const request = { ...(await world.requestFor('unplannedFailover', both)), primary: { evidence: 'unreachable', reason: 'reading burns' } };
  await assert.rejects(world.ask(request as never), { code: 'ERR_PRIMARY_REACHABLE', message: /slough/ });
  const vm = (await world.protectedVms()).find(({ name }) => name === 'vm-1');
  assert.ok(vm);
  assert.equal(await stateOf(world, await world.failOver({ vms: [vm.id] })), 'succeeded');
  assert.deepEqual(await promises(world), ['db-1: protected primary', 'vm-1: failedOver recovery']);
  await world.finishes();
});

test('crosswise: each of two sites is primary for its own VMs and recovery site for those of the other', async () => {
  const world = await worldOf(
    {
      reading: [
        { name: 'Gold', vms: 1 },
        { name: 'Bronze', vms: 0 },
      ],
      slough: [
        { name: 'Silver', vms: 1, namePattern: 'db-{0}' },
        { name: 'Copper', vms: 0 },
      ],
    },
    [
      ['reading/Gold', 'slough/Copper'],
      ['slough/Silver', 'reading/Bronze'],
    ],
  );
  const both = await world.plan([['db-1'], ['vm-1']]);
  assert.equal(await stateOf(world, await world.failOverAsPlanned(both)), 'succeeded', 'they change places');
  assert.deepEqual(await runningAt(world), ['db-1: reading/Bronze', 'vm-1: slough/Copper']);
  assert.equal(await stateOf(world, await world.takeBack(both)), 'succeeded');
  assert.deepEqual(await runningAt(world), ['db-1: slough/Silver', 'vm-1: reading/Gold']);
  await world.finishes();
});

test('one site carries both ends: VMs move between its clouds and back; that it is unreachable is never a reason', async () => {
  const world = await worldOf(
    {
      reading: [
        { name: 'Gold', vms: 1 },
        { name: 'Bronze', vms: 0 },
      ],
    },
    [['reading/Gold', 'reading/Bronze']],
  );
  const request = { ...(await world.requestFor('unplannedFailover')), primary: { evidence: 'unreachable', reason: 'fire' } };
  await assert.rejects(world.ask(request as never), { code: 'ERR_PRIMARY_REACHABLE' });
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  assert.deepEqual(await runningAt(world), ['vm-1: reading/Bronze']);
  await world.commit();
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned(undefined, 'toPrimary')), 'succeeded');
  assert.deepEqual(await runningAt(world), ['vm-1: reading/Gold']);
  await world.finishes();
});
