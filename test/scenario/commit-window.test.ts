/** A failover whose plan gives it a time to be committed in: what happens by itself when nobody does, and when nothing does any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeBackOf } from '../../control-plane/operations/commit-windows.ts';
import type { JobId } from '../../shared/ids.ts';
import { failedOverForMinutes } from '../support/commit-window.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { shownVms } from '../support/world-views.ts';

const MINUTE = 60_000;

const promises = async (world: World) =>
  (await world.protectedVms()).map(({ name, phase, activeLocation, epoch }) => `${name} ${phase} ${activeLocation} ${epoch}`);
const lapses = async (world: World) => (await world.protectedVms()).map(({ commitWindow }) => commitWindow?.lapsed);
/** As people are shown them. */
async function issues(world: World): Promise<string[]> {
  return (await shownVms(world)).flatMap((vm) =>
    vm.issues.map(({ issue, cause }) => `${vm.name} ${issue} ${/Reason: (.*)\.$/.exec(cause)?.[1]}`),
  );
}
const back = ['vm-1 protected primary 2', 'vm-2 protected primary 2'];
const there = ['vm-1 failedOver recovery 1', 'vm-2 failedOver recovery 1'];

/** By itself, when its moment comes. */
async function takesItselfBack(world: World, failover: JobId): Promise<void> {
  const id = takeBackOf(failover);
  await world.until('the failover takes itself back', async () => (await world.job(id))?.job.endedAt != null, 60 * MINUTE);
  assert.equal((await world.job(id))?.job.state, 'succeeded');
}

test('a failover that nobody commits is taken back at its moment, by an ordinary job that says why, in the order of the plan', async () => {
  const { world, failover } = await failedOverForMinutes(60);
  await world.clock.advance(59 * MINUTE);
  assert.deepEqual(await promises(world), there);
  const [vm] = await world.protectedVms();
  const ended = (await world.job(failover))?.job.endedAt ?? 0;
  assert.deepEqual(vm?.commitWindow, { endsAt: ended + 60 * MINUTE, failover, lapsed: null });
  await takesItselfBack(world, failover);
  assert.deepEqual(await promises(world), back);
  const job = (await world.job(takeBackOf(failover)))?.job;
  assert.equal(job?.kind, 'takeBack');
  assert.equal(job.startedBy, 'Farshore (commit window)');
  assert.ok(job.startedAt >= ended + 60 * MINUTE && job.startedAt < ended + 61 * MINUTE);
  const { reason, groups } = job.input as { reason: string; groups: { name: string }[] };
  assert.match(reason, /^it was not committed within 60 minutes, as its plan asks/);
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['group 1', 'group 2'],
  );
  await world.finishes();
});

test('what is committed in time stays, also where it is only one of the VMs', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  const [first] = await world.protectedVms();
  await world.commit({ vms: [first?.id as never] });
  await takesItselfBack(world, failover);
  assert.deepEqual(await promises(world), ['vm-1 committed recovery 1', 'vm-2 protected primary 2']);
  await world.clock.advance(20 * MINUTE);
  assert.equal((await world.controlPlane.store.jobs.commitWindows()).length, 0);
  await world.finishes();
});

test('what a person took back is not taken back again, and the next failover has a window of its own', async () => {
  const { world, failover, plan } = await failedOverForMinutes(10);
  await world.takeBack();
  await world.clock.advance(5 * MINUTE);
  const next = await world.failOverAsPlanned(plan);
  await world.clock.advance(8 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 3', 'vm-2 failedOver recovery 3'], 'past the first window');
  assert.equal(await world.job(takeBackOf(failover)), null);
  await takesItselfBack(world, next);
  await world.finishes();
});

test('another recovery point changes nothing about the window', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  const job = await world.ask(await world.requestFor('changeRecoveryPoint'));
  await world.settles(job);
  await takesItselfBack(world, failover);
  assert.deepEqual(await promises(world), ['vm-1 protected primary 3', 'vm-2 protected primary 3']);
  await world.finishes();
});

test('a control plane that was down at the moment takes the failover back when it is there again', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  await world.clock.advance(9 * MINUTE);
  world.controlPlaneCrashes();
  await world.clock.advance(11 * MINUTE);
  assert.equal(world.isControlPlaneUp, false, 'it was down at the moment');
  await world.everythingIsBack();
  await takesItselfBack(world, failover);
  assert.deepEqual(await promises(world), back);
  await world.finishes();
});

test('after a backup was put back a failover that the sites know more of does not take itself back: somebody may work on what came after it', async () => {
  const { world, plan } = await failedOverForMinutes(10);
  world.backUp();
  await world.takeBack();
  await world.failOverAsPlanned(plan);
  await world.clock.advance(8 * MINUTE);
  await world.commit();
  await world.controlPlaneIsRestoredFromBackup();
  const from = world.trace.events.length;
  await world.clock.advance(30 * MINUTE);
  assert.equal(world.trace.events.slice(from).filter(({ type }) => type === 'call').length, 0);
  const told = await issues(world);
  assert.match(told.join('; '), /vm-1 takeBackDelayed a site of it knows more/);
  assert.match(told.join('; '), /vm-1 newerAtSite/);
  await world.finishes();
});

