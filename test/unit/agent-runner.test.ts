import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId, VaultId } from '../../shared/ids.ts';
import { withWrites } from '../support/agent-journal.ts';
import { AgentWorld, executeCommand, keyPair, replica, startCommand, vmRef } from '../support/agent-world.ts';

const id = (text: string) => text as CommandId;

async function worldWithReplica(...parameters: Parameters<typeof AgentWorld.make>): Promise<AgentWorld> {
  const world = await AgentWorld.make(...parameters);
  world.fabric.add(replica(1));
  world.fabric.points.set(vmRef(1).vmId, [{ id: 'p1', at: Date.parse('2026-11-23T07:59:00Z'), kind: 'crashConsistent' }]);
  await world.start();
  return world;
}

test('a command is done once however often it is delivered, and every delivery is answered the same', async (t) => {
  const world = await worldWithReplica(t);
  world.send(startCommand(1));
  world.send(startCommand(1));
  const first = await world.outcome();
  world.send(startCommand(1));
  const again = await world.outcome('job/step/1', 2);

  assert.equal(first.status, 'done');
  assert.deepEqual(again, first);
  assert.equal(world.fabric.count('startVm'), 1);
});

test('a command delivered again after a restart is answered from the journal', async (t) => {
  const world = await worldWithReplica(t);
  world.send(startCommand(1));
  const first = await world.outcome();
  world.crash();
  await world.start();
  const resent = await world.outcome('job/step/1', 2);
  world.send(startCommand(1));
  const again = await world.outcome('job/step/1', 3);

  assert.deepEqual([resent, again], [first, first]);
  assert.equal(world.fabric.count('startVm'), 1);
});

test('an outcome that was confirmed is not sent again', async (t) => {
  const world = await worldWithReplica(t);
  world.send(startCommand(1));
  await world.outcome();
  world.say({ type: 'finished.ack', commandIds: [id('job/step/1')] });
  await world.clock.until(() => world.journal.unconfirmed().length === 0, 'the confirmation');
  world.cutWire();
  await world.connect();
  assert.equal(world.outcomes().length, 1);
});

test('the epoch stands with the VM before the VM is started', async (t) => {
  const world = await worldWithReplica(t);
  world.send(startCommand(1), { epoch: 7 });
  await world.outcome();
  assert.deepEqual(
    world.fabric.calls.map(({ call, act }) => [call, act.epoch, act.commandId]),
    [
      ['writeEpoch', 7, 'job/step/1'],
      ['startVm', 7, 'job/step/1'],
    ],
  );
  assert.equal(world.fabric.view(vmRef(1)).epoch, 7);
});

test('a command under an older epoch than the journal has seen is refused, also after a restart', async (t) => {
  const world = await worldWithReplica(t);
  world.send(executeCommand(1), { commandId: id('a'), epoch: 5 });
  await world.outcome('a');
  world.crash();
  await world.start();
  world.send(startCommand(1), { commandId: id('b'), epoch: 4 });
  const outcome = await world.outcome('b');
  assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['refused', 'ERR_EPOCH_STALE']);
  assert.equal(world.fabric.count('startVm'), 0);
});

test('a command under an older epoch than the fabric has stored with the VM is refused', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.change(vmRef(1), { epoch: 9 });
  world.send(startCommand(1), { epoch: 8 });
  const outcome = await world.outcome();
  assert.equal('code' in outcome && outcome.code, 'ERR_EPOCH_STALE');
  assert.deepEqual(world.fabric.calls, []);
});

test('a command that comes past its deadline is refused, and a repeat is told the same', async (t) => {
  const world = await worldWithReplica(t);
  world.send(startCommand(1), { deadline: world.clock.now() - 1 });
  const first = await world.outcome();
  assert.deepEqual([first.status, 'code' in first && first.code], ['refused', 'ERR_COMMAND_EXPIRED']);
  world.crash();
  await world.start();
  world.send(startCommand(1), { deadline: world.clock.now() + 60_000 });
  assert.deepEqual(await world.outcome('job/step/1', 3), first);
  assert.deepEqual(world.fabric.calls, []);
});

