/** What a drill counts for: never as passed while a copy of it may run, whatever became of its VM; and who lets its scripts run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drillRecord } from '../../control-plane/reports/drill-record.ts';
import type { JobId } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { digest } from '../support/test-scripts.ts';
import type { World } from '../support/world.ts';
import { vaultId } from '../support/world-core.ts';
import { inputOf, stateOf } from '../support/world-views.ts';

async function recordOf(world: World, drill: JobId, ...cleanUps: readonly JobId[]) {
  const left = (await world.protectedVms()).filter((vm) => vm.drill === drill).length;
  const [job, ...rest] = await Promise.all([drill, ...cleanUps].map((id) => world.job(id)));
  if (!job) throw new Error('there is no such drill');
  return drillRecord(
    job.job,
    rest.flatMap((one) => one ?? []),
    left,
  );
}

test('a drill whose copy runs on, since its VM was unprotected by force after a clean-up that could not be done, has not passed', async () => {
  const world = await protectedWorld({ vms: 1 });
  const drill = await world.drill();
  const request = world.cleanUpRequest(drill, 'passed');
  const { faults, testCopies } = { faults: world.site('slough').fabric.faults, testCopies: () => world.site('slough').fabric.testCopies() };
  const fault = faults.order({ kind: 'fails', operation: 'stopTestFailover', times: 1_000 });
  await world.settles(await world.ask(request));
  assert.equal(await stateOf(world, request.id), 'failed');
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal((await recordOf(world, drill, request.id)).verdict, 'open');
  world.goesDark('slough');
  const job = await world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'Slough is sold' } } as never);
  await world.clock.advance(10_000);
  assert.deepEqual([(await world.protectedVms()).length, testCopies().size], [0, 1], 'nobody tells of the copy, and it is there');
  assert.equal((await recordOf(world, drill, request.id)).verdict, 'failed');
  world.controlPlaneCrashes();
  await world.everythingIsBack();
  faults.lift(fault);
  world.returns('slough');
  await world.everythingIsBack();
  await world.settles(job);
  assert.equal(testCopies().size, 0, 'what is left is removed when the site is back');
  assert.equal((await recordOf(world, drill, request.id)).verdict, 'failed', 'and no clean-up had removed it');
  await world.finishes();
});

test('a VM that was unprotected by force before the clean-up keeps the drill from passing, although the rest is cleaned up', async () => {
  const world = await protectedWorld({ vms: 2 });
  const drill = await world.drill();
  const [first] = await world.protectedVms();
  world.goesDark('slough');
  await world.ask({ ...(await world.requestFor('unprotect', { vms: [first?.id as never] })), forced: { reason: 'not needed' } } as never);
  await world.clock.advance(5_000);
  world.returns('slough');
  await world.everythingIsBack();
  await world.clock.advance(60_000);
  const cleanUp = await world.cleanUp(drill, 'passed');
  assert.equal(await stateOf(world, cleanUp), 'succeeded');
  assert.equal((await recordOf(world, drill, cleanUp)).verdict, 'failed');
  await world.finishes();
});

test('a drill that needed two clean-ups has passed when both together removed every copy', async () => {
  const world = await protectedWorld({ vms: 2 });
  const drill = await world.drill();
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'stopTestFailover', vm: 'vm-2', times: 1_000 });
  const first = await world.cleanUp(drill, 'passed');
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, first), 'completedWithFailures');
  assert.equal((await recordOf(world, drill, first)).verdict, 'open');
  faults.lift(fault);
  const second = await world.cleanUp(drill, 'passed');
  assert.equal((await recordOf(world, drill, second, first)).verdict, 'passed');
  await world.finishes();
});

test('where the vault asks for approval, a drill runs the scripts of a version that somebody has approved, and of no other', async () => {
  const world = await protectedWorld({ vms: 1 });
  const { wishes } = world.controlPlane.store;
  const [owner, second] = [uuidOf('owner'), uuidOf('second person')] as never[];
  const { settings } = await wishes.settings(vaultId);
  await wishes.setSettings(vaultId, { ...settings, requirePlanApproval: true }, owner as never, world.clock.now());
  const { scripts } = world.site('slough');
  scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  const move = { do: 'runScript', name: 'move the name', script: `Move-Name.ps1@${digest('a')}` } as const;
  const planWith = (kinds: ('test' | 'planned')[]) =>
    world.planOf([{ name: 'web', before: [{ ...move, kinds }], members: [{ vm: 'vm-1' }] }]);
  const plan = await planWith(['test']);
  await assert.rejects(world.drill(plan), { code: 'ERR_PLAN_NOT_APPROVED' });
  assert.equal(scripts.ran.length, 0);
  const harmless = await world.drill(await planWith(['planned']));
  assert.deepEqual([await stateOf(world, harmless), scripts.ran.length], ['succeeded', 0], 'a drill without scripts needs nobody');
  await world.cleanUp(harmless);

  const { plan: id } = plan as { plan: never };
  await wishes.approvePlan(vaultId, id, 1, { by: second as never, at: world.clock.now(), comment: 'read' });
  const drill = await world.drill(plan);
  assert.deepEqual([await stateOf(world, drill), scripts.ran.length], ['succeeded', 1]);
  assert.equal((await inputOf(world, drill)).approval?.state, 'approved');
  await world.cleanUp(drill);
  await world.finishes();
});
