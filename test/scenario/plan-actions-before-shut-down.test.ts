/** Actions before VMs go off, and those of a take back and of another recovery point, as sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Output } from '../../control-plane/cli/output.ts';
import { reportText } from '../../control-plane/cli/report-text.ts';
import type { Surroundings } from '../../control-plane/cli/surroundings.ts';
import { buildReport } from '../../control-plane/reports/report.ts';
import type { JobId } from '../../shared/ids.ts';
import { begun, partsOf, stateOf, stepOf, viewOf } from '../support/plan-runs.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { digest } from '../support/test-scripts.ts';
import type { World } from '../support/world.ts';

const off = ['planned' as const, 'takeBack' as const, 'changeRecoveryPoint' as const];
const drain = { do: 'runScript', name: 'drain the load balancer', script: `Drain.ps1@${digest('d')}` } as const;
const answers = { do: 'waitForTcp', name: 'SQL answers', host: 'sql', port: 1433, withinSeconds: 60 } as const;

const goesOn = (world: World, job: JobId) => begun(world, job, ['action', 'shut-down', 'take-back', 'start']);

function haveScripts(world: World): void {
  for (const name of ['reading', 'slough'] as const) world.site(name).scripts.entries.push({ name: 'Drain.ps1', sha256: digest('d') });
}

test('before a planned shut-down, groups act in the reverse order of their start, and a member just before it goes off', async () => {
  const world = await protectedWorld({ vms: 2 });
  haveScripts(world);
  world.site('reading').network.open.add('sql:1433');
  const job = await world.failOverAsPlanned(
    await world.planOf([
      { name: 'databases', beforeShutDown: [{ ...answers, name: 'the queue is empty' }], members: [{ vm: 'vm-1' }] },
      { name: 'front', beforeShutDown: [drain], members: [{ vm: 'vm-2', beforeShutDown: [{ ...answers, name: 'nobody is logged in' }] }] },
    ]),
  );
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await goesOn(world, job), [
    'drain the load balancer',
    'the queue is empty',
    'nobody is logged in',
    'shut vm-2 down and send its last changes',
    'shut vm-1 down and send its last changes',
    'start vm-1',
    'start vm-2',
  ]);
  assert.equal(world.site('reading').scripts.ran.length, 1, 'it is done where the VMs run');
  assert.equal(world.site('slough').network.looks, 0);
  await world.finishes();
});

test('while one of them waits for a person every VM runs, and a cancel leaves all as it was', async () => {
  const world = await protectedWorld({ vms: 1 });
  const plan = await world.planOf([
    { name: 'all', beforeShutDown: [{ do: 'ask', name: 'tell the users', instruction: 'Write to them.' }], members: [{ vm: 'vm-1' }] },
  ]);
  const job = await world.failOverAsPlanned(plan);
  assert.equal(await stateOf(world, job), 'waiting');
  assert.deepEqual(await goesOn(world, job), ['tell the users']);
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.activeLocation], ['protected', 'primary']);
  await world.finishes();
});

test('one that fails with stop ends the failover before anybody was shut down, and the report names what was done before it', async () => {
  const world = await protectedWorld({ vms: 2 });
  haveScripts(world);
  const job = await world.failOverAsPlanned(
    await world.planOf([
      { name: 'databases', beforeShutDown: [answers], members: [{ vm: 'vm-1' }] },
      { name: 'front', beforeShutDown: [drain], members: [{ vm: 'vm-2' }] },
    ]),
  );
  assert.equal(await stateOf(world, job), 'failed');
  assert.deepEqual(await goesOn(world, job), ['drain the load balancer', 'SQL answers']);
  const report = buildReport(await partsOf(world, job));
  assert.deepEqual(
    report.actions.map(({ name, when, outcome }) => [name, when, outcome]),
    [
      ['SQL answers', 'beforeShutDown', 'failed'],
      ['drain the load balancer', 'beforeShutDown', 'succeeded'],
    ],
  );
  const terminal = { environment: {}, stdout: {} } as unknown as Surroundings;
  assert.match(
    reportText(report, new Output(terminal, false)),
    /What these did was not taken back, put it right: drain the load balancer$/m,
  );
  await world.finishes();
});

test('the view tells of them first, at the group and at the member', async () => {
  const world = await protectedWorld({ vms: 1 });
  haveScripts(world);
  world.site('slough').network.open.add('sql:1433');
  const member = { vm: 'vm-1', after: [answers], beforeShutDown: [{ ...drain, name: 'stop the service' }] };
  const job = await world.failOverAsPlanned(await world.planOf([{ name: 'all', beforeShutDown: [drain], members: [member] }]));
  const [group] = (await viewOf(world, job)).groups;
  assert.deepEqual(
    group?.members.map(({ name }) => name),
    ['drain the load balancer', 'vm-1', 'vm-1: stop the service', 'vm-1: SQL answers'],
  );
  await world.finishes();
});

test('a take back has actions of its own: before VMs go off at the one site, and around their start at the other', async () => {
  const world = await protectedWorld({ vms: 2 });
  haveScripts(world);
  world.site('reading').network.open.add('sql:1433');
  const plan = await world.planOf([
    { name: 'databases', members: [{ vm: 'vm-1' }], after: [{ ...answers, kinds: ['takeBack'], directions: ['toPrimary'] }] },
    { name: 'front', beforeShutDown: [{ ...drain, kinds: ['takeBack'] }], members: [{ vm: 'vm-2' }] },
  ]);
  const failover = await world.failOverAsPlanned(plan);
  assert.deepEqual(await begun(world, failover), ['start vm-1', 'start vm-2'], 'a failover has none of them');
  const job = await world.takeBack(plan);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await goesOn(world, job), [
    'drain the load balancer',
    'take vm-1 back at the recovery site',
    'take vm-2 back at the recovery site',
    'start vm-1 at the primary site',
    'SQL answers',
    'start vm-2 at the primary site',
  ]);
  assert.equal(world.site('slough').scripts.ran.length, 1, 'it is done where the VMs run');
  await world.finishes();
});

test('an action that fails in a take back after VMs went off waits for a person, and holds up what comes after it', async () => {
  const world = await protectedWorld({ vms: 1 });
  const plan = await world.planOf([{ name: 'all', before: [{ ...answers, kinds: ['takeBack'] }], members: [{ vm: 'vm-1' }] }]);
  await world.failOverAsPlanned(plan);
  const job = await world.ask(await world.requestFor('takeBack', plan));
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(await begun(world, job), ['SQL answers']);
  await world.decide(job, await stepOf(world, job, 'SQL answers'), 'skip');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.activeLocation], ['protected', 'primary']);
  await world.finishes();
});

test('with another recovery point VMs come up group by group, with the actions that name it, at the site where they are', async () => {
  const world = await protectedWorld({ vms: 2 });
  haveScripts(world);
  world.site('slough').network.open.add('sql:1433');
  const plan = await world.planOf([
    { name: 'databases', beforeShutDown: [{ ...drain, kinds: off }], members: [{ vm: 'vm-1' }] },
    { name: 'front', before: [{ ...answers, kinds: ['changeRecoveryPoint'] }], members: [{ vm: 'vm-2' }] },
  ]);
  world.goesDark('reading');
  await world.failOver(plan);
  const job = await world.ask(await world.requestFor('changeRecoveryPoint', plan));
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await goesOn(world, job), [
    'drain the load balancer',
    'take vm-1 back to a replica',
    'take vm-2 back to a replica',
    'start vm-1',
    'SQL answers',
    'start vm-2',
  ]);
  await world.finishes();
});

test('whoever cancels a take back after VMs went off has them come up all the same, and what they wait for is done before', async () => {
  const world = await protectedWorld({ vms: 1 });
  const ask = { do: 'ask' as const, kinds: ['takeBack' as const], instruction: 'Look.' };
  const plan = await world.planOf([
    { name: 'all', before: [{ ...ask, name: 'the disk is there' }], members: [{ vm: 'vm-1' }], after: [{ ...ask, name: 'all is well' }] },
  ]);
  await world.failOverAsPlanned(plan);
  const job = await world.ask(await world.requestFor('takeBack', plan));
  await world.settles(job);
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'waiting');
  await world.decide(job, await stepOf(world, job, 'the disk is there'), 'confirm');
  await world.settles(job);
  assert.deepEqual(await begun(world, job), ['the disk is there', 'start vm-1 at the primary site']);
  assert.equal(await stateOf(world, job), 'cancelled');
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.activeLocation], ['protected', 'primary']);
  await world.finishes();
});
