/** The scenarios that catch planted bugs, each a part of the suites; as a program it runs those that are named. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import type { JobId } from '../../shared/ids.ts';
import { endsReplication } from './by-hand.ts';
import { faultCase } from './fault-cases.ts';
import {
  bearsRepeats,
  endsCleanlyWhereverACallFails,
  mayBeCancelledAnywhere,
  survivesACrashOfAnAgent,
  survivesACrashOfTheControlPlane,
  survivesADiskThatFails,
  waitsForAPerson,
} from './operation-faults.ts';
import type { FaultCase } from './operation-runs.ts';
import type { ScenarioName } from './planted-bug.ts';
import {
  aJobIsHeldWhoseVmWasFailedOverSince,
  aRestoredBackupDoesNotTouchWhatIsNewer,
  decisionsAreAboveAllThatSitesHaveSeen,
  nothingIsDoneBeforeEverySiteIsHeard,
  slowFailover,
} from './restored-scenarios.ts';
import { digest } from './test-scripts.ts';
import { World, type WorldOptions } from './world.ts';
import { siteIdOf } from './world-core.ts';
import type { Place } from './world-places.ts';
import { stateOf, viewOf } from './world-views.ts';

const MINUTE_MS = 60_000;

const on = (kind: FaultCase['kind'], hurt: (operation: FaultCase) => Promise<unknown>) => async () => {
  const operation = await faultCase(kind);
  try {
    await hurt(operation);
  } finally {
    rmSync(operation.template.folder, { recursive: true, force: true });
  }
};

const withOneVm = (story: (world: World) => Promise<void>) => async () => story(await protectedWorld({ vms: 1, extra: slowFailover }));

export const scenarios: { readonly [K in ScenarioName]: () => Promise<void> } = {
  'control plane dies': on('unplannedFailover', survivesACrashOfTheControlPlane),
  'agent dies': on('unplannedFailover', survivesACrashOfAnAgent),
  'everything twice': on('unplannedFailover', bearsRepeats),
  'calls fail': on('unplannedFailover', endsCleanlyWhereverACallFails),
  'writes fail': on('commit', survivesADiskThatFails),
  'job rests': anOutcomeThatComesWhileItsJobRestsIsNotConfirmed,
  cancelled: on('pair', mayBeCancelledAnywhere),
  'taking back is skipped': on('takeBack', waitsForAPerson),
  'planned calls fail': on('plannedFailover', endsCleanlyWhereverACallFails),
  'drill calls fail': on('testFailover', endsCleanlyWhereverACallFails),
  'drill on an open network': aDrillOnAnOpenNetworkStartsNothing,
  'drill on its own network': aNetworkOfADrillGoesWithItsCopies,
  'drilled VM unprotected by force': aCopyWhoseVmWasUnprotectedByForceIsNoPassedDrill,
  'reachable primary': aReachablePrimaryIsNotFailedOver,
  'failed back': aFailoverAfterAReversalLeadsBack,
  'backup restored': async () => aRestoredBackupDoesNotTouchWhatIsNewer(await protectedWorld({ deleteReplica: false })),
  'backup restored after a failover': withOneVm(aJobIsHeldWhoseVmWasFailedOverSince),
  'backup restored, and a site is away': withOneVm(nothingIsDoneBeforeEverySiteIsHeard),
  'backup restored, and decided anew': withOneVm(decisionsAreAboveAllThatSitesHaveSeen),
  'command late': aCommandThatComesTooLateIsNotBegun,
  'undo is skipped': aFailoverThatWasLeftIsNotCalledUndone,
  'failed over again': aFailoverThatWasLeftIsNotTakenForOnesOwn,
  'protected anew': whatWasLeftDoesNotHitTheNewProtection,
  suspended: on('suspend', bearsRepeats),
  'action fails': nothingStartsAfterAFailedAction,
  'all of a group fall': () => actionsAreForWhoIsLeft(['vm-1', 'vm-2']),
  'one of a group falls': () => actionsAreForWhoIsLeft(['vm-1']),
  'agent dies in a script': aScriptOfUnknownOutcomeWaitsForAPerson,
  'given up, and its agent had died': anAgentThatDiedDoesNothingOfWhatWasGivenUp,
  'given up, and its agent lives': anAgentThatLostItsLineActsNoMore,
  'given up in a moment': anAgentThatIsBackInAMomentIsNotGivenUp,
};

/** Two sites, a pairing, protected VMs. */
export async function protectedWorld(options: WorldOptions = {}): Promise<World> {
  const world = await World.make(options);
  await world.pair();
  await world.protect();
  await world.clock.advance(65_000);
  return world;
}

