import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { FaultOrder } from '../../provider-agent/fabric/simulated/fault.ts';
import { act, openPair, type PairOptions, preparePair, protect, refsOf, type SitePair } from '../support/simulated-sites.ts';

async function replicating(options: PairOptions = {}): Promise<{ pair: SitePair; refs: ReturnType<typeof refsOf> }> {
  const pair = await preparePair(await openPair(options));
  return { pair, refs: await protect(pair) };
}

function firedKinds(site: SitePair['primary']): string[] {
  return site.faults.fired().map(({ fault }) => fault.kind);
}

for (const when of ['beforeEffect', 'afterEffect'] as const) {
  test(`an operation ordered to fail ${when} fails once, its effect ${when === 'beforeEffect' ? 'not done' : 'done'}`, async () => {
    const { pair, refs } = await replicating();
    pair.recovery.faults.order({ kind: 'fails', operation: 'startFailover', vm: 'vm-0001', when });
    const command = act();
    await assert.rejects(pair.recovery.startFailover(refs.atRecovery, null, command), {
      code: 'ERR_FABRIC_FAILED',
      errorId: 'OperationFailed',
    });
    const task = pair.recovery.taskLog().findLast(({ commandId }) => commandId === command.commandId);
    assert.deepEqual([task?.outcome, task?.hadEffect], ['failed', when === 'afterEffect']);
    const state = (await pair.recovery.findVm(refs.atRecovery))?.replication.state;
    assert.equal(state, when === 'afterEffect' ? 'failedOverWaitingCompletion' : 'replicating');
    assert.deepEqual(firedKinds(pair.recovery), ['fails']);
    assert.equal(pair.recovery.faults.fired()[0]?.commandId, command.commandId);
    if (when === 'beforeEffect') await pair.recovery.startFailover(refs.atRecovery, null, act());
    await pair.close();
  });
}

test('a fault for one VM leaves the others alone', async () => {
  const pair = await openPair();
  const [one, other] = [refsOf(pair, 0).atPrimary, refsOf(pair, 1).atPrimary];
  pair.primary.faults.order({ kind: 'fails', operation: 'any', vm: one.vmId, times: 2 });
  await pair.primary.writeEpoch(other, 2, act());
  await assert.rejects(pair.primary.writeEpoch(one, 2, act()));
  await assert.rejects(pair.primary.writeEpoch(one, 2, act()));
  await pair.primary.writeEpoch(one, 2, act());
  assert.equal(pair.primary.faults.fired().length, 2);
  await pair.close();
});

test('an operation that hangs returns only when its caller gives it up', async () => {
  const { pair, refs } = await replicating();
  pair.recovery.faults.order({ kind: 'hangs', operation: 'startFailover', when: 'afterEffect' });
  const caller = new AbortController();
  let isBack = false;
  const call = pair.recovery.startFailover(refs.atRecovery, null, act({ signal: caller.signal })).finally(() => {
    isBack = true;
  });
  call.catch(() => undefined);
  await pair.clock.advance(3_600_000);
  assert.equal(isBack, false);
  caller.abort(new Error('too long'));
  await assert.rejects(call, { code: 'ERR_FABRIC_TIMEOUT', errorId: 'OperationTimeout' });
  assert.equal((await pair.recovery.findVm(refs.atRecovery))?.replication.state, 'failedOverWaitingCompletion');
  assert.deepEqual(firedKinds(pair.recovery), ['hangs']);
  await pair.close();
});

test('an operation that lies reports success and has no effect', async () => {
  const { pair, refs } = await replicating();
  await pair.recovery.startFailover(refs.atRecovery, null, act());
  pair.recovery.faults.order({ kind: 'lies', operation: 'startVm' });
  await pair.recovery.startVm(refs.atRecovery, act());
  assert.equal((await pair.recovery.findVm(refs.atRecovery))?.power, 'off');
  assert.deepEqual(firedKinds(pair.recovery), ['lies']);
  assert.equal(pair.recovery.taskLog().at(-1)?.outcome, 'lied');
  await pair.close();
});

