/**
 * Hurts an operation in every way it can be hurt, on a fresh world each time, and looks where it ends. Each kind of
 * operation has one test file that calls these; a new step is covered the moment it is added. Every run attaches all
 * checkers, asserts that its fault was met and that it was the one meant.
 */
import assert from 'node:assert/strict';
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { JobId } from '../../shared/ids.ts';
import { askedSteps, type Picture, pictureOf, sameBut, type Thing, waitingSteps } from './operation-picture.ts';
import { assertSame, calmRun, type FaultCase, finished, type Run, settledRun } from './operation-runs.ts';
import { SeededRandom } from './seeded-random.ts';
import { commandsIn } from './trace.ts';
import type { SiteName, World } from './world.ts';
import { type Hurt, nameOf, type Place } from './world-places.ts';

function kill(world: World, place: Place): 'dies' {
  if (place.kind === 'append') world.controlPlaneCrashes();
  if (place.kind === 'journal' || place.kind === 'effect') world.agentCrashes(place.site as SiteName);
  return 'dies';
}

type HurtIt = (world: World, place: Place) => Hurt;

async function sameEndWhenHurtAt(operation: FaultCase, isMeant: (place: Place) => boolean, hurt: HurtIt = kill): Promise<void> {
  const calm = await calmRun(operation);
  let met = 0;
  for (const [index, place] of calm.places.entries()) {
    if (!isMeant(place)) continue;
    const what = `hurt at ${index}: ${nameOf(place)}`;
    let hurtPlace = '';
    const run = await settledRun(operation, (world) =>
      world.places.hurtAt(index, (reached) => {
        hurtPlace = nameOf(reached);
        return hurt(world, reached);
      }),
    );
    await finished(run, what);
    assert.equal(run.world.places.hurts, 1, `${what}: the fault happened`);
    assert.equal(hurtPlace, nameOf(place), `${what}: it was the one meant`);
    assertSame(run.after, calm.after, `resume-equal: ${what}`);
    met++;
  }
  assert.ok(met > 0, 'there was a place to hurt');
}

/** The control plane dies before and after each entry of the log. */
export const survivesACrashOfTheControlPlane = (operation: FaultCase) => sameEndWhenHurtAt(operation, ({ kind }) => kind === 'append');

/** An agent dies before and after each write of its journal, and after each call of the fabric. */
export const survivesACrashOfAnAgent = (operation: FaultCase) =>
  sameEndWhenHurtAt(operation, ({ kind }) => kind === 'journal' || kind === 'effect');

const PAIRS = 30;

/** Two faults in one run, the second while the first is being got over: places drawn from a seed. */
export async function survivesTwoFaults(operation: FaultCase): Promise<void> {
  const calm = await calmRun(operation);
  const random = new SeededRandom(1);
  const below = (count: number) => Math.floor(random.fraction() * count);
  let both = 0;
  for (let pair = 0; pair < PAIRS; pair++) {
    const [first, distance] = [below(calm.places.length), 1 + below(12)];
    const isWrite = below(2) === 0;
    const told: string[] = [];
    const run = await settledRun(operation, (world) =>
      world.places.hurtAt(first, (place) => {
        told.push(nameOf(place));
        world.places.hurtAt(first + distance, (next) => {
          const mayFail = next.kind === 'append' || next.kind === 'journal';
          told.push(`${nameOf(next)}${mayFail && isWrite ? ' fails' : ''}`);
          return mayFail && isWrite ? 'fails' : kill(world, next);
        });
        return kill(world, place);
      }),
    );
    const what = `hurt at ${first} and ${first + distance}: ${told.join(', then ')}`;
    await finished(run, what);
    assert.ok(run.world.places.hurts > 0, `${what}: the fault happened`);
    assertSame(run.after, calm.after, `resume-equal: ${what}`);
    if (run.world.places.hurts === 2) both++;
  }
  assert.ok(both > PAIRS / 2, `both faults happened in ${both} of ${PAIRS} runs`);
}

/** A write of either program fails, before it was done or after: the owner cannot know which. */
export const survivesADiskThatFails = (operation: FaultCase) =>
  sameEndWhenHurtAt(
    operation,
    ({ kind }) => kind === 'append' || kind === 'journal',
    () => 'fails',
  );