export async function aReachablePrimaryIsNotFailedOver(): Promise<void> {
  const world = await protectedWorld();
  const request = await world.requestFor('unplannedFailover');
  assert.equal(request.kind, 'unplannedFailover');
  const asked = world.ask({ ...request, primary: { evidence: 'unreachable', reason: 'it seems so' } } as never);
  const refusal = await asked.then(
    () => null,
    (thrown: { code: string }) => thrown.code,
  );
  await world.finishes();
  assert.equal(refusal, 'ERR_PRIMARY_REACHABLE');
}

/** Replication was reversed; then a person attests that the VMs are down at the recovery site. */
export async function aFailoverAfterAReversalLeadsBack(): Promise<void> {
  const world = await protectedWorld();
  await world.failOverAsPlanned();
  await world.commit();
  await world.reverseReplication();
  await world.clock.advance(65_000);
  await world.failOver(undefined, 'toPrimary');
  const at = (await world.protectedVms()).map(({ phase, activeLocation }) => `${phase} ${activeLocation}`);
  await world.finishes();
  assert.deepEqual(at, ['failedOver primary', 'failedOver primary']);
}

/** The network is in no pairing's map, so only the site can tell that it leads somewhere. */
export async function aDrillOnAnOpenNetworkStartsNothing(): Promise<void> {
  const world = await protectedWorld();
  const office = world.definition('slough').networks.find(({ name }) => name === 'Office')?.id;
  const request = await world.requestFor('testFailover');
  const network = { use: 'isolated', networks: [{ siteId: siteIdOf('slough'), networkId: office }] };
  const job = await world.ask({ ...request, network } as never);
  await world.settles(job);
  const stored = await world.job(job);
  const copies = world.site('slough').fabric.testCopies().size;
  await world.finishes();
  const codes = stored?.facts.flatMap((fact) => (fact.type === 'failed' ? [fact.error.code] : []));
  assert.deepEqual([stored?.job.state, copies, codes], ['failed', 0, ['ERR_NETWORK_NOT_ISOLATED', 'ERR_NETWORK_NOT_ISOLATED']]);
}

async function aNetworkOfADrillGoesWithItsCopies(): Promise<void> {
  const world = await protectedWorld();
  const request = { ...(await world.requestFor('testFailover')), network: world.ownNetwork() };
  await world.settles(await world.ask(request as never));
  const made = world.site('slough').fabric.madeForDrills().length;
  await world.cleanUp(request.id);
  await world.finishes();
  assert.equal(made, 1);
}

/** The copy could not be cleaned up, its VM is unprotected by force while the site is dark, and the jobs are read again meanwhile. */
export async function aCopyWhoseVmWasUnprotectedByForceIsNoPassedDrill(): Promise<void> {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  const { fabric } = world.site('slough');
  const fault = fabric.faults.order({ kind: 'fails', operation: 'stopTestFailover', times: 1_000 });
  await world.cleanUp(drill, 'passed');
  const met = fabric.faults.fired().length;
  world.goesDark('slough');
  await world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'Slough is sold' } } as never);
  await world.clock.advance(10_000);
  const left = [(await world.protectedVms()).length, fabric.testCopies().size];
  world.controlPlaneCrashes();
  await world.everythingIsBack();
  fabric.faults.lift(fault);
  world.returns('slough');
  await world.finishes();
  assert.ok(met > 0, 'the fault happened');
  assert.deepEqual(left, [0, 1], 'nobody told of the copy, and it was there');
}

/** The recovery site is cut off for two hours just after it was asked. */
export async function aCommandThatComesTooLateIsNotBegun(): Promise<void> {
  const world = await protectedWorld();
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const request = await world.requestFor('unplannedFailover');
  world.deliver.toAgent = 0;
  await world.ask(request);
  world.goesDark('slough');
  await world.clock.advance(7_200_000);
  world.deliver.toAgent = 1;
  world.returns('slough');
  await world.settles(request.id);
  const refused = world.trace.events.filter((event) => event.type === 'journal' && event.write === 'refused');
  await world.finishes();
  assert.ok(refused.length > 0, 'a command came too late');
}

/** The log cannot be written when the first VM is ready; the second one is ready before the job was loaded anew. */
export async function anOutcomeThatComesWhileItsJobRestsIsNotConfirmed(): Promise<void> {
  const world = await protectedWorld({ extra: 'timings: { startFailover: { from: 500 ms, to: 3 s } }' });
  world.goesDark('reading');
  await world.clock.advance(15_000);
  const request = await world.requestFor('unplannedFailover');
  const isOutcome = (place: Place) => place.kind === 'append' && place.when === 'before' && place.what.includes('done');
  world.places.hurtWhere(isOutcome, () => 'fails');
  await world.ask(request);
  await world.settles(request.id);
  const { hurts } = world.places;
  await world.finishes();
  assert.equal(hurts, 1, 'the write failed');
}