test('a forged, foreign or replayed envelope is refused by a code and moves nothing', async (t) => {
  const world = await worldWithReplica(t);
  const good = world.seal(startCommand(1), { commandId: id('good') });
  const forged = { ...good, body: good.body.replace('"epoch":1', '"epoch":2') };
  const stranger = { ...good, signature: keyPair().signer.sign(Buffer.from(good.body)) };
  const otherAgent = world.seal(startCommand(1), { agentId: 'a0000000-0000-4000-8000-000000000002' as AgentId });
  const otherVault = world.seal(startCommand(1), { vaultId: 'b0000000-0000-4000-8000-000000000002' as VaultId });
  world.say({ type: 'commands', envelopes: [forged, stranger, otherAgent, otherVault] });
  await world.clock.until(() => world.refusals().length === 4, 'four refusals');
  assert.deepEqual(world.refusals(), ['ERR_ENVELOPE_FORGED', 'ERR_ENVELOPE_FORGED', 'ERR_ENVELOPE_FOREIGN', 'ERR_ENVELOPE_FOREIGN']);
  assert.deepEqual(world.fabric.calls, []);

  world.say({ type: 'commands', envelopes: [good] });
  await world.outcome('good');
  world.say({ type: 'commands', envelopes: [good] });
  await world.clock.until(() => world.refusals().length === 5, 'the refusal of the replay');
  assert.equal(world.refusals().at(-1), 'ERR_ENVELOPE_REPLAYED');
});

test('a replay is refused after a restart too', async (t) => {
  const world = await worldWithReplica(t);
  const envelope = world.seal(startCommand(1));
  world.say({ type: 'commands', envelopes: [envelope] });
  await world.outcome();
  world.crash();
  await world.start();
  world.say({ type: 'commands', envelopes: [envelope] });
  await world.clock.until(() => world.refusals().length === 1, 'a refusal');
  assert.deepEqual(world.refusals(), ['ERR_ENVELOPE_REPLAYED']);
});

test('an id with another content is refused and does not disturb the outcome of the first', async (t) => {
  const world = await worldWithReplica(t);
  world.send(executeCommand(1));
  world.send(startCommand(1));
  const outcome = await world.outcome();
  world.send(startCommand(1));
  await world.clock.until(() => world.refusals().length === 2, 'both refusals');
  assert.deepEqual(world.refusals(), ['ERR_COMMAND_MISMATCH', 'ERR_COMMAND_MISMATCH']);
  assert.equal('kind' in outcome && outcome.kind, 'failover.execute');
  assert.equal(world.outcomes().length, 1);
  assert.equal(world.fabric.count('startVm'), 0);
});

test('a thousand commands at once are each done once, and their journal is synced far fewer times', async (t) => {
  let begun = 0;
  let turns = 0;
  let isCounted = false;
  const world = await AgentWorld.make(t, {
    journal: (journal) =>
      withWrites(journal, {
        begin(...args) {
          begun++;
          if (!isCounted)
            setImmediate(() => {
              isCounted = false;
            });
          if (!isCounted) turns++;
          isCounted = true;
          return journal.begin(...args);
        },
      }),
  });
  for (let n = 0; n < 1_000; n++) world.fabric.add(replica(n));
  await world.start();
  for (let n = 0; n < 1_000; n++) world.send(startCommand(n), { commandId: id(`c${n}`) });
  const all = () => world.received.reduce((sum, m) => sum + (m.type === 'command.finished' ? m.finished.length : 0), 0);
  await world.clock.until(() => all() === 1_000, 'a thousand outcomes');
  assert.equal(world.fabric.count('startVm'), 1_000);
  assert.equal(begun, 1_000);
  assert.ok(turns < 100, `${turns} turns with a begin`);
});

test('commands about one VM run one after another, in the order they came', async (t) => {
  const world = await worldWithReplica(t);
  world.send(executeCommand(1), { commandId: id('a') });
  world.send(startCommand(1), { commandId: id('b') });
  world.send({ kind: 'failover.commit', args: { vm: vmRef(1) } }, { commandId: id('c') });
  await world.outcome('c');
  assert.deepEqual(
    world.fabric.calls.map(({ call }) => call),
    ['startFailover', 'writeEpoch', 'startVm', 'completeFailover'],
  );
});

test('a call that hangs ends by its time limit, and holds no other VM up', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.add(replica(2));
  world.fabric.order('startVm', 'hangs');
  world.send(startCommand(1), { commandId: id('hung') });
  world.send(startCommand(2), { commandId: id('other') });
  const other = await world.outcome('other');
  assert.equal(world.outcomes('hung').length, 0);
  const hung = await world.outcome('hung');
  assert.equal(world.fabric.faultsMet, 1);
  assert.equal(other.status, 'done');
  assert.equal('code' in hung && hung.code, 'ERR_FABRIC_TIMEOUT');
});

for (const fault of ['hangsAfter', 'failsAfter'] as const) {
  test(`a start that ${fault} its effect is found done by looking`, async (t) => {
    const world = await worldWithReplica(t);
    world.fabric.order('startVm', fault);
    world.send(startCommand(1));
    const outcome = await world.outcome();
    assert.equal(world.fabric.faultsMet, 1);
    assert.equal(outcome.status, 'done');
    assert.equal(world.fabric.count('startVm'), 1);
  });
}

