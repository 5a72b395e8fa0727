/** How long jobs are kept: as the vault says, and never shorter than anybody needs them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { JobRetention } from '../../control-plane/operations/job-retention.ts';
import { VaultSettings } from '../../shared/domain/vault-settings.ts';
import type { JobId } from '../../shared/ids.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeJob, makePairing, makeStoreWorld, makeVm, newJobId, order, type StoreWorld } from '../support/store-world.ts';
import { until } from '../support/until.ts';

const DAY = 86_400_000;
const NOW = 4_000 * DAY;

/** Opened and, unless it goes on, ended so many days ago. */
async function job({ store, vaultId }: StoreWorld, daysAgo: number, goesOn: 'ends' | 'runs' | 'parks' = 'ends'): Promise<JobId> {
  const id = newJobId();
  const at = NOW - daysAgo * DAY;
  await store.jobs.open({ ...order(makeJob({ vaultId } as StoreWorld, { id, startedAt: at })), graph: { steps: [] } });
  if (goesOn === 'ends') await store.jobs.append(vaultId, id, [{ type: 'ended', at, state: 'succeeded' }], []);
  if (goesOn === 'parks') await store.jobs.append(vaultId, id, [{ type: 'parked', at }], []);
  return id;
}

async function kept({ store, vaultId }: StoreWorld, ids: readonly JobId[]): Promise<boolean[]> {
  return Promise.all(ids.map(async (id) => (await store.jobs.find(vaultId, id)) !== null));
}

function begun(t: TestContext, { store }: StoreWorld) {
  const clock = new ManualClock(NOW);
  const logged: object[] = [];
  const log = {
    info: (fields: object) => void logged.push(fields),
    warn: () => {},
    error: (fields: object) => assert.fail(JSON.stringify(fields)),
  };
  const retention = new JobRetention({ store, clock, log });
  t.after(() => retention.stop());
  retention.begin();
  return { clock, logged };
}

test('for three years where nobody says otherwise; what has not ended is kept however old it is', async (t) => {
  const world = await makeStoreWorld(t);
  const ids = [await job(world, 1_096), await job(world, 1_094), await job(world, 3_000, 'runs'), await job(world, 3_000, 'parks')];
  begun(t, world);
  await until('the old one is gone', async () => !(await kept(world, ids))[0]);
  assert.deepEqual(await kept(world, ids), [false, true, true, true]);
  const [gone] = ids as [JobId];
  assert.deepEqual(await world.store.jobs.facts(world.vaultId, gone), []);
  await assert.rejects(world.store.jobs.graph(world.vaultId, gone), { code: 'ERR_NOT_FOUND' });
});

test('as long as the vault says, looked at every day, in small bites', async (t) => {
  const world = await makeStoreWorld(t);
  const old: JobId[] = [];
  for (let n = 0; n < 12; n++) old.push(await job(world, 40 - n / 100));
  const young = await job(world, 29.5);
  await world.store.wishes.setSettings(world.vaultId, VaultSettings.parse({ keepJobsDays: 30 }), world.ownerId, NOW);
  const { clock, logged } = begun(t, world);
  await until('the first bite is taken', async () => (await kept(world, old)).filter(Boolean).length === 7);
  await until('all are gone', async () => {
    clock.advance(50);
    return !(await kept(world, old)).some(Boolean);
  });
  assert.deepEqual(await kept(world, [young]), [true]);
  await until('it is told', () => logged.length === 1);
  assert.deepEqual(logged, [{ vaultId: world.vaultId, jobs: 12, keepJobsDays: 30 }]);
  await until('a day later it looks again', async () => {
    clock.advance(DAY);
    return !(await kept(world, [young]))[0];
  });
});

test('longer where a VM names the job: for a test copy that is there, or a failover that is not committed', async (t) => {
  const world = await makeStoreWorld(t);
  const { store, vaultId } = world;
  const pairing = makePairing(world);
  const [copied, moved, free] = [
    makeVm(world, pairing, 1, 'protected'),
    makeVm(world, pairing, 2, 'failingOver'),
    makeVm(world, pairing, 3),
  ];
  const setUp = newJobId();
  await store.jobs.open({ ...order(makeJob(world, { id: setUp })), newPairing: pairing, newVms: [copied, moved, free] });
  await store.jobs.append(
    vaultId,
    setUp,
    [{ type: 'ended', at: 0, state: 'succeeded' }],
    [
      { vm: copied.id, event: 'testCopyBegun' },
      { vm: moved.id, event: 'replicaStarted' },
      { commitWindowOf: moved.id, endsAt: NOW + DAY },
      { commitWindowOf: free.id, endsAt: NOW + DAY },
    ],
  );
  const [vmOfCopy, vmMoved, vmFree] = await store.promises.protectedVms(vaultId);
  assert.deepEqual(
    [vmOfCopy?.drill, vmMoved?.commitWindow?.failover, vmFree?.commitWindow],
    [setUp, setUp, null],
    'only what is failed over',
  );
  assert.equal(await store.jobs.purge(vaultId, NOW, 10), 0);
  await store.jobs.lapseCommitWindow({ vaultId, failover: setUp, vms: [moved.id] }, 'nobody was there');
  assert.deepEqual(await store.jobs.commitWindows(), []);
  assert.equal(await store.jobs.purge(vaultId, NOW, 10), 0, 'it says why it was not taken back');
  const cleanUp = newJobId();
  await store.jobs.open({
    ...order(makeJob(world, { id: cleanUp })),
    claims: [copied, moved].map(({ id }) => ({ id, phases: ['protected', 'failedOver'] as const })),
  });
  await store.jobs.append(
    vaultId,
    cleanUp,
    [{ type: 'ended', at: NOW, state: 'succeeded' }],
    [
      { vm: copied.id, event: 'testCopyRemoved' },
      { vm: moved.id, event: 'failoverCommitted' },
    ],
  );
  assert.equal(await store.jobs.purge(vaultId, NOW, 10), 1);
  assert.deepEqual(await kept(world, [setUp, cleanUp]), [false, true]);
});