/** A failover is cancelled while the replica is failed over; that cannot be taken back, and a person leaves it so. */
export async function leavesAFailover(world: World): Promise<JobId> {
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'stopFailover', times: 3, when: 'beforeEffect' });
  const job = await world.ask(await world.requestFor('unplannedFailover'));
  await world.clock.advance(5_000);
  await world.cancel(job);
  await world.settles(job);
  assert.equal(faults.fired().length, 3, 'the faults happened');
  const [vm] = await world.protectedVms();
  await world.decide(job, `failover/${vm?.id}`, 'skip');
  await world.settles(job);
  return job;
}

const slow = 'timings: { startFailover: { median: 20 s } }';

export async function aFailoverThatWasLeftIsNotCalledUndone(): Promise<void> {
  const world = await protectedWorld({ vms: 1, extra: slow });
  await leavesAFailover(world);
  await world.finishes();
}

export async function aFailoverThatWasLeftIsNotTakenForOnesOwn(): Promise<void> {
  const world = await protectedWorld({ vms: 1, extra: slow });
  await leavesAFailover(world);
  await world.failOver();
  await world.finishes();
}

/** The first VM runs, and what the plan waits for before the second one never comes about. */
export async function nothingStartsAfterAFailedAction(): Promise<void> {
  const world = await protectedWorld();
  const wait = { do: 'waitForTcp', name: 'SQL answers', host: 'sql', port: 1433, withinSeconds: 30 } as const;
  const plan = await world.planOf([
    { name: 'databases', members: [{ vm: 'vm-1' }], after: [wait] },
    { name: 'front', members: [{ vm: 'vm-2' }] },
  ]);
  const job = await world.ask(await world.requestFor('plannedFailover', plan));
  await world.settles(job);
  const state = (await world.job(job))?.job.state;
  await world.finishes();
  assert.equal(state, 'parked');
}

/** Members of the first group cannot be failed over; those of the second can. */
async function actionsAreForWhoIsLeft(falling: readonly string[]): Promise<void> {
  const world = await protectedWorld({ vms: 3 });
  world.goesDark('reading');
  const { fabric, network } = world.site('slough');
  network.open.add('sql:1433');
  for (const vm of falling) fabric.faults.order({ kind: 'fails', operation: 'startFailover', vm, times: 3, when: 'beforeEffect' });
  const look = (name: string) => ({ do: 'waitForTcp' as const, name, host: 'sql', port: 1433 });
  const plan = await world.planOf([
    { name: 'databases', before: [look('before')], members: [{ vm: 'vm-1' }, { vm: 'vm-2' }], after: [look('after')] },
    { name: 'front', members: [{ vm: 'vm-3' }] },
  ]);
  const job = await world.failOver(plan);
  const state = await stateOf(world, job);
  const met = fabric.faults.fired().length;
  await world.finishes();
  assert.deepEqual([met, state], [3 * falling.length, 'completedWithFailures']);
}

/** The replica could not be removed; a person does it, protects the VM anew, and tries the old step again all the same. */
export async function whatWasLeftDoesNotHitTheNewProtection(): Promise<void> {
  const world = await protectedWorld({ vms: 1 });
  const [vm] = await world.protectedVms();
  const { faults } = world.site('slough').fabric;
  faults.order({ kind: 'fails', operation: 'removeReplication', times: 3 });
  const end = await world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'it is moved by hand' } } as never);
  await world.settles(end);
  await endsReplication(world, 'slough', vm?.vmId as never);
  await world.protect();
  const code = await world.decide(end, `remove/${vm?.id}`, 'retry').then(
    () => null,
    (thrown: { code: string }) => thrown.code,
  );
  await world.settles(end);
  const phases = (await world.protectedVms()).map(({ phase, epoch }) => `${phase} ${epoch}`);
  const fired = faults.fired().length;
  await world.finishes();
  assert.deepEqual([fired, code, phases], [3, 'ERR_PROTECTED_ANEW', ['protected 1']]);
}

