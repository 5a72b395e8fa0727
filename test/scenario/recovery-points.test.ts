/** Which recovery points there are to choose from, as sentences: the site of the replica is asked, whatever became of the primary. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { siteIdOf } from '../support/world-core.ts';
import { refOf, stateOf } from '../support/world-views.ts';

async function pointsOf(world: World) {
  const asked = world.controlPlane.hub.recoveryPoints(siteIdOf('slough'), refOf(world, 'slough', 'vm-1'));
  await world.clock.advance(1_000);
  return asked;
}

test('with the primary site dark its points are listed as the recovery site has them, and one of them is failed over to', async () => {
  const world = await protectedWorld({ vms: 1, recoveryPoints: 4 });
  await world.clock.advance(2 * 3_600_000 + 60_000);
  world.goesDark('reading');
  const told = await pointsOf(world);
  const there = world.site('slough').fabric.pointsWithContent(refOf(world, 'slough', 'vm-1'));
  assert.ok(told.length > 1);
  assert.deepEqual(
    told,
    there.map(({ id, at, kind }) => ({ id, at: new Date(at).toISOString(), kind })),
  );
  const oldest = told.at(-1);
  const job = await world.ask({
    ...(await world.requestFor('unplannedFailover')),
    recoveryPoint: { choose: 'given', id: oldest?.id },
  } as never);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  const vm = await world.site('slough').fabric.findVm(refOf(world, 'slough', 'vm-1'));
  assert.equal(vm?.failover?.recoveryPoint.id, oldest?.id);
  await world.finishes();
});

test('a site that is dark is not asked, and one that has no such VM says so', async () => {
  const world = await protectedWorld({ vms: 1 });
  const [vm] = world.definition('reading').vms;
  const elsewhere = { cloudId: refOf(world, 'reading', 'vm-1').cloudId, vmId: vm?.id as never };
  const asked = world.controlPlane.hub.recoveryPoints(siteIdOf('slough'), elsewhere);
  await Promise.all([assert.rejects(asked, { code: 'ERR_VM_NOT_FOUND' }), world.clock.advance(1_000)]);
  world.goesDark('slough');
  await world.clock.advance(1_000);
  await assert.rejects(world.controlPlane.hub.recoveryPoints(siteIdOf('slough'), refOf(world, 'slough', 'vm-1')), {
    code: 'ERR_AGENT_OFFLINE',
  });
  await world.finishes();
});

test('people see them on the command line, the newest first, with the ids that a failover takes', async (t) => {
  const { world, cli, slough } = await openShop(t, ['sql-01']);
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const [older, newer] = ['6f1c0d1e-0f6c-4b0e-9d2b-4a8f6f3a2b11', '0a1c0d1e-0f6c-4b0e-9d2b-4a8f6f3a2b12'];
  world.points.set(slough.id, [
    { id: older, at: minutesAgo(130), kind: 'applicationConsistent' },
    { id: newer, at: minutesAgo(2), kind: 'crashConsistent' },
  ]);
  const shown = await cli(['vms', 'points', 'sql-01']);
  assert.equal(shown.code, 0, shown.stderr);
  const [heads, first, second] = shown.stdout.split('\n');
  assert.match(heads ?? '', /MOMENT +AGE +KIND +ID/);
  assert.match(first ?? '', new RegExp(`Z +2 min \\d\\d s +crash-consistent +${newer}`));
  assert.match(second ?? '', new RegExp(`2 h 10 min +application-consistent +${older}`));
  const { recoveryPoints, siteName } = JSON.parse((await cli(['vms', 'points', 'sql-01', '--json'])).stdout);
  assert.deepEqual([siteName, recoveryPoints.map(({ id }: { id: string }) => id)], ['Slough', [newer, older]]);

  world.connected.delete(slough.id);
  const refused = await cli(['vms', 'points', 'sql-01']);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /ERR_AGENT_OFFLINE[\s\S]*remedy:/);
  assert.match((await cli(['failover', '--help'])).stdout, /vms\s+points/);
});

test('the API lists them for whoever may look, and knows no VM of another vault', async (t) => {
  const { http, world } = await openShop(t, ['sql-01']);
  const [vm] = (await http.get('/api/v1/protected-vms')).data.protectedVms;
  const answer = await http.get(`/api/v1/protected-vms/${vm.id}/recovery-points`);
  assert.deepEqual([answer.status, answer.data.recoveryPoints], [200, []]);
  const other = world.client(await world.credential(await world.addVault('Southgate', 'lee')));
  assert.equal((await other.get(`/api/v1/protected-vms/${vm.id}/recovery-points`)).data.code, 'ERR_NOT_FOUND');
});
