/** Changes of a pairing that come while a VM cannot take them, as sentences: it tells that it is behind, and gets them when it can. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsBehind, wantedSettings } from '../../control-plane/store/vm-settings.ts';
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import type { JobId } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { World } from '../support/world.ts';
import { allJobs } from '../support/world-control-plane.ts';
import { vaultId } from '../support/world-core.ts';
import { refOf, stateOf } from '../support/world-views.ts';

type Change = Pick<OperationRequestOf<'changePairing'>, 'policy' | 'networks' | 'vms'>;

async function changes(world: World, change: Change) {
  const [pairing] = await world.pairings();
  assert.ok(pairing);
  const id = await world.ask({ id: world.newJobId(), kind: 'changePairing', pairing: pairing.id, ...change });
  await world.settles(id);
  return id;
}

async function behind(world: World): Promise<string[]> {
  const pairings = new Map((await world.pairings()).map((pairing) => [pairing.id, wantedSettings(pairing)]));
  const vms = await world.protectedVms();
  return vms.flatMap((vm) => settingsBehind(vm, pairings.get(vm.pairingId) as never).map((setting) => `${vm.name}: ${setting}`));
}

const byItself = async (world: World) =>
  (await allJobs(world.controlPlane.store, vaultId)).filter(({ job }) => job.startedBy === 'Farshore (pairing settings)');
const planned = (world: World) =>
  world
    .site('slough')
    .fabric.adapters(refOf(world, 'slough', 'vm-1'))
    .map((adapter) => adapter.planned?.networkId ?? 'none');
const settings = async (world: World) => (await world.site('reading').fabric.findVm(refOf(world, 'reading', 'vm-1')))?.replication.settings;

test('a VM that is failed over gets it after it was taken back, by itself and once', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const changed = await changes(world, { policy: { copyFrequencySeconds: 900, additionalRecoveryPoints: 3 }, networks: [] });
  assert.equal(await stateOf(world, changed), 'succeeded');
  assert.deepEqual(await behind(world), ['vm-1: policy', 'vm-1: networks']);
  await world.clock.advance(600_000);
  assert.deepEqual(await byItself(world), [], 'nothing is done to it where it is');
  await world.takeBack();
  await world.until('it has got it', async () => (await behind(world)).length === 0);
  await world.clock.advance(600_000);
  assert.deepEqual((await byItself(world)).length, 1);
  assert.deepEqual(planned(world), ['none']);
  const { copyFrequencySeconds, additionalRecoveryPoints } = (await settings(world)) ?? {};
  assert.deepEqual([copyFrequencySeconds, additionalRecoveryPoints], [900, 3]);
  await world.finishes();
});

/** Its protection takes half a minute, which has just begun. */
async function enabling(): Promise<{ world: World; job: JobId }> {
  const world = await World.make({ vms: 1, extra: 'timings: { enableReplication: { median: 30 s } }' });
  await world.pair();
  const job = await world.ask(await world.protectRequest());
  await world.clock.advance(2_000);
  return { world, job };
}

test('a VM that is being enabled gets it when it is protected', async () => {
  const { world, job } = await enabling();
  const changed = await changes(world, { policy: { copyFrequencySeconds: 900 }, networks: [] });
  assert.equal(await stateOf(world, changed), 'succeeded');
  await world.settles(job);
  await world.until('it has got it', async () => (await behind(world)).length === 0);
  assert.deepEqual([(await settings(world))?.copyFrequencySeconds, planned(world)], [900, ['none']]);
  await world.finishes();
});

test('networks that were changed while a VM was reversed are set when it is at home again', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await world.commit();
  await world.reverseReplication();
  await world.clock.advance(65_000);
  await changes(world, { networks: [] });
  assert.deepEqual(await behind(world), [], 'the other way it has its own networks');
  await world.failOverAsPlanned(undefined, 'toPrimary');
  await world.commit();
  await world.reverseReplication();
  assert.deepEqual(await behind(world), ['vm-1: networks']);
  await world.until('it has got it', async () => (await behind(world)).length === 0);
  assert.deepEqual(planned(world), ['none']);
  await world.finishes();
});

