/** The primary returns after an unplanned failover and its VM still runs: nobody may overlook that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationRequest } from '../../shared/api/operations.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { ApiWorld, report } from '../support/api-world.ts';

test('a VM that runs on both sides is an alarm in the API and on the command line, as soon as both sites speak', async (t) => {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  const reading = await world.addSite(kim, 'Reading', 'Production', ['sql-01', 'web-01']);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const { vaultId } = kim;
  const run = async (request: object) => {
    const { job } = await world.runner.start(OperationRequest.parse({ id: systemRandom.uuid(), ...request }), { vaultId, name: 'kim' });
    await world.jobEnded(kim, job.id);
  };
  const end = ({ id, cloudId }: typeof reading) => ({ siteId: id, cloudId });
  await run({ kind: 'pair', name: 'main', primary: end(reading), recovery: end(slough), policy: {}, networks: [] });
  const [pairing] = await world.store.promises.pairings(vaultId);
  const seen = await world.store.observations.vms(vaultId, { siteId: reading.id });
  await run({ kind: 'protect', pairing: pairing?.id, vms: seen.map((vm) => vm.report.ref.vmId) });
  const vms = await world.store.promises.protectedVms(vaultId);
  const [moved] = vms;
  assert.ok(moved);

  world.goDark(reading);
  await run({ kind: 'unplannedFailover', target: { vms: [moved.id] }, primary: { evidence: 'unreachable', reason: 'fire' } });
  const replica = { ...report(moved.name, slough), ref: { cloudId: slough.cloudId, vmId: moved.vmId } };
  const message = { type: 'inventory.changed' as const, full: false, clouds: [], networks: [], removedVms: [], digest: null };
  await world.store.observations.take(vaultId, slough.id, { ...message, vms: [replica] }, Date.now());

  const http = world.client(await world.credential(kim));
  const issues = async () => {
    const { protectedVms } = (await http.get('/api/v1/protected-vms')).data;
    const all = protectedVms.flatMap((vm: { name: string; issues: { issue: string }[] }) => vm.issues.map(({ issue }) => [vm.name, issue]));
    // The sites of this world say that nothing replicates.
    return all.filter(([, issue]: readonly string[]) => issue !== 'notReplicating');
  };
  assert.deepEqual(await issues(), [], 'a site that went dark a moment ago is not accused');

  world.connected.add(reading.id);
  assert.deepEqual(await issues(), [[moved.name, 'twoLiveCopies']]);
  const environment = { FARSHORE_TOKEN: await world.credential(kim) };
  await world.cli(['connect', '--address', world.address, '--ca', world.caFile], { environment });
  const list = await world.cli(['vms', 'list'], { environment });
  assert.match(list.stdout, new RegExp(`${moved.name} .*TWO LIVE COPIES`));
  assert.match(list.stdout, /TWO LIVE COPIES: 1 of 2 VMs\n {2}cause: {2}Both copies run/);
});
