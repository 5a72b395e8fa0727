/** Another recovery point as sentences: a torn database is brought up from the state before it was torn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudId, VmRef } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';

const replicaOf = (world: World): VmRef => ({
  cloudId: world.definition('slough').clouds[0]?.id as CloudId,
  vmId: world.definition('reading').vms[0]?.id as never,
});

test('a VM that was failed over is brought up from an older point that a person names, and it stays failed over', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  await world.clock.advance(2 * 3_600_000);
  world.goesDark('reading');
  await world.failOver();
  const { fabric } = world.site('slough');
  const points = fabric.pointsWithContent(replicaOf(world));
  const [newest, older] = [points[0], points.at(-1)];
  assert.ok(newest && older && older.at < newest.at, 'there is an older point to choose');

  const [vm] = await world.protectedVms();
  const request = await world.requestFor('changeRecoveryPoint');
  const job = await world.ask({ ...request, recoveryPoint: { choose: 'given', id: older.id } } as never);
  await world.settles(job);
  const stored = await world.job(job);
  assert.equal(stored?.job.state, 'succeeded');
  const executed = stored?.facts.find((fact) => fact.type === 'done' && fact.step === `failover/${vm?.id}`);
  assert.deepEqual((executed as { result?: { recoveryPointId?: string } }).result?.recoveryPointId, older.id);
  const offAndOn = fabric.powerLog().map(({ change, cause }) => `${change} ${cause}`);
  assert.deepEqual(offAndOn, ['on startVm', 'off stopFailover', 'on startVm']);
  const [now] = await world.protectedVms();
  assert.deepEqual([now?.phase, now?.activeLocation, now?.epoch], ['failedOver', 'recovery', 2]);
  await world.finishes();
});

test('for a point that is not there nothing is switched off, and the reason is told', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const request = await world.requestFor('changeRecoveryPoint');
  const job = await world.ask({ ...request, recoveryPoint: { choose: 'given', id: 'no such point' } } as never);
  await world.settles(job);
  const stored = await world.job(job);
  assert.equal(stored?.job.state, 'failed');
  assert.ok(stored?.facts.some((fact) => fact.type === 'failed' && fact.error.code === 'ERR_NO_RECOVERY_POINT'));
  assert.equal((await world.site('slough').fabric.findVm(replicaOf(world)))?.power, 'running');
  const [vm] = await world.protectedVms();
  assert.deepEqual([vm?.phase, vm?.activeLocation], ['failedOver', 'recovery']);
  await world.finishes();
});
