/** Actions of a plan as sentences: in which order they run, where, who is asked, and what it means when one fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildReport } from '../../control-plane/reports/report.ts';
import { begun, partsOf, stateOf, stepOf, viewOf } from '../support/plan-runs.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';

const sqlAnswers = { do: 'waitForTcp', name: 'SQL answers', host: 'sql', port: 1433, withinSeconds: 60 } as const;
const tellTheBank = { do: 'ask', name: 'tell the bank', instruction: 'Call the bank.' } as const;

test('actions run before and after groups and members, in the order of the plan, and hold up what comes after them', async () => {
  const world = await protectedWorld({ vms: 3 });
  world.site('slough').network.open.add('sql:1433');
  world.site('slough').network.statuses.set('https://shop/health', 204);
  const job = await world.failOverAsPlanned(
    await world.planOf([
      {
        name: 'databases',
        before: [
          { ...sqlAnswers, name: 'first' },
          { ...sqlAnswers, name: 'second' },
        ],
        members: [{ vm: 'vm-1', after: [{ do: 'waitForGuest', name: 'guest of vm-1' }] }],
        after: [sqlAnswers],
      },
      {
        name: 'front',
        members: [{ vm: 'vm-2', before: [{ ...sqlAnswers, name: 'before vm-2' }], dependsOn: ['vm-3'] }, { vm: 'vm-3' }],
        after: [{ do: 'waitForHttp', name: 'the shop is open', url: 'https://shop/health', status: 204 }],
      },
    ]),
  );
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await begun(world, job), [
    'first',
    'second',
    'start vm-1',
    'guest of vm-1',
    'SQL answers',
    'start vm-3',
    'before vm-2',
    'start vm-2',
    'the shop is open',
  ]);
  await world.finishes();
});

test('an action runs only in the kinds and directions that it names, and at the site that it names', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.site('reading').network.open.add('sql:1433');
  const plan = await world.planOf([
    {
      name: 'all',
      members: [{ vm: 'vm-1' }],
      before: [
        { ...sqlAnswers, name: 'at the primary', at: 'primary', kinds: ['planned'] },
        { ...sqlAnswers, name: 'in a test', kinds: ['test'] },
        { ...sqlAnswers, name: 'unplanned only', kinds: ['unplanned'] },
        { ...sqlAnswers, name: 'on the way back', directions: ['toPrimary'] },
      ],
    },
  ]);
  const job = await world.failOverAsPlanned(plan);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await begun(world, job), ['at the primary', 'start vm-1']);
  assert.ok(world.site('reading').network.looks > 0 && world.site('slough').network.looks === 0);

  await world.commit();
  await world.reverseReplication();
  const back = await world.failOverAsPlanned(plan, 'toPrimary');
  assert.equal(await stateOf(world, back), 'succeeded');
  assert.deepEqual(await begun(world, back), ['at the primary', 'on the way back', 'start vm-1']);
  assert.equal(world.site('slough').network.looks, 0, 'the VM comes up at Reading, so that is where it is done');
  await world.finishes();
});

test('the job waits for a person, whose comment stays with it, and the waiting is counted as theirs', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  const plan = await world.planOf([{ name: 'all', before: [tellTheBank], members: [{ vm: 'vm-1' }] }]);
  const job = await world.failOver(plan);
  assert.equal(await stateOf(world, job), 'waiting');
  assert.deepEqual(await begun(world, job), ['tell the bank'], 'nothing is started before');
  const [asked] = (await viewOf(world, job)).groups[0]?.members ?? [];
  assert.deepEqual([asked?.name, asked?.isAction, asked?.status], ['tell the bank', true, 'waitsForPerson']);
  assert.equal(asked?.steps[0]?.instruction, 'Call the bank.');

  await world.clock.advance(300_000);
  await world.decide(job, await stepOf(world, job, 'tell the bank'), 'confirm');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  const [done] = (await viewOf(world, job)).groups[0]?.members ?? [];
  assert.deepEqual([done?.status, done?.steps[0]?.comment], ['done', 'I have looked']);
  const report = buildReport(await partsOf(world, job));
  assert.equal(report.total.vms, 1, 'an action is no VM');
  assert.ok((report.total.split?.personSeconds ?? 0) >= 300, 'waiting for a person');
  assert.deepEqual(
    report.actions.map(({ name, outcome, confirmed }) => [name, outcome, confirmed?.by, confirmed?.comment]),
    [['tell the bank', 'succeeded', 'operator', 'I have looked']],
  );
  assert.ok((report.actions[0]?.personSeconds ?? 0) >= 300);
  await world.finishes();
});

test('while the job waits for a person a crash of everything changes nothing', async () => {
  const world = await protectedWorld({ vms: 1 });
  const job = await world.failOverAsPlanned(await world.planOf([{ name: 'all', before: [tellTheBank], members: [{ vm: 'vm-1' }] }]));
  assert.equal(await stateOf(world, job), 'waiting');
  world.controlPlaneCrashes();
  world.agentCrashes('slough');
  await world.everythingIsBack();
  assert.equal(await stateOf(world, job), 'waiting');
  await world.decide(job, await stepOf(world, job, 'tell the bank'), 'confirm');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});

test('a failed action with stop takes a planned failover back as long as nothing has started', async () => {
  const world = await protectedWorld({ vms: 2 });
  const plan = await world.planOf([
    { name: 'databases', before: [sqlAnswers], members: [{ vm: 'vm-1' }] },
    { name: 'front', members: [{ vm: 'vm-2' }] },
  ]);
  const job = await world.failOverAsPlanned(plan);
  assert.equal(await stateOf(world, job), 'failed');
  assert.ok(world.site('slough').network.looks > 1, 'it was looked for, again and again');
  assert.deepEqual(await begun(world, job), ['SQL answers']);
  for (const vm of await world.protectedVms()) assert.deepEqual([vm.phase, vm.activeLocation], ['protected', 'primary']);
  await world.finishes();
});

test('a failed action with stop waits for a person once a VM has started, and what comes after it waits too', async () => {
  const world = await protectedWorld({ vms: 2 });
  const request = await world.requestFor(
    'plannedFailover',
    await world.planOf([
      { name: 'databases', members: [{ vm: 'vm-1' }], after: [sqlAnswers] },
      { name: 'front', members: [{ vm: 'vm-2' }] },
    ]),
  );
  const job = await world.ask(request);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(await begun(world, job), ['start vm-1', 'SQL answers']);

  world.site('slough').network.open.add('sql:1433');
  await world.decide(job, await stepOf(world, job, 'SQL answers'), 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual((await begun(world, job)).at(-1), 'start vm-2');
  await world.finishes();
});

test('a failed action with continue is told at the end, and holds nobody up', async () => {
  const world = await protectedWorld({ vms: 2 });
  const patient = { ...sqlAnswers, onFailure: 'continue' } as const;
  const job = await world.failOverAsPlanned(
    await world.planOf([
      { name: 'databases', before: [patient], members: [{ vm: 'vm-1' }] },
      { name: 'front', members: [{ vm: 'vm-2' }] },
    ]),
  );
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  assert.deepEqual(await begun(world, job), ['SQL answers', 'start vm-1', 'start vm-2']);
  const report = buildReport(await partsOf(world, job));
  assert.deepEqual([report.total.succeeded, report.total.failed], [2, 0]);
  assert.deepEqual(
    report.actions.map(({ outcome, failures }) => [outcome, failures[0]?.code]),
    [['failed', 'ERR_WAIT_TIMEOUT']],
  );
  await world.finishes();
});

test('an action at a member holds up the member and whoever depends on it, and nobody else', async () => {
  const world = await protectedWorld({ vms: 3 });
  world.goesDark('reading');
  const request = await world.requestFor(
    'unplannedFailover',
    await world.planOf([
      {
        name: 'all',
        members: [{ vm: 'vm-1', after: [sqlAnswers] }, { vm: 'vm-2', dependsOn: ['vm-1'] }, { vm: 'vm-3' }],
      },
    ]),
  );
  const job = await world.ask(request);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(await begun(world, job), ['start vm-1', 'start vm-3', 'SQL answers']);
  await world.decide(job, await stepOf(world, job, 'SQL answers'), 'skip');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'completedWithFailures');
  assert.equal((await begun(world, job)).at(-1), 'start vm-2');
  await world.finishes();
});

test('an action waits as long as its delay says', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.site('slough').network.open.add('sql:1433');
  const plan = await world.planOf([{ name: 'all', members: [{ vm: 'vm-1' }], after: [{ ...sqlAnswers, delaySeconds: 120 }] }]);
  const job = await world.failOverAsPlanned(plan);
  const facts = (await world.job(job))?.facts ?? [];
  const momentOf = (type: string, part: string) =>
    facts.find((fact) => fact.type === type && 'step' in fact && fact.step.startsWith(part))?.at ?? 0;
  assert.equal(momentOf('started', 'action/') - momentOf('done', 'start/'), 120_000);
  await world.finishes();
});

test('a plan may say how many of its VMs start at once on a host', async () => {
  const world = await protectedWorld({ vms: 6, extra: 'timings: { guestStart: 20 s }' });
  const members = world.definition('reading').vms.map(({ name }) => ({ vm: name }));
  const job = await world.failOverAsPlanned(await world.planOf([{ name: 'all', members }], { startsPerHost: 1 }));
  assert.equal(await stateOf(world, job), 'succeeded');
  const starts = world
    .site('slough')
    .fabric.powerLog()
    .filter(({ cause }) => cause === 'startVm');
  assert.equal(starts.length, 6);
  const byHost = Map.groupBy(starts, ({ host }) => host);
  assert.ok(
    [...byHost.values()].some((some) => some.length > 1),
    'some share a host',
  );
  for (const some of byHost.values()) {
    const moments = some.map(({ at }) => at).sort((a, b) => a - b);
    for (const [index, at] of moments.entries()) assert.ok(index === 0 || at - (moments[index - 1] ?? 0) >= 20_000, moments.join());
  }
  await world.finishes();
});
