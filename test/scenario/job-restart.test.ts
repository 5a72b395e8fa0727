/** A job that did not go well is run again, as sentences: for the VMs that were not done, and with the word of a person where one was given. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';

const vms = ['sql-01', 'web-01'];
const ASKS = `name: shop
groups:
  - name: all
    beforeShutDown: [{ do: ask, name: tell the users, instruction: Write to them. }]
    members: [{ vm: sql-01 }, { vm: web-01 }]
`;

test('a job that was cancelled is started anew by its id, and says whose new run it is', async (t) => {
  const { http, cli, file, world, kim } = await openShop(t, vms);
  await cli(['plans', 'apply', await file('shop.yaml', ASKS)]);
  const asked = await cli(['failover', '--kind', 'planned', '--plan', 'shop', '--reason', 'power works', '--no-follow', '--json']);
  const { id } = JSON.parse(asked.stdout);
  const early = await cli(['jobs', 'restart', id, '--reason', 'again']);
  assert.match(early.stderr, /the job has not ended: decide what waits for a person, or cancel it first/);
  assert.equal((await cli(['jobs', 'cancel', id, '--reason', 'not now'])).code, 0);
  await world.jobEnded(kim, id);

  const again = await cli(['jobs', 'restart', id, '--reason', 'now it is time', '--no-follow', '--json']);
  assert.equal(again.code, 0, again.stderr);
  const job = JSON.parse(again.stdout);
  assert.deepEqual([job.kind, job.target, job.id === id], ['plannedFailover', 'shop', false]);
  assert.match((await cli(['jobs', 'show', job.id])).stdout, new RegExp(`by kim \\(now it is time\\)\\n  a new run of job ${id}`));
  assert.equal((await cli(['jobs', 'confirm', job.id, '--comment', 'they know'])).code, 0);
  await world.jobEnded(kim, job.id);
  const { data } = await http.get(`/api/v1/jobs/${job.id}`);
  assert.deepEqual([data.state, data.restartOf], ['succeeded', id]);
  assert.match((await cli(['jobs', 'restart', job.id, '--reason', 'once more'])).stderr, /the job succeeded: nothing of it is left to do/);
});

test('a request for a restart that is sent twice is one job, and what somebody vouched for is vouched for anew', async (t) => {
  const { http, cli, file } = await openShop(t, vms);
  await cli(['plans', 'apply', await file('shop.yaml', ASKS.replace('beforeShutDown', 'before'))]);
  const asked = await cli([
    'failover',
    '--kind',
    'unplanned',
    '--plan',
    'shop',
    '--attest',
    '--reason',
    'seen on site',
    '--no-follow',
    '--json',
  ]);
  const { id } = JSON.parse(asked.stdout);
  await http.post(`/api/v1/jobs/${id}/cancel`, { reason: 'not now' });
  assert.match(
    (await cli(['jobs', 'restart', id, '--reason', 'again'])).stderr,
    /that the VMs are down where they are left: vouch for that anew \(--attest\)/,
  );
  const body = { id: randomUUID(), reason: 'seen again', attested: true };
  const [first, second] = [await http.post(`/api/v1/jobs/${id}/restart`, body), await http.post(`/api/v1/jobs/${id}/restart`, body)];
  assert.deepEqual([first.status, second.status, second.data.id], [202, 202, body.id]);
});

test('a take back that was cancelled half way is run again for the VMs that are left', async (t) => {
  const { world, http, cli, file, kim, run } = await openShop(t, vms);
  const twoGroups = `name: shop
groups:
  - name: databases
    members: [{ vm: sql-01 }]
  - name: front
    members: [{ vm: web-01, beforeShutDown: [{ do: ask, name: tell the users, instruction: Write to them., kinds: [takeBack] }] }]
`;
  await cli(['plans', 'apply', await file('shop.yaml', twoGroups)]);
  const plan = (await http.get('/api/v1/plans')).data.plans[0].id;
  await run({ kind: 'plannedFailover', target: { plan }, direction: 'toRecovery', reason: 'power works' });
  const back = await run({ kind: 'takeBack', target: { plan }, reason: 'power is back' });
  const phases = async () => (await http.get('/api/v1/protected-vms')).data.protectedVms.map((vm: { phase: string }) => vm.phase).sort();
  await http.post(`/api/v1/jobs/${back}/cancel`, { reason: 'not yet' });
  await world.jobEnded(kim, back);
  const halfWay = await phases();
  const again = await http.post(`/api/v1/jobs/${back}/restart`, { id: randomUUID(), reason: 'now' });
  assert.equal(again.status, 202, JSON.stringify(again.data));
  await world.jobEnded(kim, again.data.id);
  await http.post(`/api/v1/jobs/${again.data.id}/cancel`, { reason: 'seen' });
  await world.jobEnded(kim, again.data.id);
  assert.deepEqual([halfWay, again.data.kind], [['failedOver', 'protected'], 'takeBack']);
});
