import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId, RuleId, VmId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { makeJob, makePairing, makeStoreWorld, makeVm, order } from '../support/store-world.ts';

const uuid = () => systemRandom.uuid();

async function pairedStore(t: Parameters<typeof makeStoreWorld>[0]) {
  const world = await makeStoreWorld(t);
  const pairing = makePairing(world);
  await world.store.jobs.open(order(makeJob(world, { kind: 'pair' }), { newPairing: pairing }));
  return { world, pairing, rules: world.store.rules };
}

test('a rule is there once while it holds, and stays on record when it is removed', async (t) => {
  const { world, pairing, rules } = await pairedStore(t);
  const { vaultId, ownerId } = world;
  const wanted = { vaultId, pairingId: pairing.id, match: { by: 'all' }, createdAt: 5, createdBy: ownerId } as const;
  const held = { ...wanted, removedAt: null, removedBy: null };
  const [one, two] = [uuid() as RuleId, uuid() as RuleId];
  await rules.add({ id: one, ...held });
  await assert.rejects(rules.add({ id: two, ...held }), { code: 'ERR_CONFLICT' });
  assert.equal(await rules.remove(vaultId, one, 9, ownerId), true);
  await rules.add({ id: two, ...held });
  const store = await world.reopen();
  const all = (await store.rules.list(vaultId)).map(({ id, removedAt, removedBy }) => [id, removedAt, removedBy]);
  assert.deepEqual(
    new Map(all.map(([id, ...rest]) => [id, rest])),
    new Map([
      [one, [9, ownerId]],
      [two, [null, null]],
    ]),
  );
  assert.deepEqual(await store.rules.list(uuid() as never), [], 'of another vault nothing');
});

test('a try is counted with the job that makes it, and with no job that was refused', async (t) => {
  const { world, pairing, rules } = await pairedStore(t);
  const vm = makeVm(world, pairing, 1);
  const open = (id: JobId, byRule: boolean) =>
    world.store.jobs.open(order(makeJob(world, { id, kind: 'protect' }), { newVms: [vm], byRule }));
  const first = uuid() as JobId;
  assert.equal(await open(first, true), 'opened');
  assert.equal(await open(first, true), 'existing');
  await assert.rejects(open(uuid() as JobId, true), { code: 'ERR_CONFLICT' });
  assert.deepEqual(await rules.attempts(world.vaultId), [{ vmId: vm.vmId, attempts: 1, jobId: first }]);
});

test('whoever ends the protection of a VM is not overruled, until that is lifted', async (t) => {
  const { world, pairing, rules } = await pairedStore(t);
  const { vaultId } = world;
  const vm = makeVm(world, pairing, 1);
  const excludes = [{ vmId: vm.vmId, name: vm.name }];
  const job = makeJob(world, { kind: 'unprotect', startedBy: 'kim', startedAt: 7 });
  await world.store.jobs.open(order(job, { excludes }));
  const exclusion = { vaultId, vmId: vm.vmId, name: vm.name, at: 7, by: 'kim', jobId: job.id };
  assert.deepEqual(await rules.exclusions(vaultId), [exclusion]);
  await rules.exclude({ ...exclusion, by: 'eve', jobId: null });
  assert.deepEqual(
    (await rules.exclusions(vaultId)).map(({ by, jobId }) => [by, jobId]),
    [['eve', null]],
    'the last word counts',
  );
  assert.equal(await rules.lift(uuid() as never, vm.vmId), false, 'not by another vault');
  assert.deepEqual([await rules.lift(vaultId, vm.vmId), await rules.lift(vaultId, vm.vmId)], [true, false]);
  assert.equal(await rules.lift(vaultId, uuid() as VmId), false);
});
