import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandId, NetworkId } from '../../shared/ids.ts';
import { limits } from '../../shared/protocol/limits.ts';
import { replica, vmRef } from '../support/agent-world.ts';
import { command, enrol, type HubWorld, joinAgent, makeHubWorld, opened, RawAgent } from '../support/hub-world.ts';
import { until } from '../support/until.ts';

const outcome = { status: 'failed', code: 'ERR_HOST_DOWN', logRef: '' } as const;
const at = '2026-11-23T08:00:00.000Z';
const finished = (...ids: string[]) => ({
  type: 'command.finished' as const,
  finished: ids.map((id) => ({ commandId: id as CommandId, at, outcome })),
});

/** A wire in the test's hand whose session is up. */
async function connected(world: HubWorld, siteId = world.recovery) {
  const agent = await enrol(world, siteId);
  const raw = new RawAgent(world.hub, await world.hub.admit(agent));
  raw.hello();
  await world.clock.until(() => raw.of('welcome').length === 1, 'welcome');
  return { agent, raw };
}

test('a real agent is greeted, sent all that is open, and its outcomes are acknowledged', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  world.work.open = [1, 2, 3].map((n) => command(world, n, world.clock.now() + 600_000));
  const { core, fabric } = await joinAgent(t, world, agent);
  for (const n of [1, 2, 3])
    fabric.add(
      replica(n, {
        power: 'off',
        replication: { mode: 'none', state: 'disabled', health: 'normal', failoverType: 'none', lastPointAt: null, settings: null },
      }),
    );
  await world.clock.until(() => world.work.finished.length === 3, 'three outcomes');
  assert.equal(world.hub.isConnected(world.recovery), true);
  assert.deepEqual(
    new Set(world.work.finished.map(({ commandId }) => commandId)),
    new Set(world.work.open.map(({ commandId }) => commandId)),
  );
  // Acknowledged outcomes are not told again on the next connection.
  await world.clock.settle();
  world.work.open = [];
  core.reconnect('test');
  await world.clock.until(() => world.logged.filter(({ text }) => text === 'agent connected').length === 2, 'the second connection');
  await world.clock.advance(5_000);
  assert.equal(world.work.finished.length, 3);
});

test('an outcome that was not acknowledged is told again on the next connection, and then acknowledged', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  const { commandId } = command(world, 1, 0);
  world.work.open = [command(world, 1, world.clock.now() + 600_000)];
  world.work.unkept.add(commandId);
  const joined = await joinAgent(t, world, agent);
  await world.clock.until(() => world.work.finished.length === 1, 'the outcome');
  await world.clock.settle();
  world.work.open = [];
  world.work.unkept.clear();
  joined.cut();
  await world.clock.until(() => world.work.finished.length === 2, 'the same outcome again');
  await world.clock.settle();
  joined.cut();
  await world.clock.until(() => world.logged.filter(({ text }) => text === 'agent connected').length === 3, 'the third connection');
  await world.clock.advance(5_000);
  assert.deepEqual(
    world.work.finished.map((told) => told.commandId),
    [commandId, commandId],
  );
});

test('the inventory of a real agent is stored, in step after a reconnect, and sent again in full when it drifts', async (t) => {
  const world = await makeHubWorld(t);
  const { observations } = world.store;
  const agent = await enrol(world, world.recovery);
  const joined = await joinAgent(t, world, agent);
  for (let n = 0; n < 1_200; n++) joined.fabric.add(replica(n));
  let stored = 0;
  // Each look starts the next, so the number is at most one turn old.
  const isAllStored = () => {
    void observations.vms(world.vaultId, { siteId: world.recovery }).then((vms) => {
      stored = vms.length;
    });
    return stored === 1_200;
  };
  await world.clock.until(isAllStored, 'all VMs stored');
  assert.ok(world.rings.some(({ type }) => type === 'vms'));
  const greetings = () => world.logged.filter(({ text }) => text === 'agent connected').map(({ fields }) => fields.inventory);
  joined.cut();
  await world.clock.until(() => greetings().length === 2, 'reconnected');
  assert.deepEqual(greetings(), ['sendAll', 'inStep']);
  // Somebody damages what we hold.
  const lost = { type: 'inventory.changed', full: false, clouds: [], networks: [], vms: [], removedVms: [vmRef(3)], digest: null } as const;
  await observations.take(world.vaultId, world.recovery, lost as never, 1);
  joined.fabric.change(vmRef(5), { power: 'running' });
  await world.clock.until(() => world.logged.some(({ text }) => text.startsWith('inventory has drifted')), 'drift noticed');
  stored = 0;
  await world.clock.until(isAllStored, 'mended');
});

