import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fact } from '../../shared/engine/facts.ts';
import type { StepId } from '../../shared/ids.ts';
import { makeJob, makePairing, makeStoreWorld, makeVm, newJobId, order, protect, stepId } from '../support/store-world.ts';

const started = (step: StepId, at = 30): Fact => ({ type: 'started', at, step, attempt: 1 });
const ended: Fact = { type: 'ended', at: 99, state: 'succeeded' };

test('of two jobs that ask for the same VM at once exactly one is opened, and the refusal names it', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 2);
  const jobs = [makeJob(world, { kind: 'unplannedFailover' }), makeJob(world, { kind: 'unplannedFailover' })];
  const claims = vms.map(({ id }) => ({ id, phases: ['protected'] as const, epoch: 1 }));
  const results = await Promise.allSettled(jobs.map((job) => world.store.jobs.open(order(job, { claims }))));
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const [winner, loser] = results[0]?.status === 'fulfilled' ? jobs : jobs.toReversed();
  const refusal = results.find((result) => result.status === 'rejected')?.reason;
  assert.equal(refusal.code, 'ERR_VM_BUSY');
  assert.match(refusal.message, new RegExp(winner?.id ?? '-'));
  assert.equal(refusal.problems.length, 2);
  assert.equal(await world.store.jobs.find(world.vaultId, (loser ?? jobs[1])?.id as never), null);
  for (const vm of await world.store.promises.protectedVms(world.vaultId)) assert.deepEqual([vm.busyWith, vm.epoch], [winner?.id, 1]);
});

test('the same id with the same request is the same job; with another it is refused', async (t) => {
  const world = await makeStoreWorld(t);
  const job = makeJob(world);
  assert.equal(await world.store.jobs.open(order(job)), 'opened');
  assert.equal(await world.store.jobs.open(order(job)), 'existing');
  await assert.rejects(world.store.jobs.open(order({ ...job, requestDigest: 'b'.repeat(64) })), { code: 'ERR_ID_REUSED' });
  assert.equal((await world.store.jobs.list(world.vaultId, { limit: 10 })).length, 1);
});

test('everything that stands against a job is told at once, and nothing of it is written', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms, pairing } = await protect(world, 3);
  const holder = makeJob(world);
  await world.store.jobs.open(order(holder, { claims: [{ id: vms[0]?.id as never, phases: ['protected'] }] }));
  const free = makeVm(world, pairing, 9);
  const request = order(makeJob(world), {
    claims: [
      { id: vms[0]?.id as never, phases: ['protected'] },
      { id: vms[1]?.id as never, phases: ['failedOver'] },
      { id: vms[2]?.id as never, phases: ['protected'], epoch: 0 },
    ],
    newVms: [{ ...makeVm(world, pairing, 7), vmId: vms[0]?.vmId as never }, free],
    newPairing: makePairing(world, pairing.name),
  });
  await assert.rejects(world.store.jobs.open(request), (error: { code: string; problems: { message: string }[] }) => {
    assert.equal(error.code, 'ERR_VM_BUSY');
    const told = error.problems.map(({ message }) => message).join('\n');
    for (const part of [
      holder.id,
      'is protected; protect starts from failedOver',
      'newer ownership',
      'protected already, in the pairing',
      'a pairing called',
    ])
      assert.match(told, new RegExp(part));
    return true;
  });
  assert.equal(await world.store.jobs.find(world.vaultId, request.job.id), null);
  assert.equal((await world.store.promises.protectedVms(world.vaultId)).length, 3);
});

test('a pairing that failed gives its name up, and cannot come back', async (t) => {
  const world = await makeStoreWorld(t);
  const [first, second] = [makePairing(world), makePairing(world)];
  const job = makeJob(world, { kind: 'pair' });
  await world.store.jobs.open(order(job, { newPairing: first }));
  await assert.rejects(world.store.jobs.open(order(makeJob(world), { newPairing: second })), { code: 'ERR_CONFLICT' });
  await world.store.jobs.append(world.vaultId, job.id, [], [{ pairing: first.id, state: 'failed' }]);
  await world.store.jobs.open(order(makeJob(world), { newPairing: second }));
  await assert.rejects(world.store.jobs.append(world.vaultId, job.id, [], [{ pairing: first.id, state: 'paired' }]), {
    code: 'ERR_OPERATION_NOT_ALLOWED',
  });
  assert.deepEqual(await world.store.promises.findPairing(world.vaultId, second.id), second);
});

