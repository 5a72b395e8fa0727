/**
 * A person passes over a step that a site was given up for, as sentences: it may have been done there. Where the site can be reached it
 * is looked at first; where it cannot, the VM is told as interrupted, and what comes next finds out.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { JobId } from '../../shared/ids.ts';
import { ends, protectedWorld } from '../support/planted-scenarios.ts';
import { type SiteName, World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} ${vm.activeLocation}`);

type When = 'beforeEffect' | 'afterEffect';

interface GivenUp {
  readonly site: SiteName;
  readonly at: Operation;
  readonly when: When;
  readonly isBack: boolean;
}

/** The agent dies in a call and is given up; its step is skipped when it is back, or while it is away. */
async function isSkipped(world: World, request: OperationRequest, step: string, { site, at, when, isBack }: GivenUp): Promise<JobId> {
  const { faults } = world.site(site).fabric;
  faults.order({ kind: 'hangs', operation: at, times: 1, when });
  const before = faults.fired().length;
  const job = await world.ask(request);
  await world.until('it is met', () => faults.fired().length > before);
  await world.clock.advance(1_000);
  world.agentCrashes(site);
  world.site(site).noteEffects();
  world.goesDark(site);
  await world.givesUp(job, site);
  await ends(world, job, 'parked');
  if (isBack) {
    world.returns(site);
    await world.agentRestarts(site);
    await world.everythingIsBack();
  }
  const [vm] = await world.protectedVms();
  await world.decide(job, `${step}/${vm?.id}`, 'skip');
  await world.settles(job);
  if (!isBack) {
    world.returns(site);
    await world.agentRestarts(site);
    await world.everythingIsBack();
  }
  return job;
}

async function failedOver(): Promise<World> {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  return world;
}

for (const [when, isBack, state, phase] of [
  ['afterEffect', true, 'succeeded', 'committed recovery'],
  ['beforeEffect', true, 'failed', 'failedOver recovery'],
  ['afterEffect', false, 'failed', 'interrupted recovery'],
  ['beforeEffect', false, 'failed', 'interrupted recovery'],
] as const)
  test(`a commit that was ${when === 'afterEffect' ? '' : 'not '}done is skipped while its site is ${isBack ? 'back' : 'away'}: ${phase}`, async () => {
    const world = await failedOver();
    const job = await isSkipped(world, await world.requestFor('commit'), 'commit', {
      site: 'slough',
      at: 'completeFailover',
      when,
      isBack,
    });
    assert.equal(await stateOf(world, job), state);
    assert.deepEqual(await promises(world), [phase]);
    if (phase !== 'committed recovery')
      assert.equal(await stateOf(world, await world.commit()), 'succeeded', 'whoever commits it again finds out');
    assert.deepEqual(await promises(world), ['committed recovery']);
    await world.finishes();
  });

for (const [when, isBack, phase] of [
  ['afterEffect', true, 'interrupted recovery'],
  ['beforeEffect', true, 'failedOver recovery'],
  ['afterEffect', false, 'interrupted recovery'],
] as const)
  test(`a take back that was ${when === 'afterEffect' ? '' : 'not '}done at the recovery site is skipped while that is ${isBack ? 'back' : 'away'}: ${phase}`, async () => {
    const world = await failedOver();
    const job = await isSkipped(world, await world.requestFor('takeBack'), 'take-back', {
      site: 'slough',
      at: 'stopFailover',
      when,
      isBack,
    });
    assert.equal(await stateOf(world, job), 'failed');
    assert.deepEqual(await promises(world), [phase]);
    assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
    assert.deepEqual(await promises(world), ['protected primary']);
    await world.finishes();
  });

for (const [when, isBack, phase] of [
  ['afterEffect', true, 'interrupted recovery'],
  ['beforeEffect', true, 'committed recovery'],
  ['afterEffect', false, 'interrupted recovery'],
] as const)
  test(`a reversal whose former primary was ${when === 'afterEffect' ? '' : 'not '}made a replica is skipped while that is ${isBack ? 'back' : 'away'}: ${phase}`, async () => {
    const world = await protectedWorld({ vms: 1 });
    const [vm] = await world.protectedVms();
    await world.hostOfCrashes('reading', vm?.vmId as never);
    await world.failOver();
    await world.commit();
    const request = await world.requestFor('reverseReplication');
    await isSkipped(world, request, 'become-replica', { site: 'reading', at: 'becomeReplica', when, isBack });
    assert.deepEqual(await promises(world), [phase]);
    assert.match(await viewOf(world, 'slough', 'vm-1'), /^running/, 'it runs on');
    if (phase.startsWith('interrupted')) await world.commit();
    assert.deepEqual(await promises(world), ['committed recovery'], 'a person has looked, and keeps what runs there');
    await world.finishes();
  });

test('a move whose enabling was given up and skipped does not forget its VM', async () => {
  const clouds = (...names: string[]) => names.map((name) => ({ name, vms: name === 'Gold' ? 1 : 0 }));
  const world = await World.make({ sites: { reading: clouds('Gold'), slough: clouds('Silver', 'Copper') } });
  await world.pair();
  await world.pair('reading/Gold', 'slough/Copper');
  await world.protect([0], 'reading/Gold', 'slough/Silver');
  await world.clock.advance(65_000);
  const given = { site: 'reading', at: 'enableReplication', when: 'afterEffect', isBack: false } as const;
  await isSkipped(world, await world.moveRequest(), 'enable', given);
  assert.deepEqual(await promises(world), ['interrupted primary'], 'somebody has to look');
  assert.match(await viewOf(world, 'reading', 'vm-1'), /^running/);
  const end = { ...(await world.requestFor('unprotect')), forced: { reason: 'it is protected anew' } } as never;
  await world.settles(await world.ask(end));
  assert.deepEqual(await promises(world), []);
  await world.finishes();
});