test('the sequence goes on from the last that the agent has seen, and every command is signed for it', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  const raw = new RawAgent(world.hub, await world.hub.admit(agent));
  world.work.open = [command(world, 1, 1)];
  raw.hello({ lastSequence: 41 });
  await world.clock.until(() => raw.of('commands').length === 1, 'the open command');
  world.hub.send(world.recovery, [command(world, 2, 1), command(world, 3, 1)]);
  world.hub.send(world.recovery, [command(world, 4, 1)]);
  await world.clock.until(() => raw.of('commands').length > 1, 'new commands');
  assert.deepEqual(
    opened(world, agent, raw).map(({ sequence }) => sequence),
    [42, 43, 44, 45],
  );
  assert.equal(raw.of('commands').length, 2, 'what comes in one turn shares a message');
});

test('ten thousand open commands arrive in messages within the limits', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  const raw = new RawAgent(world.hub, await world.hub.admit(agent));
  world.work.open = Array.from({ length: 10_000 }, (_, n) => command(world, n, 1));
  raw.hello();
  const count = () => raw.of('commands').reduce((sum, { envelopes }) => sum + envelopes.length, 0);
  // On real time: the heartbeat of the virtual clock must not come in between.
  await until('all of them', () => count() === 10_000);
  assert.ok(raw.heardTexts.every((text) => Buffer.byteLength(text) <= limits.messageBytes));
  assert.equal(world.hub.isConnected(world.recovery), true);
});

test('large commands are spread over messages, in the order given', async (t) => {
  const world = await makeHubWorld(t);
  const { agent, raw } = await connected(world);
  const id = world.vaultId as unknown as NetworkId;
  const args = { vm: vmRef(1), networks: Array.from({ length: 200 }, () => ({ from: id, to: id })) };
  const large = Array.from({ length: 60 }, (_, n) => ({ ...command(world, n, 1), command: { kind: 'replica.configure' as const, args } }));
  world.hub.send(world.recovery, large);
  await until('all of them', () => opened(world, agent, raw).length === large.length);
  assert.ok(raw.heardTexts.every((text) => Buffer.byteLength(text) <= limits.messageBytes));
  assert.deepEqual(
    opened(world, agent, raw).map(({ commandId }) => commandId),
    large.map(({ commandId }) => commandId),
  );
});

test('only what was kept is acknowledged', async (t) => {
  const world = await makeHubWorld(t);
  const { raw } = await connected(world);
  world.work.unkept.add('b' as CommandId);
  raw.say(finished('a', 'b', 'c'));
  await world.clock.until(() => raw.of('finished.ack').length > 0, 'an acknowledgement');
  assert.deepEqual(
    raw.of('finished.ack').flatMap(({ commandIds }) => commandIds),
    ['a', 'c'],
  );
  assert.ok(world.logged.some(({ level, fields }) => level === 'error' && fields.commandId === 'b'));
  world.work.unkept.clear();
  raw.say(finished('b', 'b'));
  await world.clock.until(() => raw.of('finished.ack').length === 2, 'the repeat');
  assert.equal(world.hub.isConnected(world.recovery), true);
});

test('a newer connection of a site takes over from the older', async (t) => {
  const world = await makeHubWorld(t);
  const { agent, raw } = await connected(world);
  const newer = new RawAgent(world.hub, await world.hub.admit(agent));
  assert.deepEqual(raw.closedWith?.code, 4001);
  newer.hello();
  await world.clock.until(() => newer.of('welcome').length === 1, 'welcome');
  raw.say(finished('late'));
  raw.hangUp();
  await world.clock.settle();
  assert.deepEqual([world.work.finished, world.hub.isConnected(world.recovery), newer.closedWith], [[], true, null]);
});

test('an agent that was registered later speaks for the site; the earlier is not admitted any more', async (t) => {
  const world = await makeHubWorld(t);
  const earlier = await enrol(world, world.recovery, 1_000);
  await world.hub.admit(earlier);
  const later = await enrol(world, world.recovery, 2_000);
  await world.hub.admit(later);
  await assert.rejects(world.hub.admit(earlier), { code: 'ERR_CERTIFICATE_UNKNOWN', message: /registered later/ });
  await world.store.sites.revokeAgent(world.vaultId, later.agentId, 3_000);
  assert.equal(await world.store.sites.agentOf(world.vaultId, world.recovery), null);
  await assert.rejects(world.hub.admit(earlier), { code: 'ERR_CERTIFICATE_UNKNOWN' }, 'it was replaced for good');
});