/** The line is cut at each message, and the message is lost; both ends learn of it, or one has to find out by itself. */
export async function survivesALostLine(operation: FaultCase): Promise<void> {
  for (const told of ['both', 'agent', 'cloud'] as const) {
    await sameEndWhenHurtAt(
      operation,
      ({ kind }) => kind === 'message',
      (world) => {
        world.cutsAreToldTo = told;
        return 'dies';
      },
    );
  }
}

/** Every command is sent twice, every text to an agent comes twice, every text from one comes twice. */
export async function bearsRepeats(operation: FaultCase): Promise<void> {
  const calm = await calmRun(operation);
  for (const twice of ['commands', 'toAgent', 'toCloud'] as const) {
    const run = await settledRun(operation, (world) => {
      world.deliver[twice] = 2;
    });
    const came = run.world.trace.events.filter(({ type }) => type === 'toAgent').length;
    assert.ok(came > 0, 'texts were carried');
    await finished(run, `${twice} twice`);
    assertSame(run.after, calm.after, `${twice} twice`);
    if (twice === 'toAgent') assertReplaysRefused(run);
  }
}

/** Each envelope that came a second time, word for word, was refused and that was told. */
function assertReplaysRefused({ world, job }: Run): void {
  const texts = world.trace.events.flatMap((event) => (event.type === 'toAgent' ? commandsIn(event.text) : []));
  const sent = texts.filter(({ jobId }) => jobId === job).length;
  const refused = world.trace.events.filter((event) => event.type === 'toCloud' && event.text.includes('ERR_ENVELOPE_REPLAYED')).length;
  assert.ok(sent > 0 && refused === sent, `signed-or-refused: ${sent} envelopes came twice, and ${refused} were refused`);
}

/** One call of the fabric, as it was seen in a run. */
interface Call {
  readonly site: SiteName;
  readonly operation: Operation;
  readonly vm: string | null;
  readonly isUndo: boolean;
}

function callsOf({ world, job }: Run): Call[] {
  const calls = new Map<string, Call>();
  for (const event of world.trace.events) {
    if (event.type !== 'call' || !event.commandId.startsWith(`${job}/`)) continue;
    const site: SiteName = event.site === world.site('reading').ports.id ? 'reading' : 'slough';
    const call: Call = { site, operation: event.operation, vm: event.vm?.vmId ?? null, isUndo: event.commandId.endsWith('/undo') };
    calls.set(JSON.stringify(call), call);
  }
  return [...calls.values()];
}

type When = 'beforeEffect' | 'afterEffect';
const whens: readonly When[] = ['beforeEffect', 'afterEffect'];
const FOR_GOOD = 1_000_000;

function order(world: World, { site, operation, vm }: Call, when: When, times: number, kind: 'fails' | 'hangs' = 'fails'): number {
  return world.site(site).fabric.faults.order({ kind, operation, vm, when, times });
}

function assertMet({ world }: Run, { site, operation }: Call, when: When, what: string): void {
  const fired = world.site(site).fabric.faults.fired();
  assert.ok(
    fired.some(({ fault, operation: hit }) => 'when' in fault && fault.when === when && hit === operation),
    `${what}: the fault happened`,
  );
}

/** A call that fails once, or never returns, is got over by looking and trying again. */
export async function getsOverACallThatFailsOnce(operation: FaultCase): Promise<void> {
  const calm = await calmRun(operation);
  for (const call of callsOf(calm)) {
    for (const kind of ['fails', 'hangs'] as const) {
      for (const when of whens) {
        const what = `${call.operation} at ${call.site} ${kind} once ${when}`;
        const run = await settledRun(operation, (world) => void order(world, call, when, 1, kind));
        assertMet(run, call, when, what);
        await finished(run, what);
        assertSame(run.after, calm.after, what);
      }
    }
  }
}

/** Before its pivot it is undone and leaves nothing behind; past it, it waits for a person; never anything else. */
export async function endsCleanlyWhereverACallFails(operation: FaultCase): Promise<void> {
  const calm = await calmRun(operation);
  for (const call of callsOf(calm)) {
    for (const when of whens) {
      const what = `${call.operation} at ${call.site} fails ${when}`;
      const run = await settledRun(operation, (world) => void order(world, call, when, FOR_GOOD));
      assertMet(run, call, when, what);
      const undoing = callsOf(run).filter(({ isUndo }) => isUndo);
      await finished(run, what);
      assertEndsAsTheGraphSays(run, calm, what);
      for (const undo of undoing) await undoIsTakenBackTo(operation, call, when, undo, run);
    }
  }
}

