/** Drills on the command line: schedules of plans as texts and as tables, and a network that is made for a drill. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';

const SHOP = 'name: shop\ngroups: [{ name: web, members: [{ vm: web-01 }] }]\n';
const DRILLED = `${SHOP}drill: { everyDays: 90, at: "02:00", standsMinutes: 240, networks: [Slough/Bubble] }\n`;

test('a plan says how often it is drilled; mistakes are told with their lines, and what changes in words', async (t) => {
  const { cli, file } = await openShop(t, ['web-01']);
  const wrong = DRILLED.replace('90', '0').replace('"02:00"', 'noon').replace('Slough/Bubble', 'Slough/Foam');
  const refused = await cli(['plans', 'validate', await file('wrong.yaml', wrong)]);
  assert.notEqual(refused.code, 0);
  for (const told of ['drill.everyDays', 'drill.at']) assert.ok(refused.stderr.includes(told) || refused.stdout.includes(told), told);
  const foam = await cli(['plans', 'validate', await file('foam.yaml', DRILLED.replace('Slough/Bubble', 'Slough/Foam'))]);
  assert.match(foam.stderr + foam.stdout, /no site has a VM network 'Slough\/Foam'[\s\S]*Slough\/Bubble/);

  assert.equal((await cli(['plans', 'apply', await file('shop.yaml', SHOP)])).code, 0);
  assert.match((await cli(['drills', 'schedule'])).stdout, /no plan says how often it is drilled/);
  const diff = await cli(['plans', 'diff', 'shop', await file('drilled.yaml', DRILLED)]);
  assert.match(diff.stdout, /~ the plan: drill\.everyDays is 90, was not set/);
  assert.equal((await cli(['plans', 'apply', await file('drilled.yaml', DRILLED)])).code, 0);
  const more = await cli(['plans', 'diff', 'shop', await file('more.yaml', DRILLED.replace('90', '30'))]);
  assert.match(more.stdout, /^ {2}~ the plan: drill\.everyDays is 30, was 90$/m);
  assert.equal(more.stdout.trimEnd().split('\n').length, 2, 'and nothing else');
  const exported = await cli(['plans', 'export', 'shop']);
  assert.match(exported.stdout, /everyDays: 90/);

  const table = await cli(['drills', 'schedule']);
  assert.match(table.stdout, /^shop +90 days at 02:00 UTC +never +\d{4}-\d\d-\d\d/m);
  const { schedules } = JSON.parse((await cli(['drills', 'schedule', '--json'])).stdout);
  assert.deepEqual([schedules[0].plan.name, schedules[0].last, schedules[0].issues], ['shop', null, []]);
  assert.match(schedules[0].nextAt, /T02:00:00.000Z$/);
});

test('a drill gets a network of its own and a time to stand for, from the command line', async (t) => {
  const { cli, file, http } = await openShop(t, ['web-01']);
  await cli(['plans', 'apply', await file('shop.yaml', DRILLED)]);
  const drill = await cli(['drills', 'start', '--plan', 'shop', '--make-like', 'Slough/Slough front', '--clean-up-after', '60']);
  assert.equal(drill.code, 0, drill.stderr);
  const [listed] = (await http.get('/api/v1/drills')).data.drills;
  assert.equal(Date.parse(listed.cleansUpAt), Date.parse(listed.endedAt) + 3_600_000);
  assert.match((await cli(['drills', 'schedule'])).stdout, /^shop +90 days at 02:00 UTC +\d{4}-.*, open +\d{4}/m);
  assert.equal((await cli(['drills', 'clean-up', 'latest', '--outcome', 'passed', '--notes', 'well'])).code, 0);
});
