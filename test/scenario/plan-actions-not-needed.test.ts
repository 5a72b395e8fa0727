/** Actions of groups of which nobody is left, as sentences: they are not begun, and everybody who reads of the job is told so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Output } from '../../control-plane/cli/output.ts';
import { JobModel } from '../../control-plane/cli/progress/job-model.ts';
import { summaryOf } from '../../control-plane/cli/progress/summary.ts';
import { reportText } from '../../control-plane/cli/report-text.ts';
import type { Surroundings } from '../../control-plane/cli/surroundings.ts';
import { buildReport } from '../../control-plane/reports/report.ts';
import type { JobId } from '../../shared/ids.ts';
import { begun, partsOf, stateOf, stepOf, viewOf } from '../support/plan-runs.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { digest } from '../support/test-scripts.ts';
import type { SiteName, World } from '../support/world.ts';

const KINDS = ['unplanned' as const, 'test' as const, 'takeBack' as const, 'changeRecoveryPoint' as const];
const look = (name: string) => ({ do: 'waitForTcp' as const, name, host: 'sql', port: 1433, withinSeconds: 60, kinds: KINDS });
const drain = {
  do: 'runScript' as const,
  name: 'drain',
  script: `Drain.ps1@${digest('d')}`,
  kinds: ['takeBack' as const, 'changeRecoveryPoint' as const],
};

async function protectedVms(vms: number): Promise<World> {
  const world = await protectedWorld({ vms });
  for (const name of ['reading', 'slough'] as const) world.site(name).network.open.add('sql:1433');
  return world;
}

/** vm-1 and vm-2 are the databases, vm-3 the front, with actions around both groups. */
const databasesAndFront = (world: World) =>
  world.planOf([
    { name: 'databases', before: [look('before databases')], members: [{ vm: 'vm-1' }, { vm: 'vm-2' }], after: [look('after databases')] },
    { name: 'front', before: [look('before front')], members: [{ vm: 'vm-3' }], after: [look('after front')] },
  ]);

function fails(world: World, site: SiteName, operation: 'startFailover' | 'startTestFailover' | 'stopFailover', ...vms: string[]): void {
  for (const vm of vms) world.site(site).fabric.faults.order({ kind: 'fails', operation, vm, times: 1_000, when: 'beforeEffect' });
}

async function notNeeded(world: World, job: JobId): Promise<string[]> {
  const { groups } = await viewOf(world, job);
  return groups.flatMap(({ members }) => members.flatMap(({ name, status }) => (status === 'notNeeded' ? [name] : [])));
}

async function asked(world: World, kind: 'takeBack' | 'changeRecoveryPoint', plan: Awaited<ReturnType<World['planOf']>>, over = {}) {
  const job = await world.ask({ ...(await world.requestFor(kind, plan)), ...over } as never);
  await world.settles(job);
  return job;
}

test('in an unplanned failover actions of a group whose members have all failed are not begun, and the plan goes on', async () => {
  const world = await protectedVms(3);
  world.goesDark('reading');
  fails(world, 'slough', 'startFailover', 'vm-1', 'vm-2');
  const job = await world.failOver(await databasesAndFront(world));
  assert.ok(world.site('slough').fabric.faults.fired().length >= 2, 'both could not be failed over');
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  assert.deepEqual(await begun(world, job), ['before front', 'start vm-3', 'after front']);
  assert.deepEqual(await notNeeded(world, job), ['before databases', 'after databases']);
  await world.finishes();
});

test('a group in which one member still lives keeps its actions', async () => {
  const world = await protectedVms(3);
  world.goesDark('reading');
  fails(world, 'slough', 'startFailover', 'vm-1');
  const job = await world.failOver(await databasesAndFront(world));
  assert.ok(world.site('slough').fabric.faults.fired().length > 0, 'one could not be failed over');
  assert.deepEqual(await begun(world, job), [
    'before databases',
    'start vm-2',
    'after databases',
    'before front',
    'start vm-3',
    'after front',
  ]);
  assert.deepEqual(await notNeeded(world, job), []);
  await world.finishes();
});