test('a VM that a job works on does not hold a change up, and gets it after the job', async () => {
  const world = await protectedWorld({ vms: 1, extra: 'timings: { setReplicationPolicy: { median: 10 s } }' });
  const first = await world.ask({ ...(await world.changeRequest({ copyFrequencySeconds: 300 })), networks: [] } as never);
  await world.clock.advance(1_000);
  const second = await changes(world, { policy: { additionalRecoveryPoints: 2 } });
  assert.equal(await stateOf(world, second), 'succeeded');
  const input = (await world.job(second))?.job.input as { skipped: { name: string; reason: string }[] };
  assert.deepEqual(
    input.skipped.map(({ reason }) => reason),
    [`job ${first} works on it: it gets what was changed after that`],
  );
  await world.until('it has got both', async () => (await behind(world)).length === 0);
  const { copyFrequencySeconds, additionalRecoveryPoints } = (await settings(world)) ?? {};
  assert.deepEqual([copyFrequencySeconds, additionalRecoveryPoints], [300, 2]);
  await world.finishes();
});

test('what cannot be set is tried once by itself, holds no VM up, and can be applied by a person', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  await changes(world, { policy: { copyFrequencySeconds: 900 } });
  const { faults } = world.site('reading').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'setReplicationPolicy', times: 1_000, when: 'beforeEffect' });
  await world.takeBack();
  await world.until('it was tried', async () => (await byItself(world)).some(({ job }) => job.endedAt !== null));
  assert.ok(faults.fired().length > 0, 'the fault happened');
  await world.clock.advance(1_200_000);
  const [only, ...more] = await byItself(world);
  assert.deepEqual([only?.job.state, more.length], ['completedWithFailures', 0]);
  assert.deepEqual(await behind(world), ['vm-1: policy']);
  assert.equal((await world.protectedVms())[0]?.busyWith, null);
  faults.lift(fault);
  const applied = await changes(world, {});
  assert.deepEqual([await stateOf(world, applied), await behind(world)], ['succeeded', []]);
  await world.finishes();
});

test('a site that hangs while a VM is brought to its pairing does not keep the VM from being failed over', async () => {
  const { world, job } = await enabling();
  await changes(world, { policy: { copyFrequencySeconds: 900 } });
  const { faults } = world.site('reading').fabric;
  faults.order({ kind: 'hangs', operation: 'setReplicationPolicy', times: 1, when: 'beforeEffect' });
  await world.settles(job);
  await world.until('it hangs', () => faults.fired().length > 0);
  world.goesDark('reading');
  await world.clock.advance(30_000);
  const failover = await world.failOver();
  assert.equal(await stateOf(world, failover), 'succeeded');
  world.returns('reading');
  await world.finishes();
});

test('wherever the control plane dies while a VM is brought to its pairing, it is brought there, by one job', async () => {
  const begun = async () => {
    const world = await protectedWorld({ vms: 1 });
    await world.failOverAsPlanned();
    await changes(world, { policy: { copyFrequencySeconds: 900 }, networks: [] });
    await world.takeBack();
    return world;
  };
  const calm = await begun();
  calm.places.list();
  await calm.until('it has got it', async () => (await behind(calm)).length === 0);
  await calm.clock.advance(5_000);
  const writes = calm.places.reached.filter(({ kind }) => kind === 'append').length;
  await calm.finishes();
  assert.ok(writes >= 6, 'opening the job, two steps, and its end');
  for (let write = 0; write < writes; write++) {
    const world = await begun();
    let seen = 0;
    world.places.hurtWhere(
      ({ kind }) => kind === 'append' && seen++ === write,
      () => {
        world.controlPlaneCrashes();
        return 'dies';
      },
    );
    await world.until('it dies', () => world.hasDied);
    await world.everythingIsBack();
    await world.until('it has got it', async () => (await behind(world)).length === 0);
    await world.clock.advance(600_000);
    assert.equal(world.places.hurts, 1, 'the fault happened');
    assert.equal((await byItself(world)).length, 1, `died at write ${write}`);
    await world.finishes();
  }
});
