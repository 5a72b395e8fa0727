/**
 * One run of one operation on a fresh world: begun, restarted whenever something dies, asked for again until it was taken, and
 * looked at when it has settled. `finished` then holds it against every checker.
 */
import assert from 'node:assert/strict';
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { JobId } from '../../shared/ids.ts';
import { askedSteps, type Picture, pictureOf } from './operation-picture.ts';
import { type Template, World } from './world.ts';
import type { Place } from './world-places.ts';

/** How a kind of operation is begun, in a world where it can be. */
export interface FaultCase {
  readonly kind: OperationRequest['kind'];
  readonly template: Template;
  /** What the operation is for has happened. */
  before?(world: World): void;
  request(world: World): Promise<OperationRequest>;
}

/** One run: the picture before and after, and what its trace can tell. */
export interface Run {
  readonly world: World;
  readonly job: JobId;
  readonly before: Picture;
  readonly after: Picture;
}

let runs = 0;

/** How many runs there were since it was last asked. */
export function countRuns(): number {
  const count = runs;
  runs = 0;
  return count;
}

/** Begins it, restarts whatever dies, asks again what was not acknowledged, until it has settled. Leaves the world open. */
export async function settledRun(operation: FaultCase, hurt: (world: World, job: JobId) => void): Promise<Run> {
  runs++;
  const world = await World.from(operation.template);
  operation.before?.(world);
  const request = await operation.request(world);
  const before = await pictureOf(world, null);
  world.places.list();
  hurt(world, request.id);
  await goOn(world, request);
  world.places.rest();
  return { world, job: request.id, before, after: await pictureOf(world, request.id) };
}

async function goOn(world: World, request: OperationRequest): Promise<void> {
  for (let lives = 0; lives < 8; lives++) {
    const isTaken = !world.isControlPlaneUp || (await isAsked(world, request));
    if (isTaken && world.isControlPlaneUp) await world.settles(request.id);
    if (isTaken) await answersAll(world, request.id);
    if (!isTaken) continue;
    if (!world.hasDied) await world.clock.advance(50);
    if (!world.hasDied) return;
    await world.everythingIsBack();
  }
  assert.fail('it died again and again');
}

const MOST_ANSWERS = 50;

/** A person does what the plan asks of them, and, having looked, lets run again what may have run. */
async function answersAll(world: World, id: JobId): Promise<void> {
  for (let answers = 0; answers < MOST_ANSWERS && !world.hasDied; answers++) {
    const [asked] = await askedSteps(world, id);
    if (asked === undefined) return;
    await world.answers(id, asked.step, asked.answer);
    if (world.isControlPlaneUp) await world.settles(id);
  }
}

const passing: readonly string[] = ['ERR_STORE_FAILED', 'ERR_PRIMARY_UNJUDGED'];

/** False: not now, for a reason that passes; whoever asks is told so and asks again. */
async function isAsked(world: World, request: OperationRequest): Promise<boolean> {
  try {
    await world.ask(request);
    return true;
  } catch (thrown) {
    if (!passing.includes((thrown as { code?: string }).code ?? '')) throw thrown;
    await world.clock.advance(30_000);
    return false;
  }
}

export async function calmRun(operation: FaultCase): Promise<Run & { readonly places: readonly Place[] }> {
  const run = await settledRun(operation, () => {});
  await run.world.finishes();
  assert.equal(run.after.state, 'succeeded', 'the calm run');
  return { ...run, places: run.world.places.reached };
}

/** Every fault has ended: it comes to rest, and no invariant was broken. */
export async function finished({ world }: Run, what: string): Promise<void> {
  await world.finishes().catch((thrown: unknown) => {
    throw new Error(`${what}: ${(thrown as Error).message}`, { cause: thrown });
  });
}

/** What failed on the way there may differ. */
export function assertSame({ failures: _now, ...now }: Picture, { failures: _then, ...then }: Picture, what: string): void {
  assert.deepEqual(now, then, what);
}
