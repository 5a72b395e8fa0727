/** First copies as sentences: at a later time, and carried in a folder. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import type { FirstCopy } from '../../shared/domain/first-copy.ts';
import type { JobId, VmId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { World } from '../support/world.ts';
import { failuresOf, refOf, shownVms, stateOf, viewOf } from '../support/world-views.ts';

const HOUR_MS = 3_600_000;

async function pairedWorld(vms = 1): Promise<World> {
  const world = await World.make({ vms });
  await world.pair();
  return world;
}

async function requestWith(world: World, firstCopy: FirstCopy, indices?: readonly number[]) {
  return { ...((await world.protectRequest(indices)) as OperationRequestOf<'protect'>), firstCopy };
}

const inHours = (world: World, hours: number): FirstCopy => ({ how: 'at', at: isoMoment(world.clock.now() + hours * HOUR_MS) });
const carried = (world: World): FirstCopy => ({ how: 'export', folder: world.carried });
const phasesOf = async (world: World) => (await world.protectedVms()).map(({ phase }) => phase);
const issuesOf = async (world: World) => (await shownVms(world)).flatMap(({ issues }) => issues);
const pointOf = async (world: World) => (await world.site('slough').fabric.findVm(refOf(world, 'slough', 'vm-1')))?.replication.lastPointAt;

async function scheduled(hours = 2): Promise<{ world: World; job: JobId }> {
  const world = await pairedWorld();
  const job = await world.ask(await requestWith(world, inHours(world, hours)));
  await world.clock.advance(60_000);
  return { world, job };
}

async function exported(vms = 1): Promise<{ world: World; job: JobId }> {
  const world = await pairedWorld(vms);
  const job = await world.ask(await requestWith(world, carried(world)));
  await world.settles(job);
  return { world, job };
}

test('a first copy at a later time begins at its moment and not before; job and VM say when', async () => {
  const { world, job } = await scheduled();
  const begins = isoMoment(world.clock.now() - 60_000 + 2 * HOUR_MS);
  assert.deepEqual(await phasesOf(world), ['seeding']);
  const [issue] = await issuesOf(world);
  assert.equal(issue?.issue, 'firstCopyScheduled');
  assert.match(issue?.cause ?? '', new RegExp(`Begins at ${begins.slice(0, 16)}`));
  const titles = (await world.graph(job)).steps.map(({ title }) => title).filter((title) => title.includes(begins.slice(0, 16)));
  assert.equal(titles.length, 2, 'the step that schedules it and the one that waits');
  await world.clock.advance(1.5 * HOUR_MS);
  assert.deepEqual([await stateOf(world, job), await pointOf(world)], ['inProgress', null]);
  await world.clock.advance(HOUR_MS);
  assert.deepEqual([await stateOf(world, job), await phasesOf(world)], ['succeeded', ['protected']]);
  await world.finishes();
});

test('cancelled before its moment, nothing is left of it at either side', async () => {
  const { world, job } = await scheduled();
  await world.cancel(job);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'cancelled');
  assert.deepEqual([await viewOf(world, 'reading', 'vm-1'), await viewOf(world, 'slough', 'vm-1')], ['running none/disabled', 'none']);
  await world.clock.advance(3 * HOUR_MS);
  assert.deepEqual(await world.protectedVms(), []);
  await world.finishes();
});

test('it begins at its moment although everything was restarted meanwhile, and late where the site was away', async () => {
  const { world, job } = await scheduled();
  world.controlPlaneCrashes();
  world.agentCrashes('reading');
  await world.everythingRestarts();
  world.goesDark('reading');
  await world.clock.advance(3 * HOUR_MS);
  assert.deepEqual(await phasesOf(world), ['seeding']);
  world.returns('reading');
  await world.settles(job);
  assert.deepEqual([await stateOf(world, job), await phasesOf(world)], ['succeeded', ['protected']]);
  await world.finishes();
});

test('a first copy that is carried: exported, taken in later, and what was written meanwhile follows', async () => {
  const { world, job } = await exported();
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.clock.advance(2 * HOUR_MS);
  assert.deepEqual([await phasesOf(world), await pointOf(world)], [['seeding'], null]);
  assert.deepEqual(
    (await issuesOf(world)).map(({ issue }) => issue),
    ['firstCopyToImport'],
  );
  const view = await world.site('reading').fabric.findVm(refOf(world, 'reading', 'vm-1'));
  assert.deepEqual([view?.replication.state, view?.replication.health], ['waitingForInitialReplication', 'warning']);
  const began = world.clock.now();
  assert.equal(await stateOf(world, await world.importFirstCopy()), 'succeeded');
  assert.deepEqual(await phasesOf(world), ['protected']);
  await world.clock.advance(65_000);
  assert.ok(((await pointOf(world)) ?? 0) > began, 'newer than what was carried');
  assert.deepEqual(await issuesOf(world), []);
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  await world.finishes();
});

test('where the folder holds no copy of it the job waits for a person, and goes on when it is there', async () => {
  const { world } = await exported();
  const request = (await world.requestFor('importFirstCopy')) as OperationRequestOf<'importFirstCopy'>;
  const job = await world.ask({ ...request, folder: `${world.folder}/late` });
  await world.settles(job);
  assert.deepEqual([await stateOf(world, job), await failuresOf(world, job)], ['parked', ['ERR_FIRST_COPY_FOLDER']]);
  cpSync(world.carried, `${world.folder}/late`, { recursive: true });
  const [vm] = await world.protectedVms();
  await world.decide(job, `import/${vm?.id}`, 'retry');
  await world.settles(job);
  assert.deepEqual([await stateOf(world, job), await phasesOf(world)], ['succeeded', ['protected']]);
  await world.finishes();
});

test('exported to a folder that is not there, nothing is left of the protection', async () => {
  const world = await pairedWorld();
  const job = await world.ask(await requestWith(world, { how: 'export', folder: '/nowhere/at-all' }));
  await world.settles(job);
  assert.deepEqual([await stateOf(world, job), await failuresOf(world, job)], ['failed', ['ERR_FIRST_COPY_FOLDER']]);
  assert.deepEqual([await viewOf(world, 'reading', 'vm-1'), await viewOf(world, 'slough', 'vm-1')], ['running none/disabled', 'none']);
  await world.finishes();
});

test('a copy that an earlier protection exported is not taken in', async () => {
  const { world } = await exported();
  await world.clock.advance(HOUR_MS);
  assert.equal(await stateOf(world, await world.unprotect()), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
  const elsewhere = `${world.folder}/carried-too`;
  mkdirSync(elsewhere);
  await world.settles(await world.ask(await requestWith(world, { how: 'export', folder: elsewhere })));
  const old = await world.ask(await world.requestFor('importFirstCopy'));
  await world.settles(old);
  assert.deepEqual(await failuresOf(world, old), ['ERR_FIRST_COPY_FOLDER']);
  rmSync(world.carried, { recursive: true });
  renameSync(elsewhere, `${world.folder}/carried`);
  const [vm] = await world.protectedVms();
  await world.decide(old, `import/${vm?.id}`, 'retry');
  await world.settles(old);
  assert.deepEqual([await stateOf(world, old), await phasesOf(world)], ['succeeded', ['protected']]);
  await world.finishes();
});

test('resynchronizing brings no copy that is carried: the job waits for a person, and the copy is taken in once it is given up', async () => {
  const { world } = await exported();
  const job = await world.resynchronize();
  assert.deepEqual([await stateOf(world, job), await failuresOf(world, job)], ['parked', ['ERR_WRONG_STATE']]);
  const [vm] = await world.protectedVms();
  await world.decide(job, `resynchronize/${vm?.id}`, 'skip');
  await world.settles(job);
  assert.equal(await stateOf(world, await world.importFirstCopy()), 'succeeded');
  await world.finishes();
});

test('of several VMs each is taken in from its own subfolder, and those whose copy has not come wait', async () => {
  const { world } = await exported(2);
  const [first] = await world.protectedVms();
  assert.equal(await stateOf(world, await world.importFirstCopy({ vms: [first?.id as never] })), 'succeeded');
  assert.deepEqual((await phasesOf(world)).sort(), ['protected', 'seeding']);
  await assert.rejects(world.importFirstCopy(), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'one of them has it');
  await world.finishes();
});

test('what cannot be is refused at once, with every mistake', async () => {
  const world = await pairedWorld();
  const stranger = '00000000-0000-4000-8000-00000000000f' as VmId;
  for (const hours of [-1, 24 * 7 + 1]) {
    const request = await requestWith(world, inHours(world, hours));
    await assert.rejects(
      world.ask({ ...request, vms: [...request.vms, stranger] }),
      (thrown: { code: string; problems: { field?: string }[] }) => {
        assert.deepEqual([thrown.code, thrown.problems.map(({ field }) => field)], ['ERR_REQUEST_INVALID', ['firstCopy.at', undefined]]);
        return true;
      },
    );
  }
  assert.deepEqual(await world.protectedVms(), []);
  await world.finishes();
});
