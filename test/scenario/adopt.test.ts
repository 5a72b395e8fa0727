/** Adoption as sentences: VMs that replicated before there was Farshore come under its protection as they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seenVm } from '../../control-plane/operations/adopt.ts';
import { findCandidates } from '../../shared/domain/adoption.ts';
import { defaultPolicy, settingsOf } from '../../shared/domain/policy.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { VmId } from '../../shared/ids.ts';
import { type ByHand, replicatesAlready } from '../support/by-hand.ts';
import { CANARY } from '../support/checkers-metadata.ts';
import { waitingSteps } from '../support/operation-picture.ts';
import { type SiteName, World, type WorldOptions } from '../support/world.ts';
import { siteIdOf, vaultId } from '../support/world-core.ts';
import { BY_HAND } from '../support/world-site.ts';
import { refOf, stateOf, viewOf } from '../support/world-views.ts';

async function replicatingWorld(options: WorldOptions = {}, byHand: ByHand = {}): Promise<World> {
  const world = await World.make({ vms: 1, ...options });
  await replicatesAlready(world, byHand);
  await world.pair();
  return world;
}

const promisesOf = async (world: World) =>
  (await world.protectedVms()).map(({ name, phase, activeLocation, replicatesFrom }) => [name, phase, activeLocation, replicatesFrom]);
/** What we did at both sites, beside preparing hosts. */
const workOf = (world: World) =>
  (['reading', 'slough'] as const).flatMap((site) =>
    world
      .site(site)
      .fabric.taskLog()
      .filter(({ commandId, operation }) => !commandId.startsWith(BY_HAND) && operation !== 'prepareHosts')
      .map(({ operation }) => `${operation} at ${site}`),
  );
const pointsAt = (world: World, site: SiteName) => world.site(site).fabric.pointsWithContent(refOf(world, site, 'vm-1'));

async function refusalOf(asked: Promise<unknown>): Promise<FarshoreError> {
  return asked.then(
    () => assert.fail('it was not refused'),
    (thrown: FarshoreError) => thrown,
  );
}

test('a VM that replicates already is protected at once, with the recovery points it has and without a new copy', async () => {
  const world = await replicatingWorld({ recoveryPoints: 0 });
  const [before] = pointsAt(world, 'slough');
  const asked = world.clock.now();
  const job = await world.adopt();
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await promisesOf(world), [['vm-1', 'protected', 'primary', 'primary']]);
  assert.ok(world.clock.now() - asked < 5_000, 'nothing was waited for');
  assert.deepEqual(workOf(world), ['configureReplica at slough'], 'networks and addresses, and nothing else');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.ok(before && pointsAt(world, 'slough').some(({ id, at }) => id === before.id || at > before.at), 'its points are kept');
  await world.clock.advance(65_000);
  assert.ok((pointsAt(world, 'slough')[0]?.at ?? 0) > asked, 'and it goes on replicating');
  await world.finishes();
});

test('an adopted VM is failed over, reversed and failed back like any other', async () => {
  const world = await replicatingWorld();
  await world.adopt();
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  const [adapter] = world.site('slough').fabric.adapters(refOf(world, 'slough', 'vm-1'));
  assert.equal(adapter?.connected?.networkId, world.definition('slough').networks[0]?.id, 'on the network of the pairing');
  await world.commit();
  await world.reverseReplication();
  await world.clock.advance(65_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned(undefined, 'toPrimary')), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  await world.finishes();
});