test('while an agent is away it is tried again, and within the hour it succeeds', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  world.goesDark('reading');
  await world.clock.advance(30 * MINUTE);
  assert.deepEqual(await promises(world), there);
  const away = 'the agent of one of its sites is not connected';
  assert.deepEqual(await issues(world), [`vm-1 takeBackDelayed ${away}`, `vm-2 takeBackDelayed ${away}`]);
  world.returns('reading');
  await world.everythingIsBack();
  await takesItselfBack(world, failover);
  assert.deepEqual(await promises(world), back);
  await world.finishes();
});

test('more than an hour past its moment nothing happens by itself any more: what was written meanwhile is not thrown away', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  world.goesDark('reading');
  await world.clock.advance(72 * MINUTE);
  world.returns('reading');
  await world.everythingIsBack();
  await world.clock.advance(5 * MINUTE);
  assert.deepEqual(await promises(world), there);
  assert.equal(await world.job(takeBackOf(failover)), null);
  assert.deepEqual(await lapses(world), Array(2).fill('the agent of one of its sites is not connected'));
  await world.commit();
  await world.finishes();
});

test('a VM that could not be taken back and was left there by a person is not tried again', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'stopFailover', times: 1_000 });
  const id = takeBackOf(failover);
  await world.clock.advance(9 * MINUTE);
  await world.until('it waits for a person', async () => (await world.job(id))?.job.state === 'parked');
  assert.ok(faults.fired().length > 0, 'the fault happened');
  for (const { id: vm } of await world.protectedVms()) await world.decide(id, `take-back/${vm}`, 'skip');
  await world.settles(id);
  await world.clock.advance(30 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 2', 'vm-2 failedOver recovery 2']);
  assert.deepEqual(await lapses(world), Array(2).fill('it was tried, and a person left it where it is'));
  await world.finishes();
});

test('a VM that a job holds keeps no other from being taken back; it follows when it is free', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  const [one] = await world.protectedVms();
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'completeFailover', times: 3 });
  const commit = await world.ask(await world.requestFor('commit', { vms: [one?.id as never] }));
  await world.settles(commit);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal((await world.job(commit))?.job.state, 'parked');
  await world.clock.advance(40 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 1', 'vm-2 protected primary 2']);
  assert.deepEqual(await lapses(world), [null, undefined], 'it is tried still');
  assert.deepEqual(await issues(world), [`vm-1 takeBackDelayed job ${commit} works on it`]);
  faults.lift(fault);
  await world.decide(commit, `commit/${one?.id}`, 'skip');
  await world.settles(commit);
  const second = takeBackOf(failover, 2);
  await world.until('it follows', async () => (await world.job(second))?.job.endedAt != null);
  assert.deepEqual(await promises(world), back);
  await world.finishes();
});

test('a job that holds a VM for more than an hour lets its window lapse, and the VM says why', async () => {
  const { world, failover } = await failedOverForMinutes(10);
  const [one] = await world.protectedVms();
  world.site('slough').fabric.faults.order({ kind: 'fails', operation: 'completeFailover', times: 3 });
  const commit = await world.ask(await world.requestFor('commit', { vms: [one?.id as never] }));
  await world.clock.advance(120 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 1', 'vm-2 protected primary 2']);
  assert.deepEqual(await lapses(world), [`job ${commit} works on it`, undefined]);
  assert.deepEqual(await issues(world), [`vm-1 takeBackLapsed job ${commit} works on it`]);
  assert.equal(await world.job(takeBackOf(failover, 2)), null);
  await world.decide(commit, `commit/${one?.id}`, 'retry');
  await world.settles(commit);
  assert.deepEqual(await lapses(world), [undefined, undefined], 'committed, it says nothing any more');
  await world.finishes();
});

test('a test copy that was left keeps its VM from being taken back until it is cleaned up', async () => {
  const world = await protectedWorld({ vms: 2 });
  const plan = await world.plan([['vm-1'], ['vm-2']], {}, { commitWithinMinutes: 10 });
  const [one] = await world.protectedVms();
  const drill = await world.drill({ vms: [one?.id as never] });
  const request = await world.requestFor('plannedFailover', plan);
  const failover = await world.ask({ ...request, drillCopies: 'leave' } as never);
  await world.settles(failover);
  await world.clock.advance(20 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 1', 'vm-2 protected primary 2']);
  assert.deepEqual(await issues(world), [`vm-1 takeBackDelayed the test copy of drill ${drill} is there; clean the drill up first`]);
  await world.cleanUp(drill);
  await world.until('it follows', async () => (await world.job(takeBackOf(failover, 2)))?.job.endedAt != null);
  assert.deepEqual(await promises(world), back);
  await world.finishes();
});

test('a plan without the field never takes anything back', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned(await world.plan([['vm-1']]));
  await world.clock.advance(180 * MINUTE);
  assert.deepEqual(await promises(world), ['vm-1 failedOver recovery 1']);
  await world.finishes();
});