test('of appends that come together one that is not allowed fails alone', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 3);
  const job = makeJob(world);
  await world.store.jobs.open(order(job, { claims: vms.map(({ id }) => ({ id, phases: ['protected'] })) }));
  const { jobs } = world.store;
  const append = (n: number, event: 'failoverStarted' | 'replicaStarted') =>
    jobs.append(world.vaultId, job.id, [started(stepId(`s/${n}`))], [{ vm: vms[n]?.id as never, event }]);
  const results = await Promise.allSettled([append(0, 'failoverStarted'), append(1, 'replicaStarted'), append(2, 'failoverStarted')]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const facts = await jobs.facts(world.vaultId, job.id);
  assert.deepEqual(
    facts.map(({ seq, fact }) => [seq, 'step' in fact && fact.step]),
    [
      [1, 's/0'],
      [2, 's/2'],
    ],
  );
  const phases = new Map((await world.store.promises.protectedVms(world.vaultId)).map((vm) => [vm.id, vm.phase]));
  assert.deepEqual(
    vms.map(({ id }) => phases.get(id)),
    ['failingOver', 'protected', 'failingOver'],
  );
});

test('a projection is all or none: where the second is not allowed the first is not written', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 2);
  const job = makeJob(world);
  await world.store.jobs.open(order(job, { claims: [{ id: vms[0]?.id as never, phases: ['protected'] }] }));
  const both = vms.map(({ id }) => ({ vm: id, event: 'failoverStarted' as const }));
  // The second VM is not held by this job.
  await assert.rejects(world.store.jobs.append(world.vaultId, job.id, [started(stepId('s'))], both), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  assert.deepEqual(await world.store.jobs.facts(world.vaultId, job.id), []);
  assert.ok((await world.store.promises.protectedVms(world.vaultId)).every(({ phase }) => phase === 'protected'));
});

test('the end of a job releases its VMs, and nothing is written after it', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 2);
  const job = makeJob(world);
  const { jobs, promises } = world.store;
  await jobs.open(order(job, { claims: vms.map(({ id }) => ({ id, phases: ['protected'] })) }));
  await jobs.append(world.vaultId, job.id, [{ type: 'parked', at: 40 }], []);
  assert.equal((await jobs.find(world.vaultId, job.id))?.state, 'parked');
  assert.deepEqual(
    (await jobs.unended()).map(({ id }) => id),
    [job.id],
  );
  await jobs.append(
    world.vaultId,
    job.id,
    [ended],
    [
      { vm: vms[0]?.id as never, event: 'protectionEnding' },
      { vm: vms[0]?.id as never, event: 'protectionEnded' },
    ],
  );
  const { state, endedAt } = (await jobs.find(world.vaultId, job.id)) ?? {};
  assert.deepEqual([state, endedAt, await jobs.unended()], ['succeeded', 99, []]);
  assert.deepEqual(
    (await promises.protectedVms(world.vaultId)).map(({ id, busyWith }) => [id, busyWith]),
    [[vms[1]?.id, null]],
  );
  await assert.rejects(jobs.append(world.vaultId, job.id, [started(stepId('s'))], []), { code: 'ERR_OPERATION_NOT_ALLOWED' });
});

test('a failover of 1,000 VMs is written whole, with what becomes of each VM', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 1_000);
  const job = makeJob(world);
  const { jobs } = world.store;
  await jobs.open(order(job, { claims: vms.map(({ id }) => ({ id, phases: ['protected'], epoch: 1 })) }));
  const result = { recoveryPointId: 'x'.repeat(100) };
  const moved = vms.map(({ id }) => ({ vm: id, event: 'failoverStarted' as const }));
  await jobs.append(
    world.vaultId,
    job.id,
    vms.map(({ id }) => started(stepId(`fail/${id}`))),
    moved,
  );
  await Promise.all(
    vms.map(async ({ id }) => {
      const [fail, start] = [stepId(`fail/${id}`), stepId(`start/${id}`)];
      await jobs.append(world.vaultId, job.id, [{ type: 'done', at: 31, step: fail, attempt: 1, result }, started(start)], []);
      await jobs.append(
        world.vaultId,
        job.id,
        [{ type: 'done', at: 32, step: start, attempt: 1, result }],
        [{ vm: id, event: 'replicaStarted' }],
      );
    }),
  );
  await jobs.append(world.vaultId, job.id, [ended], []);
  assert.equal((await jobs.facts(world.vaultId, job.id)).length, 4_001);
  const after = await world.store.promises.protectedVms(world.vaultId);
  assert.ok(after.every((vm) => vm.phase === 'failedOver' && vm.activeLocation === 'recovery' && vm.busyWith === null));
});

