import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { VmView } from '../../provider-agent/fabric/fabric.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { CommandId, NetworkId } from '../../shared/ids.ts';
import type { AgentMessage, VmReport } from '../../shared/protocol/egress.ts';
import { cloudItem, InventoryDigest, networkItem, vmItem } from '../../shared/protocol/inventory-digest.ts';
import { limits } from '../../shared/protocol/limits.ts';
import { AgentWorld, replica, startCommand, vmRef } from '../support/agent-world.ts';

type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;

const reports = (world: AgentWorld, from = 0): InventoryMessage[] =>
  world.received.slice(from).filter((message): message is InventoryMessage => message.type === 'inventory.changed');

const hellos = (world: AgentWorld) => world.received.filter((message) => message.type === 'hello');

/** What the control plane would have stored, and its own digest over it. */
class Copy {
  readonly #items = new Map<string, Uint8Array>();

  take(messages: readonly InventoryMessage[]): string {
    const sha256 = (text: string) => createHash('sha256').update(text).digest();
    const keyOf = ({ ref }: Pick<VmReport, 'ref'>) => `${ref.cloudId}/${ref.vmId}`;
    for (const message of messages) {
      if (message.full) this.#items.clear();
      for (const cloud of message.clouds) this.#items.set(cloud.id, cloudItem(cloud, sha256));
      for (const network of message.networks) this.#items.set(network.id, networkItem(network, sha256));
      for (const vm of message.vms) this.#items.set(keyOf(vm), vmItem(vm, sha256));
      for (const ref of message.removedVms) this.#items.delete(keyOf({ ref }));
    }
    const digest = new InventoryDigest();
    for (const item of this.#items.values()) digest.add(item);
    return digest.toString();
  }
}

test('the first report is complete, and its digest is the one over what was sent', async (t) => {
  const world = await AgentWorld.make(t);
  for (let n = 0; n < 1_200; n++) world.fabric.add(replica(n));
  await world.start();
  await world.clock.until(() => reports(world).at(-1)?.digest != null, 'the end of the report');
  const messages = reports(world);
  assert.deepEqual(
    messages.map(({ full }) => full),
    [true, ...messages.slice(1).map(() => false)],
  );
  assert.ok(messages.every(({ vms }) => vms.length <= limits.vmsPerMessage));
  assert.equal(messages.flatMap(({ vms }) => vms).length, 1_200);
  assert.equal(new Copy().take(messages), messages.at(-1)?.digest);
});

test('later reports say only what changed, and the digest still fits', async (t) => {
  const world = await AgentWorld.make(t);
  const copy = new Copy();
  for (let n = 0; n < 20; n++) world.fabric.add(replica(n));
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the first report');
  copy.take(reports(world));

  world.fabric.change(vmRef(3), { power: 'running' });
  world.fabric.remove(vmRef(4));
  world.fabric.add(replica(99));
  await world.clock.until(() => reports(world).length === 2, 'the second report');
  const [, second] = reports(world);
  assert.deepEqual(second?.vms.map(({ ref }) => ref.vmId).sort(), [vmRef(3).vmId, vmRef(99).vmId].sort());
  assert.deepEqual(second?.removedVms, [vmRef(4)]);
  assert.equal(copy.take(reports(world).slice(1)), second?.digest);
});

test('a site where nothing changes is read and nothing is sent', async (t) => {
  const world = await AgentWorld.make(t);
  for (let n = 0; n < 1_000; n++) world.fabric.add(replica(n));
  await world.start();
  await world.clock.until(() => reports(world).at(-1)?.digest != null, 'the first report');
  const [sent, reads] = [world.sentTexts.length, world.fabric.inventoryReads];
  world.fabric.change(vmRef(3), {});
  await world.clock.advance(60_000);
  assert.equal(world.sentTexts.length, sent);
  assert.ok(world.fabric.inventoryReads >= reads + 10);
  assert.ok(world.clock.timerCount < 10, `${world.clock.timerCount} timers`);
});

test('what the fabric counts of a primary goes with the next news of it, and is no news by itself', async (t) => {
  const world = await AgentWorld.make(t);
  const primary = (pendingBytes: number, over: Partial<VmView> = {}) => {
    const size = { averageBytes: 4, maximumBytes: 9, pendingBytes };
    const measure = { since: 0, cycles: 2, missed: 1, errors: 0, ...size, averageLatencyMs: 1500, maximumLatencyMs: null };
    return { ...over, replication: { ...replica(1).replication, mode: 'primary', measure } } as const;
  };
  world.fabric.add({ ...replica(1), ...primary(1) });
  await world.start();
  await world.clock.until(() => reports(world).at(-1)?.digest != null, 'the first report');
  const reads = world.fabric.inventoryReads;
  world.fabric.change(vmRef(1), primary(2));
  await world.clock.advance(60_000);
  assert.ok(world.fabric.inventoryReads >= reads + 10);
  assert.equal(reports(world).length, 1);
  world.fabric.change(vmRef(1), primary(3, { power: 'running' }));
  await world.clock.until(() => reports(world).length === 2, 'the second report');
  const told = reports(world)[1]?.vms ?? [];
  assert.deepEqual(
    told.map(({ power, replication }) => [power, replication.measure]),
    [['running', { ...primary(3).replication.measure, since: '1970-01-01T00:00:00.000Z' }]],
  );
});

test('a control plane in step gets no inventory after a reconnect, and one that is not gets all of it', async (t) => {
  const world = await AgentWorld.make(t);
  for (let n = 0; n < 5; n++) world.fabric.add(replica(n));
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the first report');
  const digest = reports(world)[0]?.digest;

  world.cutWire();
  await world.clock.until(() => hellos(world).length === 2, 'a second hello');
  assert.equal((hellos(world)[1] as { inventoryDigest: string }).inventoryDigest, digest);
  world.welcome('inStep');
  await world.clock.advance(30_000);
  assert.equal(reports(world).length, 1);

  world.say({ type: 'inventory.sendAll' });
  await world.clock.until(() => reports(world).length === 2, 'a complete report');
  assert.deepEqual([reports(world)[1]?.full, reports(world)[1]?.vms.length], [true, 5]);
});

test('a control plane that asks for everything all the time gets it no more often than changes', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the first report');
  const reads = world.fabric.inventoryReads;
  for (let n = 0; n < 100; n++) {
    world.say({ type: 'inventory.sendAll' });
    await world.clock.advance(100);
  }
  assert.ok(world.fabric.inventoryReads - reads <= 3, `${world.fabric.inventoryReads - reads} reads in ten seconds`);
});

