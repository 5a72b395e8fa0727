/** Ending protection while a side is away, as sentences: who is forgotten, what is left, and what becomes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobId } from '../../shared/ids.ts';
import { endsReplication } from '../support/by-hand.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import type { World } from '../support/world.ts';
import { stateOf, viewOf } from '../support/world-views.ts';

async function forced(world: World): Promise<JobId> {
  return world.ask({ ...(await world.requestFor('unprotect')), forced: { reason: 'Reading is rebuilt' } } as never);
}

/** Titles of the steps that are open, which is what is left. */
async function leftOf(world: World, id: JobId): Promise<string[]> {
  const stored = await world.job(id);
  const started = new Set(stored?.facts.flatMap((fact) => (fact.type === 'started' ? [fact.step] : [])));
  for (const fact of stored?.facts ?? []) if (fact.type === 'done') started.delete(fact.step);
  return (await world.graph(id)).steps.filter(({ id: step }) => started.has(step)).map(({ title }) => title);
}

test('the clean way is refused while a side is away; the forced one forgets the VM at once, and lists what is left there', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('reading');
  await world.failOver();
  await world.commit();
  await assert.rejects(world.unprotect(), { code: 'ERR_AGENT_OFFLINE' });
  const job = await forced(world);
  await world.clock.advance(10_000);
  assert.deepEqual(await world.protectedVms(), []);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running none/disabled', 'done where it could be done');
  assert.deepEqual(await leftOf(world, job), ['end replication of vm-1 at the primary site']);

  await world.clock.advance(3 * 3_600_000);
  world.returns('reading');
  await world.everythingIsBack();
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled', 'cleaned when the site was back');
  await world.finishes();
});

test('what is left at a site that never comes back is given up, and the job ends', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('slough');
  const job = await forced(world);
  await world.clock.advance(10_000);
  assert.deepEqual(await leftOf(world, job), ['end replication of vm-1 at the recovery site']);
  assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running none/disabled');
  await world.givesUp(job, 'slough');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked', 'a person says when it is cleaned by hand');
  const step = (await world.graph(job)).steps.find(({ title }) => title.endsWith('recovery site'));
  await world.decide(job, step?.id ?? '', 'skip');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'failed');
  await world.finishes();
});

test('the forced way leads out of every state that a job may leave a VM in', async () => {
  const world = await protectedWorld({ vms: 1 });
  await world.failOverAsPlanned();
  const refused = await world.unprotect().catch((thrown: { code: string }) => thrown.code);
  assert.equal(refused, 'ERR_OPERATION_NOT_ALLOWED', 'a failover that is not committed is settled first');
  const job = await forced(world);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  assert.deepEqual(await world.protectedVms(), []);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'running none/disabled', 'what runs goes on');
  await world.finishes();
});

test('a VM that was forgotten is protected anew when both sides are clean', async () => {
  const world = await protectedWorld({ vms: 1 });
  world.goesDark('slough');
  const job = await forced(world);
  await world.clock.advance(10_000);
  world.returns('slough');
  await world.everythingIsBack();
  await world.settles(job);
  assert.equal(await viewOf(world, 'slough', 'vm-1'), 'none');
  await world.protect();
  assert.deepEqual(
    (await world.protectedVms()).map(({ phase }) => phase),
    ['protected'],
  );
  await world.finishes();
});

for (const [site, end, step] of [
  ['slough', 'recovery', 'remove'],
  ['reading', 'primary', 'disable'],
] as const) {
  test(`what could not be done at the ${end} site is not tried again once the VM is protected anew; skipped, it leaves that alone`, async () => {
    const world = await protectedWorld({ vms: 1 });
    const [vm] = await world.protectedVms();
    assert.ok(vm);
    const { faults } = world.site(site).fabric;
    faults.order({ kind: 'fails', operation: 'removeReplication', times: 3 });
    const job = await forced(world);
    await world.settles(job);
    assert.equal(faults.fired().length, 3, 'the faults happened');
    assert.equal(await stateOf(world, job), 'parked');
    await endsReplication(world, site, vm.vmId);
    await world.protect();
    await assert.rejects(world.decide(job, `${step}/${vm.id}`, 'retry'), { code: 'ERR_PROTECTED_ANEW' });
    await world.decide(job, `${step}/${vm.id}`, 'skip');
    await world.settles(job);
    assert.equal(await viewOf(world, 'reading', 'vm-1'), 'running primary/replicating');
    assert.equal(await viewOf(world, 'slough', 'vm-1'), 'off replica/replicating');
    await world.finishes();
  });
}

test('until it is protected anew, what is left may be tried again', async () => {
  const world = await protectedWorld({ vms: 1 });
  const [vm] = await world.protectedVms();
  world.site('slough').fabric.faults.order({ kind: 'fails', operation: 'removeReplication', times: 3 });
  const job = await forced(world);
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'parked');
  await world.decide(job, `remove/${vm?.id}`, 'retry');
  await world.settles(job);
  assert.equal(await stateOf(world, job), 'succeeded');
  await world.finishes();
});
