/** A site dies in the middle of a job, as sentences: the job waits for it, until a person says that it will not come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  anAgentThatDiedDoesNothingOfWhatWasGivenUp,
  anAgentThatIsBackInAMomentIsNotGivenUp,
  anAgentThatLostItsLineActsNoMore,
  ends,
  protectedWorld,
  untilFact,
} from '../support/planted-scenarios.ts';
import { World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

const slow = 'timings: { stopVm: { median: 40 s }, startFailover: { median: 40 s } }';
const promises = async (world: World) => (await world.protectedVms()).map((vm) => `${vm.phase} ${vm.activeLocation}`);

test('the primary site dies while its guests are shut down for a planned failover: it is given up, and they are failed over all the same', async () => {
  const world = await protectedWorld({ vms: 2, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  await assert.rejects(world.giveUp(planned, 'reading'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'its agent is there');
  world.goesDark('reading');
  await world.clock.advance(60_000);
  await assert.rejects(world.giveUp(planned, 'reading'), { code: 'ERR_SITE_UNJUDGED' }, 'its agent may still act');
  await world.clock.advance(3_600_000);
  assert.equal(await stateOf(world, planned), 'inProgress', 'it waits');
  await assert.rejects(world.failOver(), { code: 'ERR_VM_BUSY' });

  await world.givesUp(planned, 'reading');
  await world.settles(planned);
  assert.equal(await stateOf(world, planned), 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary', 'interrupted primary']);
  const facts = (await world.job(planned))?.facts ?? [];
  assert.deepEqual(
    facts.flatMap((fact) => (fact.type === 'givenUp' ? [`${fact.by}: ${fact.reason}`] : [])),
    ['operator: it will not come back'],
  );
  assert.equal(await stateOf(world, await world.failOver()), 'succeeded');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  await world.finishes();
});

test('what the site had in hand when it was given up changes nothing when it is back', async () => {
  const world = await protectedWorld({ vms: 1, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await world.givesUp(planned, 'reading');
  await world.settles(planned);
  await world.clock.advance(60_000);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'off primary/replicating', 'the agent went on alone, as far as a dark site lets it');
  world.returns('reading');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, planned), 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary']);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded', 'and it can be asked for again');
  await world.finishes();
});

test('past the point of no return a step of a site that was given up waits for a person, and can be tried again when the site is back', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startVm: { median: 20 s } }' });
  await world.failOverAsPlanned();
  const back = await world.ask(await world.requestFor('takeBack'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(120_000);
  await world.givesUp(back, 'reading');
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'parked');
  await assert.rejects(world.giveUp(back, 'reading'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'nothing waits for it any more');
  world.returns('reading');
  await world.everythingIsBack();
  const [vm] = await world.protectedVms();
  await world.decide(back, `start/${vm?.id}`, 'retry');
  await world.settles(back);
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual(await promises(world), ['protected primary']);
  await world.finishes();
});

test('a site that was given up stays given up when the control plane is killed right after', async () => {
  const world = await protectedWorld({ vms: 2, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.goesDark('reading');
  await world.clock.advance(1_000);
  await world.givesUp(planned, 'reading');
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  await world.until('the job ends', async () => (await stateOf(world, planned)) === 'failed');
  assert.deepEqual(await promises(world), ['interrupted primary', 'interrupted primary']);
  await world.finishes();
});

test(
  'an agent that died before it stopped a VM, and was given up, stops nothing when it is back',
  anAgentThatDiedDoesNothingOfWhatWasGivenUp,
);
test(
  'an agent that lost its line in the middle of an undo starts nothing that was failed over meanwhile',
  anAgentThatLostItsLineActsNoMore,
);
test('a line that was cut for a moment is no reason to give a site up', anAgentThatIsBackInAMomentIsNotGivenUp);

test('an agent that died before it started a VM again, and was given up, leaves it off when it is back: it runs elsewhere', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { startFailover: { median: 20 s } }' });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await untilFact(world, planned, 'started', 'failover/');
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'hangs', operation: 'startVm', times: 1, when: 'beforeEffect' });
  await world.cancel(planned);
  await world.until('it is to be started again', () => faults.fired().length === 1);
  world.agentCrashes('reading');
  world.goesDark('reading');
  await world.givesUp(planned, 'reading');
  await ends(world, planned, 'cancelled');
  assert.equal(await stateOf(world, await world.failOver()), 'succeeded');
  await world.clock.advance(600_000);
  world.returns('reading');
  await world.everythingIsBack();
  await world.clock.advance(120_000);
  assert.equal((await viewOf(world, 'reading', 'vm-1')).split(' ')[0], 'off');
  assert.equal((await viewOf(world, 'slough', 'vm-1')).split(' ')[0], 'running');
  await world.finishes();
});

test('a former primary whose way to a replica was given up stays what it is when its agent is back', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { stopVm: { from: 40 s, to: 40 s } }' });
  world.goesDark('reading');
  await world.failOver();
  world.returns('reading');
  await world.everythingIsBack();
  await world.commit();
  const reversal = await world.ask(await world.requestFor('reverseReplication'));
  await untilFact(world, reversal, 'started', 'become-replica/');
  await world.clock.advance(5_000);
  world.agentCrashes('reading');
  await world.givesUp(reversal, 'reading');
  await ends(world, reversal, 'parked');
  const [vm] = await world.protectedVms();
  await world.decide(reversal, `become-replica/${vm?.id}`, 'skip');
  await world.clock.advance(30 * 60_000);
  await world.agentRestarts('reading');
  await world.everythingIsBack();
  await world.clock.advance(300_000);
  assert.match(
    await viewOf(world, 'reading', 'vm-1'),
    /^off primary/,
    'the shut-down that was under way has ended, and nothing came after it',
  );
  await world.finishes();
});

test('a control plane that has just started gives nobody up before they had time to come back', async () => {
  const world = await protectedWorld({ vms: 1, extra: slow });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.controlPlaneCrashes();
  await world.controlPlaneRestarts();
  await world.controlPlane.hasResumed;
  await assert.rejects(world.giveUp(planned, 'reading'), { code: 'ERR_SITE_UNHEARD' });
  await world.everythingIsBack();
  await world.settles(planned);
  assert.equal(await stateOf(world, planned), 'succeeded');
  await world.finishes();
});

test('whoever gives a site up of which the job has nothing open is told so, connected or not', async () => {
  const sites = { reading: [{ name: 'Gold', vms: 1 }], slough: [{ name: 'Silver', vms: 0 }], bath: [{ name: 'Tin', vms: 0 }] };
  const world = await World.make({ sites, extra: slow });
  await world.pair();
  await world.protect();
  await world.clock.advance(65_000);
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(1_000);
  for (const isDark of [false, true]) {
    if (isDark) world.goesDark('bath');
    await assert.rejects(world.giveUp(planned, 'bath'), /nothing in the job waits for that site/);
  }
  await world.settles(planned);
  await world.finishes();
});

for (const isBack of [true, false]) {
  test(`what is to be undone later at a site that was given up is ${isBack ? 'done, for it is back' : 'left, for it is still away'}`, async () => {
    const world = await protectedWorld({ vms: 2, extra: 'timings: { stopFailover: { from: 50 s, to: 50 s } }' });
    const { faults } = world.site('reading').fabric;
    faults.order({ kind: 'hangs', operation: 'stopVm', vm: 'vm-2', times: 1, when: 'beforeEffect' });
    const planned = await world.ask(await world.requestFor('plannedFailover'));
    await world.until('the one hangs and the other is failed over', async () =>
      (await viewOf(world, 'slough', 'vm-1')).includes('failedOver'),
    );
    assert.equal(faults.fired().length, 1);
    world.goesDark('reading');
    await world.givesUp(planned, 'reading');
    await world.clock.advance(10_000);
    assert.equal(await stateOf(world, planned), 'inProgress', 'the failover of the other is taken back first');
    if (isBack) world.returns('reading');
    await ends(world, planned, 'failed');
    const undone = (await world.job(planned))?.facts.filter(({ type }) => type === 'undone').length;
    assert.equal(undone, isBack ? 2 : 1);
    assert.equal(await viewOf(world, 'reading', 'vm-1'), isBack ? 'running primary/replicating' : 'off primary/preparedForFailover');
    world.returns('reading');
    await world.finishes();
  });
}

test('a VM that was to be started again at a site that was given up is not called protected; taking back leads out', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'hangs', operation: 'startVm', times: 1, when: 'beforeEffect' });
  const back = await world.ask(await world.requestFor('takeBack'));
  await world.until('it is to be started', () => faults.fired().length === 1);
  world.agentCrashes('reading');
  world.goesDark('reading');
  await world.givesUp(back, 'reading');
  await ends(world, back, 'parked');
  const [vm] = await world.protectedVms();
  await world.decide(back, `start/${vm?.id}`, 'skip');
  await world.settles(back);
  world.returns('reading');
  await world.everythingIsBack();
  assert.match(await viewOf(world, 'reading', 'vm-1'), /^off/);
  assert.deepEqual(await promises(world), ['interrupted recovery']);
  assert.equal(await stateOf(world, await world.takeBack()), 'succeeded');
  assert.deepEqual(await promises(world), ['protected primary']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  await world.finishes();
});