test('a revoked agent is cut off at once, also one on its way in', async (t) => {
  const world = await makeHubWorld(t);
  const { agent, raw } = await connected(world);
  const other = await connected(world, world.primary);
  const admitted = await world.hub.admit(agent);
  await world.store.sites.revokeAgent(world.vaultId, agent.agentId, 5_000);
  world.hub.cutOff(agent.agentId);
  assert.equal(raw.closedWith?.code, 4002);
  assert.equal(new RawAgent(world.hub, admitted).closedWith?.code, 4002);
  await assert.rejects(world.hub.admit(agent), { code: 'ERR_CERTIFICATE_REVOKED' });
  raw.say(finished('a'));
  assert.deepEqual([world.work.finished, world.hub.isConnected(world.recovery), other.raw.closedWith], [[], false, null]);
});

test('a certificate for another key than the enrolled one is refused, and one of an agent nobody knows', async (t) => {
  const world = await makeHubWorld(t);
  const [agent, other] = [await enrol(world, world.recovery), await enrol(world, world.primary)];
  await assert.rejects(world.hub.admit({ agentId: agent.agentId, spki: other.spki }), {
    code: 'ERR_CERTIFICATE_UNKNOWN',
    message: /another key/,
  });
  await assert.rejects(world.hub.admit({ agentId: world.vaultId as never, spki: agent.spki }), { code: 'ERR_CERTIFICATE_UNKNOWN' });
});

const deep = `{"type":"hello","x":${'['.repeat(limits.depth + 1)}${']'.repeat(limits.depth + 1)}}`;
const breaches: [string, number, (raw: RawAgent, world: HubWorld) => void][] = [
  ['a message that is no JSON', 1008, (raw) => raw.sayText('hello?')],
  ['a message of a kind nobody knows', 1008, (raw) => raw.sayText('{"type":"shutdown.everything"}')],
  ['a message that is too large', 1008, (raw) => raw.sayText(`"${'x'.repeat(limits.messageBytes)}"`)],
  ['a message that is nested too deep', 1008, (raw) => raw.sayText(deep)],
  ['a hello that comes twice', 1008, (raw) => raw.hello()],
  ['a field that the schema does not name', 1008, (raw) => raw.sayText('{"type":"envelope.refused","code":"ERR_INTERNAL","host":"h7"}')],
  [
    'more messages than the limit',
    1008,
    (raw) => {
      for (let n = 0; n <= limits.messagesAtOnce; n++)
        raw.say({ type: 'command.progress', commandId: 'a' as CommandId, stage: 'starting' });
    },
  ],
  [
    'more bytes than the limit',
    1008,
    (raw) => {
      const vm = {
        ...replica(1),
        replication: { mode: 'none', state: 'disabled', health: 'normal', failoverType: 'none', lastPointAt: null, settings: null },
      } as const;
      const vms = Array.from({ length: 500 }, () => vm);
      const text = JSON.stringify({ type: 'inventory.changed', full: true, clouds: [], networks: [], vms, removedVms: [], digest: null });
      for (let bytes = 0; bytes <= limits.bytesAtOnce && raw.closedWith === null; bytes += text.length) raw.sayText(text);
    },
  ],
];

for (const [what, code, breach] of breaches) {
  test(`${what} ends the connection of that agent and no other`, async (t) => {
    const world = await makeHubWorld(t);
    const { raw } = await connected(world);
    const other = await connected(world, world.primary);
    breach(raw, world);
    assert.equal(raw.closedWith?.code, code);
    assert.equal(world.hub.isConnected(world.recovery), false);
    assert.ok(world.logged.some(({ level, text }) => level === 'warn' && text === 'message of an agent refused'));
    other.raw.say(finished('fine'));
    await world.clock.until(() => other.raw.of('finished.ack').length === 1, 'the other goes on');
    await world.clock.settle();
  });
}

test('a flood is not forgiven by connecting again', async (t) => {
  const world = await makeHubWorld(t);
  const { raw, agent } = await connected(world);
  const progress = { type: 'command.progress', commandId: 'a' as CommandId, stage: 'starting' } as const;
  for (let n = 0; n <= limits.messagesAtOnce; n++) raw.say(progress);
  assert.match(raw.closedWith?.reason ?? '', /ERR_TOO_MANY_REQUESTS/);
  const again = new RawAgent(world.hub, await world.hub.admit(agent));
  again.hello();
  assert.match(again.closedWith?.reason ?? '', /ERR_TOO_MANY_REQUESTS/);
  await world.clock.advance(10_000);
  const later = new RawAgent(world.hub, await world.hub.admit(agent));
  later.hello();
  await world.clock.until(() => later.of('welcome').length === 1, 'welcome after a while');
});

