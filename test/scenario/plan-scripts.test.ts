/** Scripts of a plan as sentences: what they are told, what their end means, and that nobody runs one twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildReport } from '../../control-plane/reports/report.ts';
import { begun, partsOf, stateOf, stepOf } from '../support/plan-runs.ts';
import { aScriptOfUnknownOutcomeWaitsForAPerson, protectedWorld } from '../support/planted-scenarios.ts';
import { digest } from '../support/test-scripts.ts';

const tellTheBank = { do: 'ask', name: 'tell the bank', instruction: 'Call the bank.' } as const;
const moveTheName = { do: 'runScript', name: 'move the name', script: `Move-Name.ps1@${digest('a')}` } as const;

test('a script runs at its site, is told of the failover, and its exit code, duration and digest are in the report', async () => {
  const world = await protectedWorld({ vms: 2 });
  for (const site of ['reading', 'slough'] as const) world.site(site).scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  const job = await world.failOverAsPlanned(
    await world.planOf([
      {
        name: 'databases',
        before: [{ ...moveTheName, at: 'primary', kinds: ['planned'] }],
        members: [{ vm: 'vm-1' }, { vm: 'vm-2' }],
        after: [moveTheName],
      },
    ]),
  );
  assert.equal(await stateOf(world, job), 'succeeded');
  const [atPrimary, atRecovery] = (['reading', 'slough'] as const).map((site) => {
    assert.equal(world.site(site).scripts.ran.length, 1);
    return JSON.parse(world.site(site).scripts.ran[0]?.input ?? '');
  });
  assert.deepEqual(
    [atRecovery.plan.version, atRecovery.kind, atRecovery.direction, atRecovery.group, atRecovery.site],
    [1, 'planned', 'toRecovery', 'databases', 'recovery'],
  );
  assert.deepEqual(
    atRecovery.vms.map((vm: { name: string; activeSite: string }) => [vm.name, vm.activeSite]),
    [
      ['vm-1', 'recovery'],
      ['vm-2', 'recovery'],
    ],
  );
  assert.deepEqual([atPrimary.site, atPrimary.vms[0].activeSite], ['primary', null], 'it was off there when the script ran');
  const report = buildReport(await partsOf(world, job));
  assert.deepEqual(report.actions.at(-1)?.script, { name: 'Move-Name.ps1', sha256: digest('a'), exitCode: 0, seconds: 1.5 });
  await world.finishes();
});

test('a script that ends with another exit code than 0 has failed, and is never run again by itself', async () => {
  const world = await protectedWorld({ vms: 2 });
  const { scripts } = world.site('slough');
  scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  scripts.exitCodes.set('Move-Name.ps1', 3);
  const plan = await world.planOf([
    { name: 'databases', members: [{ vm: 'vm-1' }], after: [moveTheName] },
    { name: 'front', members: [{ vm: 'vm-2' }] },
  ]);
  const job = await world.ask(await world.requestFor('plannedFailover', plan));
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  assert.equal(scripts.ran.length, 1);
  const report = buildReport(await partsOf(world, job));
  assert.deepEqual([report.actions[0]?.script?.exitCode, report.actions[0]?.failures[0]?.code], [3, 'ERR_SCRIPT_FAILED']);
  await world.decide(job, await stepOf(world, job, 'move the name'), 'skip');
  await world.settles(job);
  assert.deepEqual((await begun(world, job)).at(-1), 'start vm-2');
  await world.finishes();
});

test(
  'a script whose outcome nobody knows waits for a person, holds up what comes after it, and is not run again',
  aScriptOfUnknownOutcomeWaitsForAPerson,
);

test('a job whose script is of unknown outcome can be cancelled, and is taken back', async () => {
  const world = await protectedWorld({ vms: 2 });
  world.site('slough').scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  world.places.hurtWhere(
    ({ kind, what }) => kind === 'effect' && what.startsWith('script'),
    () => {
      world.agentCrashes('slough');
      return 'dies';
    },
  );
  const plan = await world.planOf([{ name: 'all', before: [moveTheName], members: [{ vm: 'vm-1' }, { vm: 'vm-2' }] }]);
  const job = await world.ask(await world.requestFor('plannedFailover', plan));
  await world.settles(job);
  await world.everythingIsBack();
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  assert.equal(world.places.hurts, 1, 'the agent died');
  await world.cancel(job);
  await world.until('the job ends', async () => (await world.job(job))?.job.endedAt !== null);
  assert.equal(await stateOf(world, job), 'cancelled');
  for (const vm of await world.protectedVms()) assert.deepEqual([vm.phase, vm.activeLocation], ['protected', 'primary']);
  await world.finishes();
});

test('a drill runs the actions that name it and no other, and what they ask of a guest is asked of its test copy', async () => {
  const world = await protectedWorld({ vms: 2 });
  world.site('slough').scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  const plan = await world.planOf([
    {
      name: 'databases',
      before: [{ ...tellTheBank, kinds: ['test'] }],
      members: [{ vm: 'vm-1', after: [{ do: 'waitForGuest', name: 'guest of vm-1', kinds: ['test'], withinSeconds: 60 }] }],
      after: [moveTheName, { ...moveTheName, name: 'check the copies', kinds: ['test'] }],
    },
    { name: 'front', members: [{ vm: 'vm-2' }] },
  ]);
  const drill = await world.drill(plan);
  assert.equal(await stateOf(world, drill), 'waiting');
  await world.decide(drill, await stepOf(world, drill, 'tell the bank'), 'confirm');
  await world.settles(drill);
  assert.equal(await stateOf(world, drill), 'succeeded');
  assert.deepEqual(await begun(world, drill), [
    'tell the bank',
    'start the test copy of vm-1',
    'guest of vm-1',
    'check the copies',
    'start the test copy of vm-2',
  ]);
  const told = JSON.parse(world.site('slough').scripts.ran[0]?.input ?? '');
  assert.deepEqual([told.kind, told.vms[0].name, told.vms[0].activeSite], ['test', 'vm-1 - Test', 'recovery']);
  await world.cleanUp(drill);
  await world.finishes();
});

test('a channel is failed over by its script: planned or forced, from whoever has it to the other side', async () => {
  const world = await protectedWorld({ vms: 1 });
  for (const site of ['reading', 'slough'] as const) world.site(site).scripts.entries.push({ name: 'Switch.ps1', sha256: digest('c') });
  const channel = {
    do: 'failOverChannel',
    name: 'move the databases',
    channel: 'shop-ag',
    primary: 'SQL-R',
    recovery: 'SQL-S',
    script: `Switch.ps1@${digest('c')}`,
    parameters: { waitSeconds: 60 },
  } as const;
  const plan = await world.planOf([{ name: 'all', before: [channel], members: [{ vm: 'vm-1' }] }]);
  const toldAt = (site: 'reading' | 'slough') => JSON.parse(world.site(site).scripts.ran.at(-1)?.input ?? '');
  assert.equal(await stateOf(world, await world.failOverAsPlanned(plan)), 'succeeded');
  assert.deepEqual(toldAt('slough').channel, { name: 'shop-ag', mode: 'planned', primary: 'SQL-R', secondary: 'SQL-S' });
  assert.deepEqual(toldAt('slough').parameters, { waitSeconds: 60 });

  await world.commit();
  await world.reverseReplication();
  assert.equal(await stateOf(world, await world.failOverAsPlanned(plan, 'toPrimary')), 'succeeded');
  assert.deepEqual(toldAt('reading').channel, { name: 'shop-ag', mode: 'planned', primary: 'SQL-S', secondary: 'SQL-R' });
  await world.finishes();

  const other = await protectedWorld({ vms: 1 });
  other.site('slough').scripts.entries.push({ name: 'Switch.ps1', sha256: digest('c') });
  other.goesDark('reading');
  await other.failOver(await other.planOf([{ name: 'all', before: [channel], members: [{ vm: 'vm-1' }] }]));
  assert.equal(JSON.parse(other.site('slough').scripts.ran[0]?.input ?? '').channel.mode, 'forced');
  await other.finishes();
});
