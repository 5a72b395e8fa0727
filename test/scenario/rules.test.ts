/** Protection by rule as sentences: what a rule takes, what it leaves alone and why, and that nothing makes it act twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByRule } from '../../control-plane/operations/operations.ts';
import { ON_THE_WAY_MOST, type RuleMatch } from '../../shared/domain/protection-rules.ts';
import { UserId, type VmId } from '../../shared/ids.ts';
import { replicatesAlready } from '../support/by-hand.ts';
import { CANARY } from '../support/checkers-metadata.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { World, type WorldOptions } from '../support/world.ts';
import { allJobs } from '../support/world-control-plane.ts';
import { vaultId } from '../support/world-core.ts';
import { addRule, vmAppears } from '../support/world-rules.ts';

const MINUTE_MS = 60_000;
const all: RuleMatch = { by: 'all' };
const named = (pattern: string): RuleMatch => ({ by: 'name', pattern });

async function pairedWorld(options: WorldOptions = {}): Promise<World> {
  const world = await World.make(options);
  await world.pair();
  return world;
}

const phasesOf = async (world: World) =>
  (await world.protectedVms()).map(({ name, phase }) => `${name} ${phase}`).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

/** Jobs that rules started, oldest first. */
async function ruleJobs(world: World) {
  const jobs = (await allJobs(world.controlPlane.store, vaultId)).map(({ job }) => job);
  return jobs.filter(({ input }) => (input as { byRule?: ByRule }).byRule !== undefined).sort((a, b) => a.startedAt - b.startedAt);
}

test('a rule protects what fits now and what appears later, and its jobs tell by which rule and why', async () => {
  const world = await pairedWorld();
  const rule = await addRule(world, named('*-1*'));
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected']);
  vmAppears(world, 'vm-17');
  vmAppears(world, 'sql');
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected', 'vm-17 protected']);
  const jobs = await ruleJobs(world);
  assert.deepEqual(
    jobs.map(({ kind, target, startedBy }) => [kind, target, startedBy]),
    [
      ['protect', 'vm-1', 'rule: VMs named *-1*'],
      ['protect', 'vm-17', 'rule: VMs named *-1*'],
    ],
  );
  assert.deepEqual((jobs[1]?.input as { byRule?: ByRule } | undefined)?.byRule, {
    rule,
    match: 'VMs named *-1*',
    vms: [{ vmId: uuidOf('vm-17'), name: 'vm-17', why: 'its name fits *-1*' }],
  });
  await world.finishes();
});

test('a VM that a person took out of protection stays out until that is lifted, and a person may put it back', async () => {
  const world = await pairedWorld({ vms: 1 });
  await addRule(world, all);
  await world.clock.advance(MINUTE_MS);
  const ended = await world.unprotect();
  vmAppears(world, 'another');
  await world.clock.advance(60 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['another protected'], 'the rule holds for others');
  const { rules } = world.controlPlane.store;
  const [exclusion] = await rules.exclusions(vaultId);
  assert.deepEqual([exclusion?.name, exclusion?.by, exclusion?.jobId], ['vm-1', 'operator', ended]);
  assert.equal(await rules.lift(vaultId, exclusion?.vmId as VmId), true);
  world.controlPlane.bell.ring(vaultId, { type: 'vms' });
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['another protected', 'vm-1 protected']);

  const [vm] = (await world.protectedVms()).filter(({ name }) => name === 'vm-1');
  assert.ok(vm);
  await world.unprotect({ vms: [vm.id] });
  await world.clock.advance(MINUTE_MS);
  await world.protect([0]);
  assert.deepEqual(await rules.exclusions(vaultId), [], 'whoever protects it has lifted it');
  await world.finishes();
});