test('what differs from the policy is listed first, all of it, and nothing is begun', async () => {
  const policy = { copyFrequencySeconds: 900, additionalRecoveryPoints: 6, applicationConsistentHours: 4, compression: false } as const;
  const world = await replicatingWorld({ vms: 2 }, { policy });
  const { code, problems } = await refusalOf(world.adopt());
  assert.equal(code, 'ERR_SETTINGS_DIFFER');
  const ofOne = (name: string) => [
    { field: `${name}: copyFrequencySeconds`, message: 'is 900; the policy says 30', allowed: '30' },
    { field: `${name}: additionalRecoveryPoints`, message: 'is 6; the policy says 0', allowed: '0' },
    { field: `${name}: applicationConsistentHours`, message: 'is 4; the policy says off', allowed: 'off' },
    { field: `${name}: compression`, message: 'is off; the policy says on', allowed: 'on' },
  ];
  assert.deepEqual(problems, [...ofOne('vm-1'), ...ofOne('vm-2')]);
  assert.deepEqual([await promisesOf(world), workOf(world)], [[], []]);
  await world.finishes();
});

test('differences that a person keeps stay as they are, and the job keeps them with the reason', async () => {
  const world = await replicatingWorld({}, { policy: { copyFrequencySeconds: 300 } });
  const job = await world.ask({ ...(await world.adoptRequest()), differences: { do: 'keep', reason: 'the line is thin' } });
  await world.settles(job);
  assert.deepEqual(await promisesOf(world), [['vm-1', 'protected', 'primary', 'primary']]);
  const view = await world.site('reading').fabric.findVm(refOf(world, 'reading', 'vm-1'));
  assert.equal(view?.replication.settings?.copyFrequencySeconds, 300);
  const input = (await world.job(job))?.job.input as Record<string, unknown>;
  assert.deepEqual(input.differences, { do: 'keep', reason: 'the line is thin' });
  assert.deepEqual(input.differing, [{ vm: 'vm-1', setting: 'copyFrequencySeconds', is: '300', policy: '30' }]);
  await world.finishes();
});

