/** Adoption as a person meets it: the list of what replicates, the refusal that lists the differences, the adoption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPolicy, settingsOf } from '../../shared/domain/policy.ts';
import type { VmReport } from '../../shared/protocol/egress.ts';
import { ApiWorld, PASSWORD, report, type SiteInWorld } from '../support/api-world.ts';

const settings = settingsOf(defaultPolicy);

function replicating(seen: VmReport, mode: 'primary' | 'replica', over: Partial<typeof settings> = {}): VmReport {
  const replication = { mode, state: 'replicating', health: 'normal', lastPointAt: new Date().toISOString(), settings } as const;
  return { ...seen, replication: { ...replication, settings: { ...settings, ...over } } };
}

test('what replicates already is listed with its differences, refused with all of them, and adopted once they are kept', async (t) => {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  const reading = await world.addSite(kim, 'Reading', 'Production');
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const tell = (site: SiteInWorld, vms: VmReport[]) => {
    const message = { type: 'inventory.changed', full: false, clouds: [], networks: [], vms, removedVms: [], digest: null } as const;
    return world.store.observations.take(kim.vaultId, site.id, { ...message, clouds: [], networks: [], removedVms: [] }, Date.now());
  };
  const [web, sql, lone] = [report('web-01', reading), report('sql-01', reading), report('lone-01', reading)];
  const atSlough = (seen: VmReport): VmReport => ({ ...seen, ref: { ...seen.ref, cloudId: slough.cloudId }, power: 'off', networkIds: [] });
  await tell(reading, [
    replicating(web, 'primary'),
    replicating(sql, 'primary', { copyFrequencySeconds: 900 }),
    replicating(lone, 'primary'),
  ]);
  await tell(slough, [replicating(atSlough(web), 'replica'), replicating(atSlough(sql), 'replica')]);
  const signedIn = await world.cli(['sign-in', 'kim', '--address', world.address, '--ca', world.caFile], { input: `${PASSWORD}\n` });
  assert.equal(signedIn.code, 0, signedIn.stderr);

  const unpaired = await world.cli(['adoptable']);
  assert.match(unpaired.stdout, /web-01 +Reading\/Production +Slough\/Recovery +- +no pairing joins the clouds/);
  const pair = ['pairings', 'create', '--name', 'main', '--primary', 'Reading/Production', '--recovery', 'Slough/Recovery'];
  assert.equal((await world.cli(pair)).code, 0);
  const list = (await world.cli(['adoptable'])).stdout;
  assert.match(list, /lone-01 +Reading\/Production +- +- +no site reports its replica/);
  assert.match(list, /sql-01 .* main +differs: copyFrequencySeconds 900 \(policy: 300\)/);
  assert.match(list, /web-01 .* main +as it is/);

  const refused = await world.cli(['adopt', 'main', '--all']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /sql-01: copyFrequencySeconds.*is 900; the policy says 300/);
  assert.match(refused.stderr, /ERR_SETTINGS_DIFFER/);
  const adopted = await world.cli(['adopt', 'main', '--all', '--keep-differences', 'the line is thin']);
  assert.equal(adopted.code, 0, adopted.stderr);
  assert.match(adopted.stdout, /Adopt 2 VMs of main: succeeded/);
  assert.match((await world.cli(['vms', 'list'])).stdout, /sql-01 +protected/);

  const counts = { cycles: 12, missed: 1, errors: 0, averageBytes: 3 * 1024 ** 2, maximumBytes: 9 * 1024 ** 2, pendingBytes: 1024 ** 2 };
  const measure = { since: '2026-11-25T08:00:00.000Z', ...counts, averageLatencyMs: 1500, maximumLatencyMs: 4000 };
  const measured = replicating(web, 'primary');
  await tell(reading, [{ ...measured, replication: { ...measured.replication, measure } }]);
  const table = (await world.cli(['vms', 'measure'])).stdout;
  assert.match(table, /web-01 +12 +1 +0 +3\.0 MB +9\.0 MB +1\.0 MB +1\.5 s \/ 4 s +2026-11-25 08:00:00Z/);
  assert.match(table, /sql-01( +-){8}/, 'its site told nothing of that');
  const { vms } = JSON.parse((await world.cli(['vms', 'measure', 'web-01', '--json'])).stdout);
  assert.deepEqual(
    vms.map((vm: { name: string; measure: unknown }) => [vm.name, vm.measure]),
    [['web-01', measure]],
  );
  const left = JSON.parse((await world.cli(['adoptable', '--json'])).stdout);
  assert.deepEqual(
    left.adoptableVms.map(({ name }: { name: string }) => name),
    ['lone-01'],
  );
});