test('a fabric that says a VM was started which is off is not believed', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.order('startVm', 'lies');
  world.send(startCommand(1));
  const outcome = await world.outcome();
  assert.equal(world.fabric.faultsMet, 1);
  assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['failed', 'ERR_FABRIC_FAILED']);
});

test('a failure leaves as a code and a place in the log, and the log at the site tells all', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.order('startVm', 'failsBefore');
  world.send(startCommand(1));
  const outcome = await world.outcome();
  assert.ok(outcome.status === 'failed');
  assert.equal(outcome.code, 'ERR_FABRIC_FAILED');
  const entry = world.logged.find(({ fields }) => fields.logRef === outcome.logRef);
  assert.match(String(entry?.fields.err), /CANARY/);
  assert.ok(world.sentTexts.length > 0);
  for (const text of world.sentTexts) assert.doesNotMatch(text, /CANARY/i);
  assert.deepEqual(world.ledger, world.sentTexts);
});

test('a guest that stays silent fails the command and leaves the VM running', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.guestAnswersAlways = false;
  const before = world.clock.now();
  world.send(startCommand(1));
  const outcome = await world.outcome();
  assert.equal('code' in outcome && outcome.code, 'ERR_GUEST_SILENT');
  assert.equal(world.fabric.view(vmRef(1)).power, 'running');
  assert.ok(world.clock.now() - before >= 60_000 && world.clock.now() - before < 75_000);
});

test('a stop lets a command under way finish and takes no new one', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.guestAnswersAlways = false;
  world.send(startCommand(1));
  await world.clock.until(() => world.fabric.count('startVm') === 1, 'the start');
  const stopping = world.stop();
  world.fabric.guestAnswersAlways = true;
  await stopping;
  await world.start();
  const outcome = await world.outcome();
  assert.equal(outcome.status, 'done');
});

test('a command that a stop cut off goes on when the next start is asked for it', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.guestAnswersAlways = false;
  world.send(startCommand(1));
  await world.clock.until(() => world.fabric.count('startVm') === 1, 'the start');
  await world.stop();
  assert.equal(world.outcomes().length, 0);
  world.fabric.guestAnswersAlways = true;
  await world.start();
  world.send(startCommand(1));
  const outcome = await world.outcome();
  assert.equal(outcome.status, 'done');
  assert.equal(world.fabric.count('startVm'), 1);
});

test('a command resumed past its deadline looks, and acts no more', async (t) => {
  const world = await worldWithReplica(t);
  world.fabric.order('startVm', 'hangs');
  const deadline = world.clock.now() + 60_000;
  world.send(startCommand(1), { deadline });
  await world.clock.until(() => world.fabric.faultsMet === 1, 'the hang');
  world.crash();
  await world.clock.advance(3_600_000);
  await world.start();
  world.send(startCommand(1), { deadline });
  const outcome = await world.outcome();
  assert.equal('code' in outcome && outcome.code, 'ERR_COMMAND_EXPIRED');
  assert.equal(world.fabric.view(vmRef(1)).power, 'off');
});

test('a journal that cannot be written begins nothing, and the control plane is asked anew', async (t) => {
  let isBroken = true;
  const world = await AgentWorld.make(t, {
    journal: (journal) =>
      withWrites(journal, {
        begin: (...args) => (isBroken ? Promise.reject(new FarshoreError('ERR_STORE_FAILED', 'disk full')) : journal.begin(...args)),
      }),
  });
  world.fabric.add(replica(1));
  await world.start();
  world.send(startCommand(1));
  await world.clock.until(() => world.dials === 2, 'another dial');
  assert.deepEqual(world.fabric.calls, []);
  assert.equal(world.outcomes().length, 0);
  isBroken = false;
  await world.clock.settle();
  world.welcome();
  world.send(startCommand(1));
  assert.equal((await world.outcome()).status, 'done');
});

test('a result that cannot be written is not told until it is, and the work is not done again', async (t) => {
  let failures = 0;
  const world = await AgentWorld.make(t, {
    journal: (journal) =>
      withWrites(journal, {
        conclude: (...args) =>
          ++failures <= 3 ? Promise.reject(new FarshoreError('ERR_STORE_FAILED', 'disk full')) : journal.conclude(...args),
      }),
  });
  world.fabric.add(replica(1));
  await world.start();
  world.send(startCommand(1));
  await world.clock.until(() => failures === 3, 'three failures');
  world.send(startCommand(1));
  await world.clock.settle();
  assert.equal(world.outcomes().length, 0);
  assert.equal((await world.outcome()).status, 'done');
  assert.equal(world.fabric.count('startVm'), 1);
});