test('a VM whose protection fails is tried again with a growing distance, and protected when it can be', async () => {
  const world = await pairedWorld({ vms: 1 });
  const { faults } = world.site('reading').fabric;
  const fault = faults.order({ kind: 'fails', operation: 'enableReplication', times: 1_000, when: 'beforeEffect' });
  const began = world.clock.now();
  await addRule(world, all);
  await world.clock.advance(3 * 60 * MINUTE_MS);
  assert.ok(faults.fired().length > 0, 'the fault happened');
  const minutes = (await ruleJobs(world)).map(({ startedAt }) => Math.round((startedAt - began) / MINUTE_MS));
  assert.deepEqual(minutes, [0, 5, 15, 35, 75, 155]);
  faults.lift(fault);
  await world.clock.advance(3 * 60 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected']);
  assert.equal((await ruleJobs(world)).length, minutes.length + 1);
  await world.finishes();
});

test('a rule never has more on the way than the line is good for, and ends with all of them protected', async () => {
  const world = await pairedWorld({ vms: 50, extra: 'replication: { bandwidth: 20 MB/s }' });
  await addRule(world, all);
  let most = 0;
  await world.until('all are protected', async () => {
    const vms = await world.protectedVms();
    most = Math.max(most, vms.filter(({ phase }) => phase !== 'protected').length);
    return vms.length === 50 && vms.every(({ phase }) => phase === 'protected');
  });
  assert.equal(most, ON_THE_WAY_MOST);
  const taken = (await ruleJobs(world)).flatMap(({ input }) => (input as { byRule: ByRule }).byRule.vms.map(({ vmId }) => vmId));
  assert.deepEqual([taken.length, new Set(taken).size], [50, 50], 'each of them once');
  await world.finishes();
});

test('wherever the control plane dies while a rule acts, it makes one job of it, and every VM is protected once', async () => {
  const calm = await pairedWorld();
  calm.places.list();
  await addRule(calm, all);
  await calm.clock.advance(MINUTE_MS);
  const writes = calm.places.reached.filter(({ kind }) => kind === 'append').length;
  await calm.finishes();
  assert.ok(writes > 6, 'opening the job and its facts');
  for (let write = 0; write < writes; write++) {
    const world = await pairedWorld();
    let seen = 0;
    world.places.hurtWhere(
      ({ kind }) => kind === 'append' && seen++ === write,
      () => {
        world.controlPlaneCrashes();
        return 'dies';
      },
    );
    await addRule(world, all);
    await world.until('it dies', () => world.hasDied);
    await world.everythingIsBack();
    await world.clock.advance(2 * MINUTE_MS);
    assert.equal(world.places.hurts, 1, 'the fault happened');
    assert.deepEqual(await phasesOf(world), ['vm-1 protected', 'vm-2 protected'], `died at write ${write}`);
    assert.equal((await ruleJobs(world)).length, 1, `died at write ${write}`);
    await world.finishes();
  }
});

test('rules are looked at on start: what appeared while nobody looked is protected', async () => {
  const world = await pairedWorld({ vms: 1 });
  await addRule(world, all);
  await world.clock.advance(MINUTE_MS);
  world.controlPlaneCrashes();
  vmAppears(world, 'meanwhile');
  await world.clock.advance(MINUTE_MS);
  await world.everythingIsBack();
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['meanwhile protected', 'vm-1 protected']);
  await world.finishes();
});