test('a job of 10,000 VMs is opened and read back', async (t) => {
  const world = await makeStoreWorld(t);
  const pairing = makePairing(world);
  const newVms = Array.from({ length: 10_000 }, (_, n) => makeVm(world, pairing, n));
  const steps = newVms.flatMap(({ id }) =>
    ['enable', 'seed'].map((what) => ({ id: stepId(`${what}/${id}`), title: what, needs: [], after: [], scope: id })),
  );
  const job = makeJob(world);
  await world.store.jobs.open(order(job, { newVms, newPairing: pairing, graph: { steps } }));
  assert.deepEqual(await world.store.jobs.graph(world.vaultId, job.id), { steps });
  const ids = newVms.map(({ id }) => id);
  assert.equal((await world.store.promises.protectedVms(world.vaultId, { ids })).length, 10_000);
});

test('the drill of a VM is told from before its copy is made until it is gone, and a job may ask for it to be so', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 1);
  const id = vms[0]?.id as never;
  const claims = [{ id, phases: ['protected'] as const, drill: null }];
  const drill = makeJob(world, { kind: 'testFailover' });
  await world.store.jobs.open(order(drill, { claims }));
  const step = stepId('copy/vm');
  await world.store.jobs.append(world.vaultId, drill.id, [started(step)], [{ vm: id, event: 'testCopyBegun' }]);
  await world.store.jobs.append(world.vaultId, drill.id, [ended], []);
  const drillOf = async () => (await world.store.promises.protectedVms(world.vaultId))[0]?.drill;
  assert.equal(await drillOf(), drill.id);
  await assert.rejects(world.store.jobs.open(order(makeJob(world, { kind: 'testFailover' }), { claims })), {
    code: 'ERR_OPERATION_NOT_ALLOWED',
    message: new RegExp(drill.id),
  });

  const cleanUp = makeJob(world, { kind: 'cleanUpTest' });
  await world.store.jobs.open(order(cleanUp, { claims: [{ id, phases: ['protected'], drill: drill.id }] }));
  await world.store.jobs.append(world.vaultId, cleanUp.id, [started(step), ended], [{ vm: id, event: 'testCopyRemoved' }]);
  assert.equal(await drillOf(), null);
  const [vm] = await world.store.promises.protectedVms(world.vaultId);
  assert.deepEqual([vm?.phase, vm?.activeLocation, vm?.epoch, vm?.busyWith], ['protected', 'primary', 0, null]);
  const kinds = (await world.store.jobs.list(world.vaultId, { kind: 'testFailover', limit: 10 })).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['testFailover']);
});

test('jobs that are opened together are opened each for itself: one that is refused or cannot be written takes none along', async (t) => {
  const world = await makeStoreWorld(t);
  const { store, vaultId } = world;
  const pairing = makePairing(world);
  const first = order(makeJob(world, { id: newJobId() }), { newPairing: pairing });
  const sameName = order(makeJob(world, { id: newJobId() }), { newPairing: makePairing(world) });
  const nowhere = { ...makePairing(world, 'nowhere'), primary: { ...pairing.primary, siteId: newJobId() as never } };
  const unwritable = order(makeJob(world, { id: newJobId() }), { newPairing: nowhere });
  const last = order(makeJob(world, { id: newJobId() }));
  const outcomes = await Promise.allSettled([first, sameName, unwritable, last, first].map((each) => store.jobs.open(each)));
  assert.deepEqual(
    outcomes.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code)),
    ['opened', 'ERR_CONFLICT', 'ERR_STORE_FAILED', 'opened', 'existing'],
  );
  const kept = await Promise.all([first, sameName, unwritable, last].map(({ job }) => store.jobs.find(vaultId, job.id)));
  assert.deepEqual(
    kept.map((job) => job !== null),
    [true, false, false, true],
  );
});
