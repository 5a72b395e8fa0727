/** Approval by a second person: what runs in a vault that asks for it, who may give it, and what an emergency leaves behind. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { openShop } from '../support/api-shop.ts';

const SHOP = 'name: shop\ngroups: [{ name: web, members: [{ vm: web-01 }] }]\n';

/** Kim, the owner, has saved a plan; Lee is an operator of the same vault; Reading is dark. */
async function savedByKim(t: TestContext) {
  const shop = await openShop(t, ['web-01', 'web-02']);
  const { world, kim, reading, cli, file } = shop;
  const lee = await world.addUser(kim, 'lee', 'operator');
  assert.equal((await cli(['plans', 'apply', await file('shop.yaml', SHOP)])).code, 0);
  world.goDark(reading);
  const failOver = (...more: string[]) => cli(['failover', '--kind', 'unplanned', '--plan', 'shop', '--reason', 'fire', ...more], lee);
  return { ...shop, lee, failOver };
}

test('once the vault asks for approval, only a version that a second person approved is failed over, and the job and its report say who', async (t) => {
  const { http, lee, cli, file, failOver } = await savedByKim(t);
  const set = await cli(['vault', 'set', '--plan-approval', 'on']);
  assert.match(set.stdout, /^plan approval +on$[\s\S]*by kim/m);
  const refused = await failOver();
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /nobody has approved version 1 of shop \(ERR_PLAN_NOT_APPROVED\)[\s\S]*remedy: .*farshore plans approve/);

  const own = await cli(['plans', 'approve', 'shop', '--version', '1']);
  assert.equal(own.code, 3);
  assert.match(own.stderr, /your own[\s\S]*ERR_OWN_APPROVAL/);
  const approved = await cli(['plans', 'approve', 'shop', '--version', '1', '--comment', 'as agreed'], lee);
  assert.deepEqual([approved.code, approved.stdout], [0, 'version 1 of shop is approved by lee\n'], approved.stderr);

  const changed = await file('changed.yaml', SHOP.replace('web-01', 'web-02'));
  assert.equal((await cli(['plans', 'apply', changed])).code, 0);
  assert.equal((await failOver()).code, 1, 'the newest version is another, and nobody has approved that');
  const run = await failOver('--plan-version', '1');
  assert.equal(run.code, 0, run.stderr);
  assert.match((await cli(['report', 'latest'])).stdout, /Plan +shop, version 1\n +Approval +approved by lee on /);
  const shown = JSON.parse((await cli(['jobs', 'show', 'latest', '--json'])).stdout);
  assert.deepEqual([shown.approval.state, shown.approval.by], ['approved', 'lee']);
  const { versions } = (await http.get('/api/v1/plans/shop/versions')).data;
  assert.deepEqual(
    versions.map(({ approval }: { approval: { by: string; comment: string } | null }) => approval && [approval.by, approval.comment]),
    [null, ['lee', 'as agreed']],
  );
});

test('in an emergency an unapproved version runs with a reason, which stays in the job, its report and the log', async (t) => {
  const { world, cli, failOver } = await savedByKim(t);
  await cli(['vault', 'set', '--plan-approval', 'on']);
  const run = await failOver('--emergency', 'Kim is on a plane');
  assert.equal(run.code, 0, run.stderr);
  const mark = /EMERGENCY: nobody had approved it; Kim is on a plane/;
  assert.match(run.stdout, mark);
  assert.match((await cli(['jobs', 'show', 'latest'])).stdout, mark);
  assert.match((await cli(['report', 'latest'])).stdout, mark);
  const exported = JSON.parse((await cli(['jobs', 'export', 'latest'])).stdout).jobs[0];
  assert.deepEqual(exported.approval, { state: 'emergency', reason: 'Kim is on a plane' });
  assert.ok(world.logged.some(({ fields, text }) => /emergency/.test(text) && JSON.stringify(fields).includes('Kim is on a plane')));
});

test('VMs that are named one by one are no way round it, and what is not needed leaves no mark', async (t) => {
  const { cli, lee, failOver } = await savedByKim(t);
  const loose = ['failover', '--kind', 'unplanned', '--vm', 'web-02', '--reason', 'fire'];
  await cli(['vault', 'set', '--plan-approval', 'on']);
  assert.match((await cli(loose, lee)).stderr, /nobody has approved VMs that are named one by one/);
  assert.equal((await cli([...loose, '--emergency', 'nobody else is awake'], lee)).code, 0);
  await cli(['plans', 'approve', 'shop', '--version', '1'], lee);
  assert.equal((await failOver('--emergency', 'not needed')).code, 0);
  assert.equal(JSON.parse((await cli(['report', 'latest', '--json'])).stdout).approval.state, 'approved');
});

test('without the setting everything runs as it did, and only an owner changes it', async (t) => {
  const { http, world, lee, cli, failOver } = await savedByKim(t);
  assert.deepEqual((await http.get('/api/v1/vault/settings')).data, {
    keepJobsDays: 1095,
    requirePlanApproval: false,
    changedAt: null,
    changedBy: null,
  });
  assert.equal((await cli(['vault', 'set', '--plan-approval', 'on'], lee)).code, 3);
  assert.equal((await cli(['vault', 'set', '--plan-approval', 'maybe'])).code, 2);
  assert.equal((await failOver()).code, 0);
  assert.equal(JSON.parse((await cli(['report', 'latest', '--json'])).stdout).approval, null);
  const hers = world.client(await world.credential(await world.addVault('Southgate', 'eve')));
  assert.equal((await hers.put('/api/v1/vault/settings', { requirePlanApproval: true })).status, 200);
  assert.equal((await http.get('/api/v1/vault/settings')).data.requirePlanApproval, false, 'another vault has its own');
});

test('of two approvals the first stays, and a version that is not there is not approved', async (t) => {
  const { world, kim, http, lee } = await savedByKim(t);
  const asLee = world.client(await world.credential(lee));
  const asMo = world.client(await world.credential(await world.addUser(kim, 'mo', 'operator')));
  const url = '/api/v1/plans/shop/versions/1/approval';
  const first = (await asLee.post(url, {})).data.approval;
  assert.deepEqual((await asMo.post(url, { comment: 'me too' })).data.approval, first);
  assert.equal((await asLee.post('/api/v1/plans/shop/versions/2/approval', {})).status, 404);
  assert.equal((await asLee.post(`/api/v1/plans/${randomUUID()}/versions/1/approval`, {})).status, 404);
  assert.equal((await http.post(url, {})).data.code, 'ERR_OWN_APPROVAL');
});