test('a hello that names another agent than the certificate is refused', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  const raw = new RawAgent(world.hub, await world.hub.admit(agent));
  raw.hello({ agentId: world.vaultId as never });
  assert.match(raw.closedWith?.reason ?? '', /another agent than the certificate/);
});

test('a hello of a version that nobody here speaks is told so, whatever else stands in it', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.recovery);
  const raw = new RawAgent(world.hub, await world.hub.admit(agent));
  raw.sayText(JSON.stringify({ future: [1], type: 'hello', protocol: 7 }));
  assert.equal(raw.closedWith?.code, 4003);
  assert.match(raw.closedWith?.reason ?? '', /ERR_PROTOCOL_VERSION: the agent speaks protocol 7/);
});

test('an agent that says no hello, and one that falls silent, are hung up on', async (t) => {
  const world = await makeHubWorld(t);
  const agent = await enrol(world, world.primary);
  const mute = new RawAgent(world.hub, await world.hub.admit(agent));
  await world.clock.advance(10_001);
  assert.equal(mute.closedWith?.code, 4004);
  const { raw } = await connected(world);
  const heardAt = world.clock.now();
  assert.equal(world.hub.lastHeardAt(world.recovery), heardAt);
  await world.clock.advance(59_000);
  assert.deepEqual([raw.closedWith, raw.pings], [null, 2]);
  await world.clock.advance(21_000);
  assert.equal(raw.closedWith?.code, 4004);
  assert.deepEqual([world.hub.isConnected(world.recovery), world.hub.lastHeardAt(world.recovery)], [false, heardAt]);
});

test('signs of life are noted in the store, at most once a minute', async (t) => {
  const world = await makeHubWorld(t);
  const { raw, agent } = await connected(world);
  const seenAt = async () => (await world.store.sites.findAgent(agent.agentId))?.lastSeenAt;
  const first = await seenAt();
  assert.equal(first, world.clock.now());
  for (let n = 0; n < 7; n++) {
    raw.say({ type: 'command.progress', commandId: 'a' as CommandId, stage: 'starting' });
    await world.clock.advance(10_000);
    if (n === 4) assert.equal(await seenAt(), first);
  }
  await world.clock.advance(10_000);
  assert.ok(((await seenAt()) ?? 0) >= (first ?? 0) + 60_000);
  assert.equal(world.work.progress.length, 7);
});

test('the bell rings when an agent comes, reports and goes', async (t) => {
  const world = await makeHubWorld(t);
  const { raw } = await connected(world);
  assert.deepEqual(world.rings, [{ type: 'site', siteId: world.recovery }]);
  raw.hangUp();
  assert.equal(world.rings.length, 2);
  raw.hangUp();
  assert.equal(world.rings.length, 2, 'an end counts once');
});

const aPoint = { id: 'p1', at, kind: 'crashConsistent' } as const;

test('a question for recovery points is answered by its own number, and an answer that nobody waits for means nothing', async (t) => {
  const world = await makeHubWorld(t);
  const { raw } = await connected(world);
  const [first, second] = [world.hub.recoveryPoints(world.recovery, vmRef(1)), world.hub.recoveryPoints(world.recovery, vmRef(2))];
  const [one, two] = raw.of('recoveryPoints.ask');
  assert.ok(one && two && one.question !== two.question);
  raw.say({ type: 'recoveryPoints.told', question: two.question, found: null, points: [], code: 'ERR_VM_NOT_FOUND' });
  raw.say({ type: 'recoveryPoints.told', question: one.question, found: null, points: [aPoint], code: null });
  raw.say({ type: 'recoveryPoints.told', question: one.question, found: null, points: [], code: null });
  assert.deepEqual(await first, [aPoint]);
  await assert.rejects(second, { code: 'ERR_VM_NOT_FOUND' });
  assert.equal(raw.closedWith, null);
});

test('a question ends when the site does not answer in time, and with the connection', async (t) => {
  const world = await makeHubWorld(t);
  const { raw } = await connected(world);
  const late = world.hub.recoveryPoints(world.recovery, vmRef(1));
  await Promise.all([assert.rejects(late, { code: 'ERR_FABRIC_TIMEOUT' }), world.clock.advance(20_000)]);
  const cut = world.hub.recoveryPoints(world.recovery, vmRef(1));
  raw.hangUp();
  await assert.rejects(cut, { code: 'ERR_AGENT_OFFLINE' });
  await assert.rejects(world.hub.recoveryPoints(world.recovery, vmRef(1)), { code: 'ERR_AGENT_OFFLINE' });
});