test('differences that a person does not want are brought to the policy once the VM is adopted, and a failure there waits for a person', async () => {
  const world = await replicatingWorld({ vms: 2 }, { policy: { copyFrequencySeconds: 300, additionalRecoveryPoints: 4 } });
  const { faults } = world.site('reading').fabric;
  const first = world.definition('reading').vms[0]?.id as VmId;
  const fault = faults.order({ kind: 'fails', operation: 'setReplicationPolicy', vm: first, times: 1_000, when: 'beforeEffect' });
  const job = await world.ask({ ...(await world.adoptRequest()), differences: { do: 'bringToPolicy' } });
  await world.settles(job);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  assert.equal(await stateOf(world, job), 'parked');
  assert.deepEqual(
    (await promisesOf(world)).map(([name, phase]) => [name, phase]),
    [
      ['vm-1', 'protected'],
      ['vm-2', 'protected'],
    ],
    'they are protected meanwhile',
  );
  faults.lift(fault);
  const [stuck] = await waitingSteps(world, job);
  await world.decide(job, stuck ?? '', 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  for (const name of ['vm-1', 'vm-2']) {
    const view = await world.site('reading').fabric.findVm(refOf(world, 'reading', name));
    assert.deepEqual(view?.replication.settings, settingsOf({ ...defaultPolicy, copyFrequencySeconds: 30 }));
  }
  await world.finishes();
});

test('a VM that runs at the recovery site and replicates to the primary site is adopted in that direction', async () => {
  const world = await replicatingWorld({}, { from: 'slough' });
  await world.adopt();
  assert.deepEqual(await promisesOf(world), [['vm-1', 'protected', 'recovery', 'recovery']]);
  assert.deepEqual(workOf(world), ['configureReplica at reading']);
  await world.clock.advance(35_000);
  assert.equal(await stateOf(world, await world.failOverAsPlanned(undefined, 'toPrimary')), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running replica/failedOverWaitingCompletion');
  const [adapter] = world.site('reading').fabric.adapters(refOf(world, 'reading', 'vm-1'));
  const [before] = world.definition('reading').vms[0]?.adapters ?? [];
  assert.deepEqual([adapter?.connected?.networkId, adapter?.connected?.address], [before?.networkId, before?.address], 'its own place');
  await world.finishes();
});

test('what cannot be adopted is named: a VM that does not replicate, one out of step, one that no cloud has', async () => {
  const world = await replicatingWorld({ vms: 3 }, { indices: [0, 1] });
  await world.hostOfCrashes('reading', world.definition('reading').vms[1]?.id as VmId);
  await world.clock.advance(15_000);
  const { code, problems } = await refusalOf(world.adopt());
  assert.equal(code, 'ERR_OPERATION_NOT_ALLOWED');
  const told = problems.filter(({ field }) => field === 'vm-2' || field === 'vm-3');
  assert.deepEqual(told, [
    { field: 'vm-2', message: 'its primary is waitingForStartResynchronize: it is adopted once both ends replicate' },
    { field: 'vm-3', message: 'it is the primary of no replication in these clouds: protect it instead' },
  ]);
  const unknown = { ...(await world.adoptRequest()), vms: ['d0000000-0000-4000-8000-000000000009' as VmId] };
  assert.equal((await refusalOf(world.ask(unknown))).code, 'ERR_VM_NOT_FOUND');
  await world.finishes();
});

test('a VM is adopted once: a protected one is refused, and so is one whose protection is still being ended at a site', async () => {
  const world = await replicatingWorld();
  await world.adopt();
  assert.equal((await refusalOf(world.adopt())).code, 'ERR_CONFLICT');
  world.goesDark('slough');
  await world.clock.advance(15_000);
  const forced = { ...(await world.requestFor('unprotect')), forced: { reason: 'Slough burns' } } as never;
  const ending = await world.ask(forced);
  await world.clock.advance(5_000);
  world.returns('slough');
  const { faults } = world.site('slough').fabric;
  const fault = faults.order({ kind: 'hangs', operation: 'removeReplication', when: 'beforeEffect' });
  await world.everythingIsBack();
  await world.until('the end hangs at Slough', () => faults.fired().length > 0);
  assert.equal((await refusalOf(world.adopt())).code, 'ERR_VM_BUSY');
  faults.lift(fault);
  await world.until('what was left is done', async () => (await world.job(ending))?.job.endedAt !== null);
  await world.finishes();
});

test('sites may begin with VMs that replicate: they are listed before any pairing, and adopted, failed over and reversed like others', async () => {
  const policy = 'policy: { copyFrequencySeconds: 30 }';
  const to = `replicatesTo: { site: ${CANARY}-slough, cloud: Silver, address: '${siteIdOf('slough')}.memory:1', ${policy} }`;
  const of = `replicaOf: { site: ${CANARY}-reading, cloud: Gold, ${policy} }`;
  const sites = { reading: [{ name: 'Gold', vms: 2, fields: to }], slough: [{ name: 'Silver', vms: 2, fields: of }] };
  const world = await World.make({ sites, recoveryPoints: 0 });
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
  const seen = (await world.controlPlane.store.observations.vms(vaultId)).map(seenVm);
  assert.deepEqual(
    findCandidates(seen, []).map(({ primary, obstacle }) => [primary.name, obstacle]),
    [
      ['vm-1', 'no pairing joins the clouds of its primary and its replica'],
      ['vm-2', 'no pairing joins the clouds of its primary and its replica'],
    ],
  );
  await world.pair();
  await world.clock.advance(65_000);
  assert.ok(world.clock.now() - (pointsAt(world, 'slough')[0]?.at ?? 0) < 31_000, 'it sends as before');
  assert.equal(await stateOf(world, await world.adopt()), 'succeeded');
  assert.deepEqual(
    (await promisesOf(world)).map(([, phase]) => phase),
    ['protected', 'protected'],
  );
  assert.equal(await stateOf(world, await world.failOverAsPlanned()), 'succeeded');
  const [adapter] = world.site('slough').fabric.adapters(refOf(world, 'slough', 'vm-1'));
  assert.equal(adapter?.connected?.networkId, world.definition('slough').networks[0]?.id);
  await world.commit();
  assert.equal(await stateOf(world, await world.reverseReplication()), 'succeeded');
  await world.finishes();
});
