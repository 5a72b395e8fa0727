/**
 * The control plane is killed at every write of a take-back that begins by itself, and of the failover whose end opens the window: the
 * VMs are taken back once, by one job, and nothing is lost of it.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { takeBackOf } from '../../control-plane/operations/commit-windows.ts';
import type { OperationRequest } from '../../shared/api/operations.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { type Template, World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
import { nameOf, type Place } from '../support/world-places.ts';

let template: Template;
let request: OperationRequest;

before(async () => {
  const world = await protectedWorld({ vms: 2 });
  request = await world.requestFor('plannedFailover', await world.plan([['vm-1'], ['vm-2']], {}, { commitWithinMinutes: 1 }));
  template = await world.asTemplate();
});
after(() => rmSync(template.folder, { recursive: true, force: true }));

/** From the request to the end of what follows by itself; whatever dies begins anew. */
async function run(hurt: (world: World) => void): Promise<{ world: World; places: readonly Place[] }> {
  const world = await World.from(template);
  world.places.list();
  hurt(world);
  for (let lives = 0; lives < 8; lives++) {
    if (world.isControlPlaneUp) await world.ask(request);
    const takeBack = () => world.controlPlane.store.jobs.find(vaultId, takeBackOf(request.id));
    await world.until('it is taken back, or dies', async () => world.hasDied || (await takeBack())?.endedAt != null);
    if (!world.hasDied) break;
    await world.everythingIsBack();
  }
  world.places.rest();
  return { world, places: world.places.reached };
}

async function assertTakenBackOnce(world: World, what: string): Promise<void> {
  const vms = await world.protectedVms();
  assert.deepEqual(
    vms.map(({ phase, activeLocation, epoch, busyWith, commitWindow }) => [phase, activeLocation, epoch, busyWith, commitWindow]),
    vms.map(() => ['protected', 'primary', 2, null, null]),
    what,
  );
  const jobs = await world.controlPlane.store.jobs.list(vaultId, { limit: 100 });
  const ended = jobs.filter(({ kind }) => kind === 'takeBack').map(({ id, state }) => [id, state]);
  assert.deepEqual(ended, [[takeBackOf(request.id), 'succeeded']], what);
  await world.finishes();
}

test('the control plane is killed before and after each write, from the failover to the end of its taking back', async () => {
  const calm = await run(() => {});
  await assertTakenBackOnce(calm.world, 'the calm run');
  const appends = calm.places.flatMap((place, index) => (place.kind === 'append' ? [index] : []));
  assert.ok(appends.filter((index) => calm.places[index]?.kind === 'append').length > 20, 'there is something to hurt');
  for (const index of appends) {
    let told = '';
    const { world } = await run((hurt) =>
      hurt.places.hurtAt(index, (place) => {
        told = nameOf(place);
        hurt.controlPlaneCrashes();
        return 'dies';
      }),
    );
    assert.equal(world.places.hurts, 1, `place ${index}: the control plane was killed`);
    await assertTakenBackOnce(world, `killed at ${index}: ${told}`);
  }
});

for (const seconds of [1, 30, 59, 60, 61, 75]) {
  test(`the control plane is killed ${seconds} s after the failover, and is back a minute later`, async () => {
    const world = await World.from(template);
    await world.settles(await world.ask(request));
    await world.clock.advance(seconds * 1000);
    world.controlPlaneCrashes();
    await world.clock.advance(60_000);
    assert.equal(world.isControlPlaneUp, false, 'it was killed');
    await world.everythingIsBack();
    await world.until('it is taken back', async () => (await world.job(takeBackOf(request.id)))?.job.endedAt != null);
    await assertTakenBackOnce(world, `killed after ${seconds} s`);
  });
}

for (const when of ['before', 'after'] as const) {
  test(`the store cannot write when the taking back is opened, ${when} it has: it is asked for again, under the same id`, async () => {
    const { world } = await run((hurt) => {
      const opens = (place: Place) => place.kind === 'append' && place.what === 'open' && place.when === when;
      let seen = 0;
      hurt.places.hurtWhere(
        (place) => opens(place) && ++seen === 2,
        () => 'fails',
      );
    });
    assert.equal(world.places.hurts, 1, 'the write failed');
    await assertTakenBackOnce(world, when);
  });
}
