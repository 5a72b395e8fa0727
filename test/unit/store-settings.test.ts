/** What the store says of VMs that lack what their pairing wants of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noSettings, wantedSettings } from '../../control-plane/store/vm-settings.ts';
import { makeJob, makePairing, makeStoreWorld, makeVm, order } from '../support/store-world.ts';

test('a VM is behind until it was tried or set, once for each change; one of which nothing is known is left to people', async (t) => {
  const world = await makeStoreWorld(t);
  const { jobs, promises } = world.store;
  const pairing = makePairing(world);
  const [wanted, none] = [wantedSettings(pairing), noSettings];
  const ended = [{ type: 'ended', at: 20, state: 'succeeded' }] as const;
  const made = { first: makeVm(world, pairing, 1, 'protected'), old: makeVm(world, pairing, 2, 'protected') };
  const first = { ...made.first, applied: wanted, attempted: wanted };
  const protects = makeJob(world);
  await jobs.open(order(protects, { newPairing: pairing, newVms: [first, { ...made.old, applied: none, attempted: none }] }));
  await jobs.append(world.vaultId, protects.id, ended, []);
  const behind = async () => {
    const now = await promises.findPairing(world.vaultId, pairing.id);
    assert.ok(now);
    return (await promises.vmsBehind(now, 10)).map(({ name }) => name);
  };
  assert.deepEqual(await behind(), []);

  const change = makeJob(world);
  await jobs.open(order(change, { changedPairing: { id: pairing.id, policy: { copyFrequencySeconds: 900 } } }));
  assert.deepEqual(await behind(), [first.name]);
  const policy = { ...pairing.policy, copyFrequencySeconds: 900 as const };
  const attempts = { policy: wantedSettings({ ...pairing, policy }).policy };
  const tries = makeJob(world);
  await jobs.open(order(tries, { claims: [{ id: first.id, phases: ['protected'], attempts }] }));
  assert.deepEqual(await behind(), [], 'a job works on it');
  await jobs.append(world.vaultId, tries.id, ended, []);
  assert.deepEqual(await behind(), [], 'it was tried');
  await jobs.append(world.vaultId, change.id, ended, []);

  const more = makeJob(world);
  await jobs.open(order(more, { changedPairing: { id: pairing.id, policy: { additionalRecoveryPoints: 3 } } }));
  assert.deepEqual(await behind(), [first.name], 'another change, another try');
  const sets = makeJob(world);
  await jobs.open(order(sets, { claims: [{ id: first.id, phases: ['protected'] }] }));
  const digest = wantedSettings({ ...pairing, policy: { ...policy, additionalRecoveryPoints: 3 } }).policy;
  await jobs.append(world.vaultId, sets.id, [], [{ appliedTo: first.id, settings: { policy: digest } }, { released: first.id }]);
  assert.deepEqual(await behind(), [], 'it was set, and the job has let it go');
  const [vm] = await promises.protectedVms(world.vaultId, { ids: [first.id] });
  assert.deepEqual([vm?.busyWith, vm?.applied], [null, { policy: digest, networks: wanted.networks }]);
});
