/** Rules as a person meets them: a preview, the rule, what it does, what is excluded and lifted, and the way out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RuleKeeper } from '../../control-plane/operations/rule-keeper.ts';
import { systemClock } from '../../shared/system-ports.ts';
import { ApiWorld, PASSWORD } from '../support/api-world.ts';
import { until } from '../support/until.ts';

test('a rule is previewed, added, acts, respects what a person took out, and is removed', async (t) => {
  const world = await ApiWorld.open(t);
  const { store, bell, presence, log } = world;
  const keeper = new RuleKeeper({ store, bell, presence, log, operations: world.runner, clock: systemClock });
  await keeper.begin();
  t.after(() => keeper.stop());
  const kim = await world.addVault('Northgate', 'kim');
  await world.addSite(kim, 'Reading', 'Production', ['web-01', 'web-02', 'sql-01']);
  await world.addSite(kim, 'Slough', 'Recovery');
  const cli = async (...args: string[]) => {
    const { code, stdout, stderr } = await world.cli(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  await world.cli(['sign-in', 'kim', '--address', world.address, '--ca', world.caFile], { input: `${PASSWORD}\n` });
  await cli('pairings', 'create', '--name', 'main', '--primary', 'Reading/Production', '--recovery', 'Slough/Recovery');
  await cli('rules', 'exclude', 'main', 'web-02');

  const preview = await cli('rules', 'preview', 'main', '--name', 'web-*');
  assert.match(preview, /web-01 +is protected +its name fits web-\*/);
  assert.match(preview, /web-02 +is left alone +a person took it out of protection: lift that first/);
  assert.doesNotMatch(preview, /sql-01/);
  assert.match(await cli('rules', 'add', 'main', '--name', 'web-*'), /VMs named web-\* of main are protected from now on/);
  const again = await world.cli(['rules', 'add', 'main', '--name', 'web-*']);
  assert.match(again.stderr, /ERR_CONFLICT/);
  assert.equal((await world.cli(['rules', 'add', 'main'])).code, 2, 'neither --all nor --name');
  assert.equal((await world.cli(['rules', 'add', 'main', '--all', '--tag', 'gold'])).code, 2, 'two of them');
  assert.match(await cli('rules', 'preview', 'main', '--tag', 'gold'), /no rule names this tag yet/);
  assert.match(await cli('rules', 'add', 'main', '--tag', 'gold'), /VMs tagged gold of main are protected from now on/);
  assert.match(await cli('rules', 'preview', 'main', '--tag', 'Gold'), /no VM of the primary cloud fits/);
  await cli('rules', 'remove', 'VMs tagged gold');
  const protectedNames = async () => (await store.promises.protectedVms(kim.vaultId)).map(({ name, phase }) => `${name} ${phase}`);
  await until('the rule has acted', async () => (await protectedNames()).join() === 'web-01 protected');
  assert.match(await cli('jobs', 'show', 'latest'), /wanted by the rule VMs named web-\* \([0-9a-f]{8}\): its name fits web-\*/);
  assert.match(await cli('jobs', 'list'), /Protect web-01 .*rule: VMs named web-\*/);

  assert.match(await cli('rules', 'excluded'), /web-02 +kim, .* said so/);
  await cli('rules', 'lift', 'web-02');
  await until('the rule takes the other', async () => (await protectedNames()).join() === 'web-01 protected,web-02 protected');
  await cli('unprotect', 'web-01');
  assert.match(await cli('rules', 'excluded'), /web-01 +kim, .* job [0-9a-f]{8}/);
  assert.match(await cli('rules', 'list'), /main +VMs named web-\* +kim, .* holds/);
  await cli('rules', 'remove', 'VMs named web-*');
  assert.match(await cli('rules', 'list'), /^no rules/);
  assert.match(await cli('rules', 'list', '--removed'), /removed by kim/);
  assert.deepEqual(await protectedNames(), ['web-02 protected']);
});