/** The undo itself is hurt: once, and it is done twice; for good, and a person decides it. */
async function undoIsTakenBackTo(operation: FaultCase, call: Call, when: When, undo: Call, undone: Run): Promise<void> {
  if (undo.operation === call.operation) return; // the first fault hits it already
  for (const undoWhen of whens) {
    const what = `${call.operation} fails ${when}, and its undo ${undo.operation} once ${undoWhen}`;
    const once = await settledRun(operation, (world) => {
      order(world, call, when, FOR_GOOD);
      order(world, undo, undoWhen, 1);
    });
    assertMet(once, undo, undoWhen, what);
    await finished(once, what);
    assertSame(once.after, undone.after, what);
  }
  const what = `${call.operation} fails ${when}, and its undo ${undo.operation} for good`;
  for (const decision of ['retry', 'skip'] as const) {
    let fault = 0;
    const run = await settledRun(operation, (world) => {
      order(world, call, when, FOR_GOOD);
      fault = order(world, undo, 'beforeEffect', FOR_GOOD);
    });
    assertMet(run, undo, 'beforeEffect', what);
    assert.equal(run.after.state, 'parked', what);
    run.world.site(undo.site).fabric.faults.lift(fault);
    const after = await decideAll(run, decision);
    await finished(run, `${what}; ${decision}`);
    assert.equal(after.state, undone.after.state, `${what}; ${decision}`);
    if (decision === 'retry') assertSame(after, undone.after, `${what}; ${decision}`);
  }
}

async function decideAll({ world, job }: Run, decision: 'retry' | 'skip'): Promise<Picture> {
  for (
    let picture = await pictureOf(world, job);
    picture.state === 'parked' || picture.state === 'waiting';
    picture = await pictureOf(world, job)
  ) {
    const [asked] = await askedSteps(world, job);
    if (asked !== undefined) {
      await world.answers(job, asked.step, asked.answer);
      await world.settles(job);
      continue;
    }
    const [stuck] = await waitingSteps(world, job);
    assert.ok(stuck !== undefined, 'a job that is parked has a step that waits for a person');
    await world.decide(job, stuck, decision);
    await world.settles(job);
  }
  return pictureOf(world, job);
}

/** The graph alone says where a failure leads: this is worked out from it and the facts, not asked of the engine. */
function assertEndsAsTheGraphSays({ before, after }: Run, calm: Run, what: string): void {
  const failed = after.failures.filter(({ isFinal }) => isFinal);
  if (failed.length === 0) return assertSame(after, calm.after, `${what}: it was done after all`);
  for (const { step, attempts, attemptsMost } of failed)
    assert.equal(attempts, attemptsMost, `${what}: ${step} was tried as often as it may`);
  if (failed.every(({ isPassedOver }) => isPassedOver)) return assertPassedOver(after, calm.after, what);
  if (failed.some(({ isPastPivot, isUndo }) => isPastPivot || isUndo)) return assert.equal(after.state, 'parked', what);
  const lost = new Set(after.fallsTogether ? after.scopes : failed.map(({ scope }) => scope));
  assert.equal(after.state, lost.size === after.scopes.length ? 'failed' : 'completedWithFailures', `clean-undo: ${what}`);
  for (const scope of after.scopes) {
    const [expected, from] = lost.has(scope) ? [before, 'undone'] : [calm.after, 'done'];
    assert.deepEqual(
      after.things[scope],
      allowing(expected.things[scope], after.things[scope]),
      `clean-undo: ${what}: ${scope} is ${from}`,
    );
  }
}

/**
 * What may be otherwise in a thing that is as before: an epoch that was decided stays decided; and a copy whose network could not be
 * removed after it is gone, while its VM goes on telling of the drill.
 */
function allowing(expected: Thing | undefined, is: Thing | undefined): Thing | undefined {
  const isHalfCleaned = is?.hasDrill === true && expected?.hasDrill === true && !String(is.atSlough).includes('test copy');
  const but = sameBut(expected, is, 'epoch');
  return isHalfCleaned ? sameBut(but, is, 'atSlough') : but;
}

