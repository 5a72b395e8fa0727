/** A recovery plan as a text that people write, review and change: what is told of it, and what of a change. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';

const SHOP = `# our shop
name: shop
groups:
  - name: databases
    members: [{ vm: sql-01 }]
  - name: web
    members:
      - { vm: web-01, dependsOn: [sql-01] }
      - { vm: web-02, dependsOn: [sql-01, web-01] }
`;

const vms = ['sql-01', 'web-01', 'web-02'];

test('every mistake of a plan is told in one answer, each with its line and what is allowed, and nothing is stored', async (t) => {
  const { world, kim, http, reading, cli, file } = await openShop(t, vms);
  const { store } = world;
  const now = Date.now();
  const [sample] = await store.observations.vms(kim.vaultId, { siteId: reading.id });
  assert.ok(sample);
  const again = { ...sample.report, name: 'late-01', ref: { ...sample.report.ref, vmId: randomUUID() as never } };
  const added = { type: 'inventory.changed' as const, full: false, clouds: [], networks: [], vms: [again], removedVms: [], digest: null };
  await store.observations.take(kim.vaultId, reading.id, added, now);
  await world.addSite(kim, 'Third', 'Lab', ['lab-01']);
  const wrong = await file(
    'wrong.yaml',
    `name: wrong
descripton: a typing mistake
groups:
  - name: one
    members:
      - { vm: sql-01, dependsOn: [web-01] }
      - { vm: web-01, dependsOn: [sql-01] }
      - { vm: web-2 }
  - name: one
    members:
      - { vm: late-01, guestAnswersWithinSeconds: 4000 }
      - { vm: lab-01 }
`,
  );
  const run = await cli(['plan', 'validate', wrong]);
  assert.equal(run.code, 2, run.stdout);
  const told = run.stderr.split('\n').flatMap((line) => /wrong\.yaml:(\d+):\d+ {2}(.*)$/.exec(line)?.slice(1).join(' ') ?? []);
  const expected = [
    /^2 descripton {2}is not a field here; did you mean 'description'\? \(allowed: name, /,
    /^7 .*dependsOn\[0\] {2}these wait for each other: sql-01 -> web-01 -> sql-01/,
    /^8 .*no protected VM is called 'web-2'; did you mean 'web-02'\?/,
    /^9 .*group 1 is called "one" too/,
    /^11 .*'late-01' is in cloud Production of Reading and is not protected \(allowed: a protected VM: farshore protect main late-01\)/,
    /^11 .*guestAnswersWithinSeconds/,
    /^12 .*'lab-01' is in cloud Lab of Third and is not protected \(allowed: a VM of a cloud that is paired: /,
  ];
  assert.equal(told.length, expected.length, told.join('\n'));
  for (const [index, line] of expected.entries()) assert.match(told[index] ?? '', line);
  assert.match(run.stderr, /^remedy: /m);
  assert.deepEqual((await http.get('/api/v1/plans')).data.plans, []);
});

test('a plan is exported, changed and compared: what changes in meaning is told, and a comment or another order is not', async (t) => {
  const { http, cli, file } = await openShop(t, vms);
  const first = await file('shop.yaml', SHOP);
  assert.equal((await cli(['plans', 'apply', first])).code, 0);
  const exported = await cli(['plans', 'export', 'shop']);
  const same = await file(
    'same.yaml',
    `# exported\n${exported.stdout.replace('- sql-01\n          - web-01', '- web-01\n          - sql-01')}`,
  );
  assert.notEqual(await readFile(same, 'utf8'), `# exported\n${exported.stdout}`, 'the order of two entries was changed');
  const unchanged = await cli(['plan', 'diff', 'shop', same, '--exit-code']);
  assert.deepEqual([unchanged.code, unchanged.stdout], [0, 'plan shop, from version 1 to same.yaml: nothing changes in meaning\n']);

  const changed = await file(
    'changed.yaml',
    `name: shop
guestAnswersWithinSeconds: 60
groups:
  - name: front
    members: [{ vm: Production/web-01 }, { vm: web-02, dependsOn: [Production/web-01] }]
  - name: databases
    members: [{ vm: sql-01 }]
`,
  );
  const diff = await cli(['plans', 'diff', 'shop', changed]);
  assert.equal(diff.code, 0, diff.stderr);
  assert.deepEqual(diff.stdout.trim().split('\n'), [
    'plan shop, from version 1 to changed.yaml:',
    '  ~ the plan: guestAnswersWithinSeconds is 60, was 300',
    '  ~ group "web" is called "front"',
    '  ~ group "databases" moves from place 1 to place 2',
    '  - Production/web-01 no longer waits for sql-01',
    '  - web-02 no longer waits for sql-01',
  ]);
  assert.equal((await cli(['plans', 'diff', 'shop', changed, '--exit-code'])).code, 1);
  assert.equal((await http.get('/api/v1/plans/shop')).data.version, 1, 'comparing stores nothing');

  assert.match((await cli(['plans', 'diff', 'shop'])).stderr, /version 1 of the plan is its first/);
  assert.equal((await cli(['plans', 'apply', changed])).code, 0);
  const versions = JSON.parse((await cli(['plans', 'versions', 'shop', '--json'])).stdout).versions;
  assert.deepEqual(
    versions.map(({ version, createdBy }: { version: number; createdBy: string }) => [version, createdBy]),
    [
      [2, 'kim'],
      [1, 'kim'],
    ],
  );
  const asJson = JSON.parse((await cli(['plans', 'diff', 'shop', '--json'])).stdout);
  assert.deepEqual([asJson.from, asJson.to, asJson.changes.length], [1, 2, 5]);
  const back = JSON.parse((await cli(['plans', 'diff', 'shop', '--from', '2', '--to', '1', '--json'])).stdout);
  assert.deepEqual(
    back.changes.filter(({ what }: { what: string }) => what === 'dependencyAdded').map(({ member }: { member: string }) => member),
    ['web-01', 'web-02'],
  );
  assert.equal((await cli(['plans', 'diff', 'shop', '--to', '9'])).code, 2);
  assert.equal((await cli(['plans', 'diff', 'shop', changed, '--to', '1'])).code, 2);
});

test('plans show tells who waits for whom', async (t) => {
  const { cli, file } = await openShop(t, vms);
  await cli(['plans', 'apply', await file('shop.yaml', SHOP)]);
  const { stdout } = await cli(['plans', 'show', 'shop']);
  assert.match(stdout, /├─ web-01 {2}protected; starts after sql-01; its guest answers within 5 min$/m);
  assert.match(stdout, /└─ web-02 {2}protected; starts after sql-01, web-01; /m);
});

test('another vault learns nothing of a plan, its versions or its differences', async (t) => {
  const { world, http, cli, file } = await openShop(t, vms);
  await cli(['plans', 'apply', await file('shop.yaml', SHOP)]);
  const { id } = (await http.get('/api/v1/plans/shop')).data;
  const hers = world.client(await world.credential(await world.addVault('Southgate', 'eve')));
  assert.equal((await hers.get(`/api/v1/plans/${id}/versions`)).status, 404);
  assert.equal((await hers.post(`/api/v1/plans/${id}/diff`, { to: { text: SHOP } })).status, 404);
});

test('a plan with a time to be committed in tells everywhere when its failover takes itself back, and no longer once it is committed', async (t) => {
  const { http, cli, file } = await openShop(t, vms);
  await cli(['plans', 'apply', await file('shop.yaml', SHOP.replace('groups:', 'commitWithinMinutes: 90\ngroups:'))]);
  const run = await cli(['failover', '--kind', 'planned', '--plan', 'shop', '--reason', 'power works']);
  assert.equal(run.code, 0, run.stderr);
  const { id, endedAt, takesItselfBackAt } = JSON.parse((await cli(['jobs', 'show', 'latest', '--json'])).stdout);
  assert.equal(Date.parse(takesItselfBackAt) - Date.parse(endedAt), 90 * 60_000);
  const at = `${takesItselfBackAt.slice(0, 10)} ${takesItselfBackAt.slice(11, 19)}Z`;
  assert.match(run.stdout, new RegExp(`takes itself back at ${at} unless it is committed`));
  assert.match((await cli(['vms', 'list'])).stdout, new RegExp(`sql-01, web-01, web-02: taken back at ${at} unless committed`));
  const { protectedVms } = (await http.get('/api/v1/protected-vms')).data;
  assert.deepEqual([...new Set(protectedVms.map((vm: { takesItselfBackAt: string }) => vm.takesItselfBackAt))], [takesItselfBackAt]);
  assert.equal((await cli(['commit', '--plan', 'shop'])).code, 0);
  assert.doesNotMatch((await cli(['vms', 'list'])).stdout, /taken back/);
  assert.equal((await http.get(`/api/v1/jobs/${id}`)).data.takesItselfBackAt, null);
  assert.match((await cli(['jobs', 'show', id])).stdout, /started .* by kim \(power works\)/);
});