test('VMs of a dead host fail every operation, and are off and out of step when it returns', async () => {
  const { pair, refs } = await replicating();
  const host = (await pair.primary.hostOf(refs.atPrimary)) ?? '';
  const id = pair.primary.faults.order({ kind: 'hostDies', host });
  assert.deepEqual(firedKinds(pair.primary), ['hostDies']);
  const view = await pair.primary.findVm(refs.atPrimary);
  assert.deepEqual([view?.power, view?.replication.health], ['critical', 'critical']);
  await assert.rejects(pair.primary.removeReplication(refs.atPrimary, act()), { code: 'ERR_HOST_DOWN' });
  const off = pair.primary.powerLog().findLast(({ vmId }) => vmId === refs.atPrimary.vmId);
  assert.deepEqual([off?.change, off?.cause], ['off', 'hostDies']);

  pair.primary.faults.lift(id);
  const returned = await pair.primary.findVm(refs.atPrimary);
  assert.deepEqual(
    [returned?.power, returned?.replication.state, returned?.replication.health],
    ['off', 'waitingForStartResynchronize', 'critical'],
  );
  await pair.close();
});

test('a dark recovery site gets nothing, the primary is critical and catches up when the site is back', async () => {
  const { pair, refs } = await replicating();
  const id = pair.recovery.faults.order({ kind: 'siteDark' });
  const before = (await pair.recovery.recoveryPoints(refs.atRecovery))[0]?.at ?? 0;
  await pair.clock.advance(120_000);
  assert.equal((await pair.recovery.recoveryPoints(refs.atRecovery))[0]?.at, before);
  assert.equal((await pair.primary.findVm(refs.atPrimary))?.replication.health, 'critical');
  const measure = pair.primary.measureReplication(refs.atPrimary);
  assert.ok(measure !== null && measure.pendingBytes >= 110 * 1024 ** 2, 'changes pile up at 1 MB/s');
  assert.ok((measure.lagMs ?? 0) >= 110_000);

  pair.recovery.faults.lift(id);
  await pair.clock.advance(10_000);
  assert.ok(((await pair.recovery.recoveryPoints(refs.atRecovery))[0]?.at ?? 0) > before + 110_000);
  assert.equal((await pair.primary.findVm(refs.atPrimary))?.replication.health, 'normal');
  assert.deepEqual(firedKinds(pair.recovery), ['siteDark']);
  await pair.close();
});

test('a dark primary site sends nothing', async () => {
  const { pair, refs } = await replicating();
  pair.primary.faults.order({ kind: 'siteDark' });
  const before = (await pair.recovery.recoveryPoints(refs.atRecovery))[0]?.at;
  await pair.clock.advance(300_000);
  assert.equal((await pair.recovery.recoveryPoints(refs.atRecovery))[0]?.at, before);
  assert.deepEqual(firedKinds(pair.primary), ['siteDark']);
  await pair.close();
});

test('lagging replication delivers the older state, paused replication none', async () => {
  const { pair, refs } = await replicating();
  const lag = pair.primary.faults.order({ kind: 'replicationLags', lagMs: 600_000 });
  await pair.clock.advance(900_000);
  const [point] = pair.recovery.pointsWithContent(refs.atRecovery);
  const written = pair.primary.measureReplication(refs.atPrimary)?.writtenBytes ?? 0;
  assert.ok(point);
  const behindMs = pair.clock.now() - point.at;
  assert.ok(behindMs >= 600_000 && behindMs <= 631_000, `${behindMs} ms behind`);
  assert.equal(Math.round((written - point.writtenBytes) / 1024 ** 2), Math.round(behindMs / 1000), 'the loss can be counted: 1 MB/s');

  pair.primary.faults.lift(lag);
  pair.primary.faults.order({ kind: 'replicationPaused', vm: 'vm-0001' });
  await pair.clock.advance(120_000);
  assert.deepEqual(pair.recovery.pointsWithContent(refs.atRecovery)[0], point);
  assert.equal((await pair.primary.findVm(refs.atPrimary))?.replication.health, 'warning');
  assert.deepEqual(firedKinds(pair.primary), ['replicationLags', 'replicationPaused']);
  await pair.close();
});