test('a network that is gone leaves with a complete report', async (t) => {
  const world = await AgentWorld.make(t);
  const red = { id: '0a000000-0000-4000-8000-00000000000b' as NetworkId, name: 'Red' };
  world.fabric.networks.push(red);
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the first report');
  world.fabric.networks.pop();
  world.fabric.forgetCursors();
  await world.clock.until(() => reports(world).length === 2, 'the second report');
  const [, second] = reports(world);
  assert.deepEqual([second?.full, second?.networks.length], [true, 1]);
});

test('names longer than the list allows are cut, and nothing else of a VM leaves', async (t) => {
  const world = await AgentWorld.make(t);
  const vm = { ...replica(1, { name: 'n'.repeat(400) }), notes: 'CANARY', disks: ['D:\\CANARY.vhdx'] };
  world.fabric.add(vm);
  world.fabric.add(replica(2, { name: '' }));
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the report');
  assert.deepEqual(
    reports(world)[0]?.vms.map(({ name }) => name.length),
    [255, 1],
  );
  for (const text of world.sentTexts) assert.doesNotMatch(text, /CANARY/);
});

test('a large report is cut by bytes as well as by number', async (t) => {
  const world = await AgentWorld.make(t);
  for (let n = 0; n < 400; n++) world.fabric.add(replica(n, { name: '界'.repeat(255) }));
  await world.start();
  await world.clock.until(() => reports(world).at(-1)?.digest != null, 'the end of the report');
  assert.ok(reports(world).length > 1);
  for (const text of world.sentTexts) assert.ok(Buffer.byteLength(text) <= limits.messageBytes);
});

test('without a welcome the agent hangs up and dials again, ever less often and never at the same pace', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start(false);
  await world.clock.until(() => world.dials === 2, 'a second dial', 62_000);
  world.isCloudReachable = false;
  const dialledAt: number[] = [];
  for (let n = 3; n < 16; n++) {
    await world.clock.until(() => world.dials === n, `dial ${n}`);
    dialledAt.push(world.clock.now());
  }
  const waits = dialledAt.slice(1).map((at, i) => at - (dialledAt[i] ?? 0));
  assert.ok(waits.every((wait) => wait <= 60_000));
  assert.ok(Math.max(...waits.slice(6)) > 10_000);
  assert.ok(new Set(waits).size > waits.length - 2);
});

