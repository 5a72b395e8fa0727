/** What a cancel answers, as sentences: how the job stands then, and never that it is cancelled where it is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';
import { fail, succeed } from '../support/api-world.ts';

const START = ['failover', '--kind', 'unplanned', '--attest', '--reason', 'fire', '--no-follow', '--json'];

test('a run that is parked past its point of no return is not called cancelled: it says what still waits, and so does the job', async (t) => {
  const { world, kim, cli, http } = await openShop(t, ['sql-01', 'web-01']);
  world.answers = (command) => (command.command.kind === 'vm.start' ? fail('ERR_WRONG_STATE') : succeed(command));
  const { id } = JSON.parse((await cli([...START, '--vm', 'sql-01', '--vm', 'web-01'])).stdout);
  await world.jobEnded(kim, id);
  const said = await cli(['jobs', 'cancel', id, '--reason', 'wrong plan']);
  assert.equal(said.code, 0, said.stderr);
  assert.match(
    said.stdout,
    /^not cancelled as a whole: what waits for a person is past the point of no return, or could not be undone, and still waits/,
  );
  assert.match(said.stdout, new RegExp(`farshore jobs retry ${id} --all`));
  assert.doesNotMatch(said.stdout, /^cancelled/);
  const json = JSON.parse((await cli(['jobs', 'cancel', id, '--reason', 'still wrong', '--json'])).stdout);
  assert.deepEqual(json, { job: id, state: 'parked', stillWaiting: 2 });
  const shown = (await cli(['jobs', 'show', id])).stdout;
  assert.match(shown, /: parked: waits for a person/);
  assert.match(shown, /kim cancelled it .*: wrong plan; what is past the point of no return goes on all the same/);

  world.answers = succeed;
  assert.equal((await cli(['jobs', 'retry', id, '--all', '--reason', 'mended'])).code, 0);
  await world.jobEnded(kim, id);
  const { data } = await http.get(`/api/v1/jobs/${id}`);
  assert.deepEqual([data.state, data.cancelled.by, data.cancelled.reason], ['succeeded', 'kim', 'wrong plan']);
  assert.match((await cli(['jobs', 'show', id])).stdout, /kim cancelled it [^;]*: wrong plan$/m);
});

test('a run that has something to undo is being cancelled, and one with nothing to undo is cancelled at once', async (t) => {
  const { world, kim, cli, http, file } = await openShop(t, ['sql-01']);
  world.answers = (command) => (command.command.kind === 'failover.execute' ? null : succeed(command));
  const { id } = JSON.parse((await cli([...START, '--vm', 'sql-01'])).stdout);
  const said = await cli(['jobs', 'cancel', id, '--reason', 'not now']);
  assert.match(
    said.stdout,
    /^being cancelled: what is not past the point of no return is undone, the rest goes on; watch it with: farshore jobs show/,
  );
  const sent = world.sent.find(({ command }) => command.kind === 'failover.execute');
  assert.ok(sent);
  world.answers = succeed;
  world.finish((await http.get('/api/v1/sites')).data.sites.find(({ name }: { name: string }) => name === 'Slough').id, sent);
  await world.jobEnded(kim, id);
  assert.equal((await http.get(`/api/v1/jobs/${id}`)).data.state, 'cancelled');

  const ask =
    'name: shop\ngroups:\n  - { name: all, beforeShutDown: [{ do: ask, name: tell, instruction: Write. }], members: [{ vm: sql-01 }] }\n';
  assert.equal((await cli(['plans', 'apply', await file('shop.yaml', ask)])).code, 0);
  const asked = await cli(['failover', '--kind', 'planned', '--plan', 'shop', '--reason', 'power works', '--no-follow', '--json']);
  const waiting = JSON.parse(asked.stdout).id;
  await world.jobEnded(kim, waiting);
  const atOnce = await cli(['jobs', 'cancel', waiting, '--reason', 'not now']);
  assert.match(atOnce.stdout, /^cancelled; see what was undone with: farshore jobs show/);
  assert.equal((await cli(['jobs', 'cancel', waiting, '--reason', 'twice'])).code, 1, 'it has ended');
});