/** All came to where they were to come; only the place that was left is not as it would have been. */
function assertPassedOver(after: Picture, calm: Picture, what: string): void {
  assert.equal(after.state, 'completedWithFailures', what);
  for (const scope of after.scopes)
    assert.deepEqual(sameBut(after.things[scope], calm.things[scope], 'atReading'), calm.things[scope], what);
}

/** A person decides what waits: retry ends well, skip ends with a failure that is told, and cancel before either changes nothing. */
export async function waitsForAPerson(operation: FaultCase): Promise<number> {
  const calm = await calmRun(operation);
  let parked = 0;
  for (const call of callsOf(calm)) {
    for (const decision of ['retry', 'skip', 'cancel and retry'] as const) {
      const what = `${call.operation} at ${call.site} fails; ${decision}`;
      let fault = 0;
      const run = await settledRun(operation, (world) => {
        fault = order(world, call, 'beforeEffect', FOR_GOOD);
      });
      if (run.after.state !== 'parked') {
        await finished(run, what);
        break;
      }
      parked++;
      run.world.site(call.site).fabric.faults.lift(fault);
      if (decision === 'cancel and retry') await run.world.cancel(run.job);
      const after = await decideAll(run, decision === 'skip' ? 'skip' : 'retry');
      await finished(run, what);
      if (decision === 'skip') assert.match(after.state, /^(completedWithFailures|failed)$/, what);
      else assertSame(after, calm.after, what);
    }
  }
  return parked;
}

/** Cancelled after each entry of its log, and while any step waits to be tried again, everything is either done or as before. */
export async function mayBeCancelledAnywhere(operation: FaultCase): Promise<void> {
  const calm = await calmRun(operation);
  for (const [index, place] of calm.places.entries()) {
    if (place.kind !== 'append' || place.when !== 'after' || place.what.endsWith('ended')) continue;
    const what = `cancelled after ${index}: ${nameOf(place)}`;
    await doneOrAsBefore(await settledRun(operation, (world, job) => world.places.hurtAt(index, () => cancelSoon(world, job))), calm, what);
  }
  for (const call of callsOf(calm)) {
    for (const when of whens) {
      const what = `${call.operation} at ${call.site} failed ${when}, and it was cancelled before it was tried again`;
      const isFailure = (place: Place) => place.kind === 'append' && place.when === 'after' && place.what.includes('failed');
      const run = await settledRun(operation, (world, job) => {
        order(world, call, when, 1);
        world.places.hurtWhere(isFailure, () => cancelSoon(world, job));
      });
      assertMet(run, call, when, what);
      // A look may have found the goal reached all the same: then nothing failed, and nobody cancelled.
      if (run.world.places.hurts === 0) await finished(run, what);
      else await doneOrAsBefore(run, calm, what);
    }
  }
}

function cancelSoon(world: World, job: JobId): 'lives' {
  queueMicrotask(() => void world.cancel(job).catch(() => {}));
  return 'lives';
}

async function doneOrAsBefore(run: Run, calm: Run, what: string): Promise<void> {
  await finished(run, what);
  assert.equal(run.world.places.hurts, 1, `${what}: it happened`);
  assert.match(run.after.state, /^(cancelled|succeeded)$/, what);
  for (const scope of run.after.scopes) {
    const is = run.after.things[scope];
    if (isCopyingByItself(run, scope)) {
      const wanted = sameBut(calm.after.things[scope], is, 'atReading', 'atSlough', 'phase');
      assert.deepEqual(is, wanted, `${what}: ${scope} is done but for its copying`);
      assert.ok(is?.phase === 'seeding' || is?.phase === 'protected', `${what}: ${scope} is being copied`);
      continue;
    }
    const [done, undone] = [calm.after.things[scope], run.before.things[scope]].map((thing) => allowing(thing, is));
    const expected = JSON.stringify(is) === JSON.stringify(done) ? done : undone;
    assert.deepEqual(is, expected, `clean-undo: ${what}: ${scope} is done or as before`);
  }
}

/** Nobody waits any more for its copying, which goes on. */
function isCopyingByItself({ after }: Run, scope: string): boolean {
  return after.steps[`copied/${scope}`] === 'skipped';
}