test('a peer that stops answering is given up after two and a half heartbeats', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  await world.clock.advance(120_000);
  assert.equal(world.dials, 1);
  assert.ok(world.pings >= 5);
  world.isWireDead = true;
  const before = world.clock.now();
  await world.clock.until(() => world.dials === 2, 'another dial');
  assert.ok(world.clock.now() - before <= 80_000 + 1_000);
});

test('outcomes go before inventory, many in one message, and none above the pace', async (t) => {
  const world = await AgentWorld.make(t);
  for (let n = 0; n < 1_000; n++) world.fabric.add(replica(n));
  await world.start();
  await world.clock.until(() => reports(world).at(-1)?.digest != null, 'the first report');
  world.waitingBytes = 10 * 1024 * 1024;
  const before = world.received.length;
  for (let n = 0; n < 1_000; n++) world.send(startCommand(n), { commandId: `c${n}` as CommandId });
  await world.clock.until(() => world.fabric.count('startVm') === 1_000, 'all starts');
  await world.clock.advance(10_000);
  assert.equal(world.received.length, before, 'nothing is sent while the line is full');

  world.waitingBytes = 0;
  await world.clock.advance(10_000);
  const sent = world.received.slice(before).filter((message) => message.type !== 'command.progress');
  const firstReport = sent.findIndex((message) => message.type === 'inventory.changed');
  const lastOutcome = sent.findLastIndex((message) => message.type === 'command.finished');
  assert.ok(firstReport > lastOutcome, 'outcomes first');
  assert.ok(sent.filter((message) => message.type === 'command.finished').length <= 5);
});

test('a control plane that floods is cut off', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  for (let n = 0; n <= limits.messagesAtOnce; n++) world.say({ type: 'finished.ack', commandIds: [`x${n}` as CommandId] });
  await world.clock.until(() => world.dials === 2, 'another dial');
  const last = world.logged.findLast(({ text }) => text === 'channel to the control plane');
  assert.equal(last?.fields.violations, 1);
});

test('another version of the protocol is refused with a code', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start(false);
  await world.clock.until(() => hellos(world).length === 1, 'hello');
  world.say({ type: 'welcome', protocol: 2, heartbeatSeconds: 20, inventory: 'inStep', tags: [], tellDecisions: false });
  await world.clock.until(() => world.dials === 2, 'another dial');
  const refused = world.logged.find(({ text }) => text === 'message from the control plane refused');
  assert.equal((refused?.fields.err as FarshoreError | undefined)?.code, 'ERR_PROTOCOL_VERSION');
});

test('progress is told of a command that takes its time, and not of one that is done at once', async (t) => {
  const world = await AgentWorld.make(t);
  world.fabric.add(replica(1));
  world.fabric.add(replica(2));
  await world.start();
  world.send(startCommand(1), { commandId: 'quick' as CommandId });
  await world.outcome('quick');
  world.fabric.guestAnswersAlways = false;
  world.send(startCommand(2), { commandId: 'slow' as CommandId });
  await world.outcome('slow');
  const told = world.received.flatMap((message) => (message.type === 'command.progress' ? [`${message.commandId} ${message.stage}`] : []));
  assert.deepEqual(told, ['slow waitingForGuest']);
});

test('of the tags of a VM only those leave that the control plane has named, when they are named and as long as they are', async (t) => {
  const world = await AgentWorld.make(t);
  const copy = new Copy();
  world.fabric.add(replica(1, { tags: ['Gold', 'owner: the bank'] }));
  world.fabric.add(replica(2, { tags: ['owner: the bank'] }));
  await world.start();
  await world.clock.until(() => reports(world).length === 1, 'the first report');
  assert.ok(reports(world)[0]?.vms.every((vm) => vm.tags === undefined));
  copy.take(reports(world));
  let seen = 1;
  const tells = async (tags: string[]) => {
    world.say({ type: 'inventory.tags', tags });
    await world.clock.until(() => reports(world).length > seen, 'what differs is told');
    const news = reports(world).slice(seen);
    seen += news.length;
    assert.equal(copy.take(news), news.at(-1)?.digest);
    return news.flatMap(({ vms }) => vms.map(({ ref, tags: told }) => [ref.vmId, told]));
  };
  assert.deepEqual(await tells(['gold', 'pci']), [[vmRef(1).vmId, ['gold']]], 'in the words of the rule');
  assert.deepEqual(await tells(['pci']), [[vmRef(1).vmId, undefined]]);
  assert.ok(world.sentTexts.every((text) => !text.includes('bank')));
});