test('a primary counts its cycles, those that failed and those that it could not begin', async () => {
  const { pair, refs } = await replicating();
  const measure = async () =>
    (await pair.primary.readInventory(null)).vms.find(({ ref }) => ref.vmId === refs.atPrimary.vmId)?.replication.measure;
  await pair.clock.advance(300_000);
  const calm = await measure();
  assert.ok(calm && calm.cycles >= 9 && calm.missed + calm.errors === 0);
  assert.equal(Math.round((calm.averageBytes ?? 0) / 1024 ** 2), 30, '30 seconds at 1 MB/s');
  assert.ok((calm.pendingBytes ?? Number.NaN) <= 30 * 1024 ** 2);

  const dark = pair.recovery.faults.order({ kind: 'siteDark' });
  await pair.clock.advance(120_000);
  const failed = await measure();
  assert.ok(failed && failed.errors > 0 && failed.cycles === calm.cycles && (failed.pendingBytes ?? 0) >= 110 * 1024 ** 2);
  pair.recovery.faults.lift(dark);
  await pair.clock.advance(60_000);
  const caughtUp = await measure();
  assert.ok(caughtUp && (caughtUp.maximumBytes ?? 0) >= 110 * 1024 ** 2, 'what had piled up came in one');

  pair.primary.faults.order({ kind: 'replicationPaused', vm: 'vm-0001' });
  await pair.clock.advance(120_000);
  const paused = await measure();
  assert.ok(paused && paused.missed > 0 && paused.errors === caughtUp.errors);
  assert.deepEqual([firedKinds(pair.recovery), firedKinds(pair.primary)], [['siteDark'], ['replicationPaused']]);
  await pair.close();
});

test('a fault of the site file begins after its time, once for a site and not again when it is opened again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-fault-'));
  const options: PairOptions = {
    databaseFiles: [join(folder, 'p.db'), join(folder, 'r.db')],
    primaryExtra: 'faults: [{ kind: fails, operation: writeEpoch, after: 2 min }]',
  };
  const pair = await openPair(options);
  const { atPrimary } = refsOf(pair);
  await pair.primary.writeEpoch(atPrimary, 1, act());
  await pair.clock.advance(121_000);
  await assert.rejects(pair.primary.writeEpoch(atPrimary, 2, act()));
  await pair.close();

  const again = await openPair(options);
  await again.clock.advance(600_000);
  await again.primary.writeEpoch(atPrimary, 3, act());
  assert.deepEqual(firedKinds(again.primary), ['fails']);
  await again.close();
  rmSync(folder, { recursive: true, force: true });
});

test('another process orders a fault at a site that runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-fault-'));
  const file = join(folder, 'p.db');
  const pair = await openPair({ databaseFiles: [file, ':memory:'] });
  const { atPrimary } = refsOf(pair);
  const host = (await pair.primary.hostOf(atPrimary)) ?? '';
  const order: FaultOrder = { kind: 'hostDies', host };
  const desk = pathToFileURL(join(import.meta.dirname, '../../provider-agent/fabric/simulated/fault-desk.ts')).href;
  const program = `import { orderFault } from ${JSON.stringify(desk)}; orderFault(process.argv[1], JSON.parse(process.argv[2]));`;
  execFileSync(process.execPath, ['--input-type=module', '--eval', program, file, JSON.stringify(order)]);

  await pair.clock.advance(1_000);
  assert.equal((await pair.primary.findVm(atPrimary))?.power, 'critical');
  assert.deepEqual(firedKinds(pair.primary), ['hostDies']);
  await pair.close();
  rmSync(folder, { recursive: true, force: true });
});
