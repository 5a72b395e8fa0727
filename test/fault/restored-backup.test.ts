/**
 * A backup of the control plane's database that was made at any step is put back when the job is over, and when its VMs have been moved
 * otherwise since. Whatever the sites know and the log does not: nothing is done before a person has looked.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { holdOf } from '../../shared/engine/facts.ts';
import type { JobId } from '../../shared/ids.ts';
import { type CaseName, faultCase } from '../support/fault-cases.ts';
import { pictureOf } from '../support/operation-picture.ts';
import { assertSame, calmRun, countRuns, type FaultCase, finished, type Run, settledRun } from '../support/operation-runs.ts';
import type { SiteName, World } from '../support/world.ts';
import { nameOf, type Place } from '../support/world-places.ts';

const MINUTE_MS = 60_000;

const onEach = async (name: CaseName, hurt: (operation: FaultCase) => Promise<void>) => {
  const operation = await faultCase(name);
  try {
    await hurt(operation);
  } finally {
    rmSync(operation.template.folder, { recursive: true, force: true });
  }
};

/** Calls back with each run of which a backup was made after a write of the log. */
async function withABackupOfEachStep(
  operation: FaultCase,
  then: (world: World) => void,
  look: (run: Run, calm: Run, what: string) => Promise<void>,
) {
  const calm = await calmRun(operation);
  let met = 0;
  for (const [index, place] of calm.places.entries()) {
    if (!isWrite(place)) continue;
    const run = await settledRun(operation, (world) =>
      world.places.hurtAt(index, () => {
        world.backUp();
        then(world);
        return 'lives';
      }),
    );
    const what = `backup after ${index}: ${nameOf(place)}`;
    assert.equal(run.world.places.hurts, 1, `${what}: it was made`);
    await look(run, calm, what);
    met++;
  }
  assert.ok(met > 0, 'there was a step');
}

const isWrite = ({ kind, ...place }: Place) => kind === 'append' && 'when' in place && place.when === 'after';

/** Whether a site has taken on a command of the job that the restored log lacks: read from the trace, not asked of the product. */
function isBehind({ trace }: World, job: JobId): boolean {
  const restored = trace.events.findLast((event) => event.type === 'restored');
  const facts = restored?.jobs.find((stored) => stored.job.id === job)?.facts ?? [];
  const known = new Set(
    facts.flatMap((fact) =>
      fact.type === 'started' || fact.type === 'undoStarted'
        ? [`${fact.step}/${fact.attempt}${fact.type === 'started' ? '' : '/undo'}`]
        : [],
    ),
  );
  return trace.events.some(
    (event) =>
      event.type === 'journal' &&
      event.write === 'began' &&
      event.commandId.startsWith(`${job}/`) &&
      !known.has(event.commandId.slice(job.length + 1)),
  );
}

/** Put back, with the sites there, or with one that comes minutes later; the calls that were made at the sites since. */
async function putBack(world: World, later: SiteName | null): Promise<() => number> {
  const isDark = later !== null && world.isDark(later);
  if (later !== null && !isDark) world.goesDark(later);
  await world.controlPlaneIsRestoredFromBackup();
  const from = world.trace.events.length;
  await world.clock.advance(2 * MINUTE_MS);
  if (later !== null) world.returns(later);
  await world.everythingIsBack();
  await world.clock.advance(MINUTE_MS);
  return () => world.trace.events.slice(from).filter(({ type }) => type === 'call').length;
}

async function waitsAndEndsAsItStands({ world, job }: Run, later: SiteName | null, what: string): Promise<boolean> {
  const callsSince = await putBack(world, later);
  if (!isBehind(world, job)) return false;
  const stored = await world.job(job);
  assert.equal(stored?.job.state, 'parked', `${what}: it waits for a person`);
  assert.equal(holdOf(stored?.facts ?? [])?.code, 'ERR_NEWER_DECISION', what);
  assert.equal(callsSince(), 0, `${what}: nothing was done`);
  await world.cancel(job);
  await world.clock.advance(MINUTE_MS);
  assert.equal((await world.job(job))?.job.state, 'cancelled', `${what}: it has ended`);
  assert.equal(callsSince(), 0, `${what}: as it stood`);
  return true;
}

const names: readonly CaseName[] = ['plannedFailover', 'takeBack', 'changeRecoveryPoint', 'reverseReplication'];
for (const name of names)
  for (const later of [null, 'reading', 'slough'] as const)
    test(`${name}: a backup of any step is put back when all was done${later === null ? '' : `, and ${later} is heard minutes later`}`, (t) =>
      onEach(name, async (operation) => {
        let held = 0;
        await withABackupOfEachStep(
          operation,
          () => {},
          async (run, calm, what) => {
            const isHeld = await waitsAndEndsAsItStands(run, later, what);
            if (isHeld) held++;
            else assertSame(await pictureOf(run.world, run.job), calm.after, `${what}: nothing was lost`);
            await finished(run, what);
          },
        );
        assert.ok(held > 0, 'there was a step that a site knows more than');
        t.diagnostic(`fault runs: ${name} restored ${countRuns()}, ${held} held`);
      }));

test('unplannedFailover: a backup of any step is put back, the primary site is dark, and it is heard minutes later', (t) =>
  onEach('unplannedFailover', async (operation) => {
    let held = 0;
    await withABackupOfEachStep(
      operation,
      () => {},
      async (run, calm, what) => {
        const isHeld = await waitsAndEndsAsItStands(run, 'reading', what);
        if (isHeld) held++;
        else assert.equal((await pictureOf(run.world, run.job)).state, calm.after.state, `${what}: nothing was lost`);
        await finished(run, what);
      },
    );
    assert.ok(held > 0);
    t.diagnostic(`fault runs: unplannedFailover restored ${countRuns()}, ${held} held`);
  }));