test('a member that waits for a person is not lost: it may still come, and its group keeps its actions', async () => {
  const world = await protectedVms(1);
  world.goesDark('reading');
  const fault = world.site('slough').fabric.faults.order({ kind: 'fails', operation: 'startVm', times: 1_000, when: 'beforeEffect' });
  const job = await world.failOver(await world.planOf([{ name: 'all', members: [{ vm: 'vm-1' }], after: [look('after all')] }]));
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(await begun(world, job, ['action']), ['after all']);
  world.site('slough').fabric.faults.lift(fault);
  await world.decide(job, await stepOf(world, job, 'start vm-1'), 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});

test('when every member of a plan has failed the job has failed, and no action of it was begun', async () => {
  const world = await protectedVms(3);
  world.goesDark('reading');
  fails(world, 'slough', 'startFailover', 'vm-1', 'vm-2', 'vm-3');
  const job = await world.failOver(await databasesAndFront(world));
  assert.ok(world.site('slough').fabric.faults.fired().length >= 3, 'none could be failed over');
  assert.equal(await stateOf(world, job), 'failed');
  assert.deepEqual(await begun(world, job), []);
  await world.finishes();
});

test('whoever depends on a member of another group that fell has fallen too, and so have the actions of their group', async () => {
  const world = await protectedVms(2);
  world.goesDark('reading');
  fails(world, 'slough', 'startFailover', 'vm-1');
  const plan = await world.planOf([
    { name: 'databases', members: [{ vm: 'vm-1' }] },
    { name: 'front', before: [look('before front')], members: [{ vm: 'vm-2', dependsOn: ['vm-1'] }] },
  ]);
  const job = await world.failOver(plan);
  assert.ok(world.site('slough').fabric.faults.fired().length > 0, 'the one could not be failed over');
  assert.deepEqual([await begun(world, job), await notNeeded(world, job)], [[], ['before front']]);
  await world.finishes();
});

test('a take back whose first action fails takes nobody back, and none of the actions behind it is begun', async () => {
  const world = await protectedVms(1);
  const plan = await world.planOf([
    { name: 'all', beforeShutDown: [drain], before: [look('before all')], members: [{ vm: 'vm-1' }], after: [look('after all')] },
  ]);
  await world.failOverAsPlanned(plan);
  const job = await asked(world, 'takeBack', plan);
  assert.equal(await stateOf(world, job), 'failed', 'there is no such script at the site');
  assert.deepEqual(await begun(world, job, ['action', 'take-back', 'start']), ['drain']);
  assert.deepEqual(await notNeeded(world, job), ['before all', 'after all']);
  const [vm] = await world.protectedVms();
  assert.equal(vm?.phase, 'failedOver', 'it runs where it ran');
  await world.finishes();
});

test('a person who leaves a VM off at both sides when it is taken back leaves the actions behind it too', async () => {
  const world = await protectedVms(1);
  await world.failOverAsPlanned();
  world.site('reading').fabric.faults.order({ kind: 'fails', operation: 'startVm', times: 1_000, when: 'beforeEffect' });
  const plan = await world.planOf([
    { name: 'all', members: [{ vm: 'vm-1', after: [look('it answers')] }], after: [{ ...look('after all'), delaySeconds: 3_600 }] },
  ]);
  const job = await world.ask(await world.requestFor('takeBack', plan));
  await world.until('it cannot be started', async () => (await world.job(job))?.facts.some(({ type }) => type === 'failed') === true);
  await world.clock.advance(60_000);
  assert.deepEqual(await begun(world, job, ['action']), [], 'its action is held back');
  await world.decide(job, await stepOf(world, job, 'start vm-1 at the primary site'), 'skip');
  await world.settles(job);
  assert.deepEqual([await stateOf(world, job), await begun(world, job, ['action'])], ['failed', []]);
  assert.deepEqual(await notNeeded(world, job), ['after all']);
  await world.finishes();
});

test('another recovery point that no member has switches nobody off, and no action is begun for it', async () => {
  const world = await protectedVms(1);
  const plan = await world.planOf([{ name: 'all', beforeShutDown: [drain], before: [look('before all')], members: [{ vm: 'vm-1' }] }]);
  world.goesDark('reading');
  await world.failOver(plan);
  const job = await asked(world, 'changeRecoveryPoint', plan, { recoveryPoint: { choose: 'given', id: 'none such' } });
  assert.deepEqual([await stateOf(world, job), await begun(world, job, ['action', 'take-back', 'start'])], ['failed', []]);
  assert.deepEqual(await notNeeded(world, job), ['drain', 'before all']);
  await world.finishes();
});

test('a drill of which no copy could be made runs no action', async () => {
  const world = await protectedVms(3);
  fails(world, 'slough', 'startTestFailover', 'vm-1', 'vm-2');
  const job = await world.drill(await databasesAndFront(world));
  assert.ok(world.site('slough').fabric.faults.fired().length >= 2, 'two copies could not be made');
  assert.deepEqual(await begun(world, job), ['before front', 'start the test copy of vm-3', 'after front']);
  assert.deepEqual(await notNeeded(world, job), ['before databases', 'after databases']);
  await world.finishes();
});

test('view, report and command line tell that it was not needed, also after a crash of everything', async () => {
  const world = await protectedVms(3);
  world.goesDark('reading');
  fails(world, 'slough', 'startFailover', 'vm-1', 'vm-2');
  const job = await world.failOver(await databasesAndFront(world));
  world.controlPlaneCrashes();
  await world.everythingIsBack();
  const report = buildReport(await partsOf(world, job));
  assert.deepEqual(
    report.actions.map(({ name, outcome, beganAt, endedAt }) => [name, outcome, beganAt === null, endedAt !== null]),
    [
      ['before databases', 'notNeeded', true, true],
      ['after databases', 'notNeeded', true, true],
      ['before front', 'succeeded', false, true],
      ['after front', 'succeeded', false, true],
    ],
  );
  const terminal = new Output({ environment: {}, stdout: {} } as unknown as Surroundings, false);
  assert.match(reportText(report, terminal), /before databases +before databases +not needed: nobody of the group was left/);
  const detail = await viewOf(world, job);
  assert.match(summaryOf(detail, terminal), /databases: 0 of 4 done, 2 failed, 2 not needed/);
  assert.deepEqual(
    new JobModel(detail).groups[0]?.members.map(({ status }) => status),
    ['notNeeded', 'undone', 'undone', 'notNeeded'],
  );
  await world.finishes();
});
