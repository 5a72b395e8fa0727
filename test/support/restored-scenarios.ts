/** Stories of a backup that is put back, each in a world with protected VMs: parts of the suites, and what catches planted bugs. */
import assert from 'node:assert/strict';
import { holdOf } from '../../shared/engine/facts.ts';
import type { JobId } from '../../shared/ids.ts';
import type { World } from './world.ts';
import { siteIdOf } from './world-core.ts';
import { stateOf, viewOf } from './world-views.ts';

const MINUTE_MS = 60_000;

/** Shutting down and failing over take long enough to be met in the middle. */
export const slowFailover = 'timings: { stopVm: { median: 40 s }, startFailover: { median: 40 s } }';

/** Why the job is held, and because of which sites; null where it is not. */
export async function holdOn(world: World, job: JobId): Promise<string | null> {
  const hold = holdOf((await world.job(job))?.facts ?? []);
  const nameOf = (site: string) => world.siteNames.find((name) => siteIdOf(name) === site);
  return hold && `${hold.code} ${hold.sites.map(({ site }) => nameOf(site)).join(' ')}`;
}

/** Since that many events of the trace. */
export const callsSince = (world: World, index: number) => world.trace.events.slice(index).filter(({ type }) => type === 'call').length;

/** A planned failover is under way when the backup is made; then its primary site is given up, and the VM is failed over. */
export async function isGivenUpAndFailedOverAfterABackup(world: World): Promise<JobId> {
  const planned = await world.ask(await world.requestFor('plannedFailover'));
  await world.clock.advance(2_000);
  world.backUp();
  await world.clock.advance(3_000);
  world.goesDark('reading');
  await world.givesUp(planned, 'reading');
  await world.settles(planned);
  assert.equal(await stateOf(world, await world.failOver()), 'succeeded');
  return planned;
}

export async function aJobIsHeldWhoseVmWasFailedOverSince(world: World): Promise<void> {
  const planned = await isGivenUpAndFailedOverAfterABackup(world);
  world.returns('reading');
  await world.controlPlaneIsRestoredFromBackup();
  const restoredAt = world.trace.events.length;
  await world.clock.advance(10 * MINUTE_MS);
  const [hold, state, calls] = [await holdOn(world, planned), await stateOf(world, planned), callsSince(world, restoredAt)];
  const [vm] = await world.protectedVms();
  const isTold = world.controlPlane.runner.isNewerAtASite(vm?.vaultId as never, vm?.vmId as never);
  await world.cancel(planned).catch(() => {});
  await world.clock.advance(10 * MINUTE_MS);
  const left = [await stateOf(world, planned), callsSince(world, restoredAt), (await world.protectedVms())[0]?.phase];
  const there = await viewOf(world, 'slough', 'vm-1');
  // A person has looked, and keeps what runs there.
  const commit = await world.commit().catch(() => null);
  const committed = [commit && (await stateOf(world, commit)), (await world.protectedVms())[0]?.activeLocation];
  await world.finishes();
  assert.deepEqual([hold, state, calls, isTold], ['ERR_NEWER_DECISION slough', 'parked', 0, true]);
  assert.deepEqual(left, ['cancelled', 0, 'interrupted'], 'it ended as it stood');
  assert.equal(there, 'running replica/failedOverWaitingCompletion');
  assert.deepEqual(committed, ['succeeded', 'recovery']);
}

/** The recovery site comes back later than the primary. */
export async function nothingIsDoneBeforeEverySiteIsHeard(world: World): Promise<void> {
  const planned = await isGivenUpAndFailedOverAfterABackup(world);
  world.returns('reading');
  world.goesDark('slough');
  await world.controlPlaneIsRestoredFromBackup();
  const restoredAt = world.trace.events.length;
  await world.clock.advance(1_000);
  const atFirst = [
    await holdOn(world, planned),
    await world.cancel(planned).then(
      () => 'cancelled',
      (thrown: { code: string }) => thrown.code,
    ),
  ];
  await world.clock.advance(60 * MINUTE_MS);
  const meanwhile = [await holdOn(world, planned), callsSince(world, restoredAt)];
  world.returns('slough');
  await world.everythingIsBack();
  await world.clock.advance(MINUTE_MS);
  const inTheEnd = [await holdOn(world, planned), callsSince(world, restoredAt)];
  await world.finishes();
  assert.deepEqual(atFirst, [null, 'ERR_SITE_UNHEARD'], 'it waits for the word of slough');
  assert.deepEqual(meanwhile, ['ERR_SITE_UNHEARD slough', 0]);
  assert.deepEqual(inTheEnd, ['ERR_NEWER_DECISION slough', 0]);
}

export async function decisionsAreAboveAllThatSitesHaveSeen(world: World): Promise<void> {
  world.backUp();
  for (let times = 0; times < 3; times++) {
    await world.failOverAsPlanned();
    await world.takeBack();
  }
  const before = (await world.protectedVms())[0]?.epoch ?? 0;
  await world.controlPlaneIsRestoredFromBackup();
  await world.clock.advance(5_000);
  const state = await stateOf(world, await world.failOverAsPlanned());
  const after = (await world.protectedVms())[0]?.epoch;
  await world.finishes();
  assert.deepEqual([before > 0, state, after], [true, 'succeeded', before + 1]);
}

/** The control plane is put back to a night before the failover, and believes that the replicas are idle. */
export async function aRestoredBackupDoesNotTouchWhatIsNewer(world: World): Promise<void> {
  world.backUp();
  world.goesDark('reading');
  await world.failOver();
  world.returns('reading');
  await world.controlPlaneIsRestoredFromBackup();
  const job = await world.unprotect();
  const state = (await world.job(job))?.job.state;
  await world.finishes();
  assert.equal(state, 'parked');
  const starts = world.trace.events.filter((event) => event.type === 'power' && event.change.cause === 'startVm');
  assert.equal(starts.length, 2, 'the failover had happened');
}