/** The agent dies just when the script has done its work, and cannot know that. */
export async function aScriptOfUnknownOutcomeWaitsForAPerson(): Promise<void> {
  const world = await protectedWorld();
  const { scripts } = world.site('slough');
  scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  const move = { do: 'runScript', name: 'move the name', script: `Move-Name.ps1@${digest('a')}`, onFailure: 'continue' } as const;
  const plan = await world.planOf([
    { name: 'databases', before: [move], members: [{ vm: 'vm-1' }] },
    { name: 'front', members: [{ vm: 'vm-2' }] },
  ]);
  const request = await world.requestFor('plannedFailover', plan);
  const isScript = (place: Place) => place.kind === 'effect' && place.what.startsWith('script');
  world.places.hurtWhere(isScript, () => {
    world.agentCrashes('slough');
    return 'dies';
  });
  const job = await world.ask(request);
  await world.settles(job);
  await world.everythingIsBack();
  await world.settles(job);
  const stored = await world.job(job);
  const { hurts } = world.places;
  await world.finishes();
  assert.equal(hurts, 1, 'the agent died');
  assert.equal(stored?.job.state, 'parked');
  assert.equal(stored?.facts.filter((fact) => fact.type === 'failed' && fact.error.code === 'ERR_SCRIPT_UNKNOWN').length, 1);
  assert.deepEqual([scripts.ran.length, stored?.facts.some((fact) => 'step' in fact && fact.step.startsWith('start/'))], [1, false]);
}

/** Moves on until the log of the job has a fact of a step that begins so. */
export function untilFact(world: World, job: JobId, type: string, step: string): Promise<void> {
  return world.until(`${type} ${step}`, async () =>
    ((await world.job(job))?.facts ?? []).some((fact) => fact.type === type && 'step' in fact && fact.step.startsWith(step)),
  );
}

export async function ends(world: World, job: JobId, state: string): Promise<void> {
  await world.until(`the job is ${state}`, async () => (await stateOf(world, job)) === state);
}

/** It dies just before it stops a VM, which is given up and goes on as production. */
export async function anAgentThatDiedDoesNothingOfWhatWasGivenUp(): Promise<void> {
  const world = await protectedWorld({ vms: 1 });
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'hangs', operation: 'stopVm', times: 1, when: 'beforeEffect' });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.until('it is to be stopped', () => faults.fired().length === 1);
  world.agentCrashes('reading');
  await world.givesUp(planned, 'reading');
  await ends(world, planned, 'failed');
  await world.agentRestarts('reading');
  await world.everythingIsBack();
  await world.clock.advance(10 * MINUTE_MS);
  const found = await viewOf(world, 'reading', 'vm-1');
  await world.finishes();
  assert.equal(found, 'running primary/replicating');
}

/**
 * It takes a planned shut-down back, step by slow step, when its site goes dark. It is given up, and the VM is failed over: from then on
 * it must not be started where it was.
 */
export async function anAgentThatLostItsLineActsNoMore(): Promise<void> {
  const times = 'startFailover: { from: 20 s, to: 20 s }, stopFailover: { from: 55 s, to: 55 s }, writeEpoch: { from: 50 s, to: 50 s }';
  const world = await protectedWorld({ vms: 1, extra: `timings: { ${times} }` });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await untilFact(world, planned, 'started', 'failover/');
  await world.cancel(planned);
  await untilFact(world, planned, 'undoStarted', 'shut-down/');
  await world.clock.advance(1_000);
  world.goesDark('reading');
  await world.givesUp(planned, 'reading');
  await ends(world, planned, 'cancelled');
  await world.failOver();
  await world.clock.advance(10 * MINUTE_MS);
  world.returns('reading');
  await world.everythingIsBack();
  await world.clock.advance(10 * MINUTE_MS);
  const found = [await viewOf(world, 'reading', 'vm-1'), await viewOf(world, 'slough', 'vm-1')];
  const acts = world.trace.events.filter((event) => event.type === 'call' && event.commandId.endsWith('/undo'));
  await world.finishes();
  assert.deepEqual(
    found.map((view) => view.split(' ')[0]),
    ['off', 'running'],
  );
  assert.ok(acts.length > 0, 'it was at it');
}

/** Its line is cut for a moment, while it shuts a VM down. */
export async function anAgentThatIsBackInAMomentIsNotGivenUp(): Promise<void> {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { stopVm: { median: 40 s } }' });
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(5_000);
  world.wires.get('reading')?.cut('a certificate was renewed');
  await world.clock.advance(1);
  const refusal = await world.giveUp(planned, 'reading').then(
    () => null,
    (thrown: { code: string }) => thrown.code,
  );
  await world.everythingIsBack();
  await world.settles(planned);
  const state = await stateOf(world, planned);
  await world.finishes();
  assert.deepEqual([refusal, state], ['ERR_SITE_UNJUDGED', 'succeeded']);
}

if (import.meta.main) {
  for (const name of process.argv.slice(2)) {
    try {
      await scenarios[name as ScenarioName]();
    } catch (thrown) {
      process.stdout.write(`${(thrown as Error).message}\n`);
      process.exitCode = 1;
    }
  }
}