test('a rule leaves alone what replicates already: that is to be adopted', async () => {
  const world = await World.make({ vms: 2 });
  await replicatesAlready(world, { indices: [0] });
  await world.pair();
  await addRule(world, all);
  await world.clock.advance(10 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-2 protected']);
  await world.adopt([0]);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected', 'vm-2 protected']);
  await world.finishes();
});

test('a protection that a person cancels on its way is not begun again by itself', async () => {
  const world = await pairedWorld({ vms: 1, extra: 'replication: { bandwidth: 5 MB/s }' });
  await addRule(world, all);
  await world.until('a rule acts', async () => (await phasesOf(world)).includes('vm-1 seeding'));
  const [job] = await ruleJobs(world);
  assert.ok(job);
  await world.cancel(job.id);
  await world.settles(job.id);
  await world.clock.advance(24 * 60 * MINUTE_MS);
  assert.deepEqual([await phasesOf(world), (await ruleJobs(world)).length], [[], 1]);
  const { rules } = world.controlPlane.store;
  const [exclusion] = await rules.exclusions(vaultId);
  assert.deepEqual([exclusion?.name, exclusion?.by, exclusion?.jobId], ['vm-1', 'operator', job.id], 'it is listed');
  await rules.lift(vaultId, exclusion?.vmId as VmId);
  world.controlPlane.bell.ring(vaultId, { type: 'vms' });
  await world.clock.advance(10 * MINUTE_MS);
  assert.deepEqual([await phasesOf(world), (await ruleJobs(world)).length], [['vm-1 protected'], 2], 'and lifted like any other');
  await world.finishes();
});

test('while a site is away nothing is begun, and what fits is protected when it is back', async () => {
  const world = await pairedWorld({ vms: 1 });
  world.goesDark('slough');
  await world.clock.advance(MINUTE_MS);
  await addRule(world, all);
  await world.clock.advance(10 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), []);
  world.returns('slough');
  await world.clock.advance(2 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected']);
  await world.finishes();
});

test('a rule that is removed takes nothing more, leaves what it took, and stays on record', async () => {
  const world = await pairedWorld({ vms: 1 });
  const id = await addRule(world, all);
  await world.clock.advance(MINUTE_MS);
  const { rules } = world.controlPlane.store;
  const by = UserId.parse(uuidOf('owner'));
  assert.equal(await rules.remove(vaultId, id, world.clock.now(), by), true);
  assert.equal(await rules.remove(vaultId, id, world.clock.now(), by), false);
  vmAppears(world, 'later');
  await world.clock.advance(5 * MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected']);
  assert.deepEqual(
    (await rules.list(vaultId)).map(({ removedBy }) => removedBy),
    [by],
  );
  await world.finishes();
});

test('a rule by tag takes VMs that are tagged so, now and later, and no other tag of theirs leaves the site', async () => {
  const world = await pairedWorld({ vms: 3 });
  const { fabric } = world.site('reading');
  const tag = (index: number, tags: string[]) => {
    const { id: vmId, cloudId } = world.definition('reading').vms[index] ?? assert.fail();
    fabric.tagVm({ cloudId, vmId }, tags);
  };
  const told = async () => (await world.controlPlane.store.observations.vms(vaultId)).flatMap(({ report }) => report.tags ?? []);
  tag(0, ['Gold', `owner ${CANARY}`]);
  tag(1, ['silver']);
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await told(), [], 'nobody has asked');
  const rule = await addRule(world, { by: 'tag', tag: 'gold' });
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual([await phasesOf(world), await told()], [['vm-1 protected'], ['gold']]);
  tag(2, [`owner ${CANARY}`, 'GOLD']);
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual(await phasesOf(world), ['vm-1 protected', 'vm-3 protected']);
  assert.equal((await ruleJobs(world)).at(-1)?.startedBy, 'rule: VMs tagged gold');

  for (const crash of [() => world.agentCrashes('reading'), () => world.controlPlaneCrashes()]) {
    crash();
    await world.everythingIsBack();
    await world.clock.advance(MINUTE_MS);
    assert.deepEqual(await told(), ['gold', 'gold'], 'whoever comes back knows what is asked for');
  }
  const { rules } = world.controlPlane.store;
  await rules.remove(vaultId, rule, world.clock.now(), UserId.parse(uuidOf('owner')));
  world.controlPlane.bell.ring(vaultId, { type: 'rules' });
  await world.clock.advance(MINUTE_MS);
  assert.deepEqual([await told(), (await phasesOf(world)).length], [[], 2], 'nobody asks any more; what was taken stays');
  await world.finishes();
});
