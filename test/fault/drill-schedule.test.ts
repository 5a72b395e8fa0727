/**
 * The control plane is killed at every write of a drill that begins by itself and is cleaned up by itself, and its writes fail: the plan
 * is drilled once and cleaned up, and what the drill counts for is the same.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { JobId } from '../../shared/ids.ts';
import { drilledPlan, nextDrill, worldToDrill } from '../support/drilled-world.ts';
import { type Template, World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
import { type Hurt, nameOf, type Place } from '../support/world-places.ts';
import { inputOf } from '../support/world-views.ts';

let template: Template;
let ids: { readonly drill: JobId; readonly cleanUp: JobId };

before(async () => {
  const world = await worldToDrill();
  await drilledPlan(world, { standsMinutes: 1 });
  const { dueAt, ...jobs } = await nextDrill(world);
  ids = jobs;
  template = { ...(await world.asTemplate()), now: dueAt - 20_000 };
});
after(() => rmSync(template.folder, { recursive: true, force: true }));

/** From shortly before the drill is due to the end of its clean-up; whatever dies begins anew. */
async function run(hurt: (world: World) => void): Promise<World> {
  const world = await World.from(template);
  world.places.list();
  hurt(world);
  for (let lives = 0; lives < 8; lives++) {
    const isOver = async () => (await world.controlPlane.store.jobs.find(vaultId, ids.cleanUp))?.endedAt != null;
    await world.until('it is drilled and cleaned up, or dies', async () => world.hasDied || (await isOver()), 1_200_000);
    if (!world.hasDied) break;
    await world.everythingIsBack();
  }
  world.places.rest();
  return world;
}

async function assertDrilledOnce(world: World, what: string): Promise<void> {
  const jobs = await world.controlPlane.store.jobs.list(vaultId, { limit: 100 });
  const ofDrills = jobs.filter(({ kind }) => kind === 'testFailover' || kind === 'cleanUpTest');
  assert.deepEqual(
    ofDrills.map(({ id, state }) => [id, state]).sort(),
    [ids.drill, ids.cleanUp].map((id) => [id, 'succeeded']).sort(),
    what,
  );
  assert.equal((await inputOf(world, ids.cleanUp)).outcome, 'passed', what);
  assert.deepEqual(
    (await world.protectedVms()).map(({ phase, busyWith, drill, epoch }) => [phase, busyWith, drill, epoch]),
    [['protected', null, null, 0]],
    what,
  );
  assert.equal(world.site('slough').fabric.testCopies().size, 0, what);
  await world.finishes();
}

test('the control plane is killed, or cannot write, before and after each write from the look to the end of the clean-up', async () => {
  const calm = await run(() => {});
  const { reached } = calm.places;
  await assertDrilledOnce(calm, 'the calm run');
  const appends = reached.flatMap((place, index) => (place.kind === 'append' ? [index] : []));
  assert.equal(appends.filter((index) => (reached[index] as { what: string }).what === 'open').length, 4, 'both jobs are opened in it');
  for (const how of ['dies', 'fails'] as const) {
    for (const index of appends) {
      let told = '';
      const hurt =
        (world: World) =>
        (place: Place): Hurt => {
          told = nameOf(place);
          if (how === 'dies') world.controlPlaneCrashes();
          return how;
        };
      const world = await run((hurtWorld) => hurtWorld.places.hurtAt(index, hurt(hurtWorld)));
      assert.equal(world.places.hurts, 1, `place ${index}: it happened`);
      assert.equal(told, nameOf(reached[index] as Place), 'it was the one meant');
      await assertDrilledOnce(world, `${how} at ${index}: ${told}`);
    }
  }
});
