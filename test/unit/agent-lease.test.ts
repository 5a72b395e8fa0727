/** An agent acts on a word that it has heard: what it does, and does not, while nobody speaks to it, and when somebody does again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Lease } from '../../provider-agent/channel/lease.ts';
import type { CommandId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { LEASE_MS } from '../../shared/protocol/lease.ts';
import { VirtualClock } from '../support/agent-clock.ts';
import { AgentWorld, replica, startCommand, vmRef } from '../support/agent-world.ts';
import { digest } from '../support/test-scripts.ts';

const id = (text: string) => text as CommandId;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A command is past its first change, and waits before its second one: the VM is being started by somebody else. */
async function halfWay(t: Parameters<typeof AgentWorld.make>[0]): Promise<AgentWorld> {
  const world = await AgentWorld.make(t);
  world.fabric.add(replica(1, { power: 'starting' }));
  await world.start();
  world.send(startCommand(1));
  await world.clock.until(() => world.fabric.count('writeEpoch') === 1, 'the first change');
  return world;
}

/** Whoever was starting the VM has given up. */
const isOff = (world: AgentWorld) => world.fabric.change(vmRef(1), { power: 'off' });

async function isBack(world: AgentWorld): Promise<void> {
  world.isWireDead = false;
  world.isCloudReachable = true;
  await world.connect();
}

describe('an agent that died in the middle of a command', () => {
  async function cutOff(t: Parameters<typeof AgentWorld.make>[0]): Promise<AgentWorld> {
    const world = await AgentWorld.make(t, { settings: { rememberMs: DAY_MS, inventoryEveryMs: HOUR_MS } });
    world.fabric.add(replica(1));
    await world.start();
    world.fabric.order('startVm', 'hangs');
    world.send(startCommand(1));
    await world.clock.until(() => world.fabric.faultsMet === 1, 'the hang');
    world.crash();
    return world;
  }

  test('does nothing more for it by itself, connected or not', async (t) => {
    const world = await cutOff(t);
    world.isCloudReachable = false;
    await world.start(false);
    await world.clock.advance(120_000);
    await isBack(world);
    await world.clock.advance(120_000);
    assert.deepEqual([world.fabric.count('startVm'), world.outcomes(), world.core.runningCommands], [0, [], 0]);
  });

  test('goes on when it is asked for it again', async (t) => {
    const world = await cutOff(t);
    await world.start();
    world.send(startCommand(1));
    assert.equal((await world.outcome()).status, 'done');
    assert.equal(world.fabric.view(vmRef(1)).power, 'running');
  });

  test('holds nobody up with it', async (t) => {
    const world = await cutOff(t);
    await world.start();
    world.send(startCommand(1), { commandId: id('another') });
    assert.equal((await world.outcome('another')).status, 'done');
  });

  test('ends it, without a look at the site, when nobody has asked for long', async (t) => {
    const world = await cutOff(t);
    await world.start();
    await world.clock.advance(DAY_MS);
    assert.equal(world.journal.unfinished().length, 1, 'somebody may still ask');
    await world.clock.advance(DAY_MS);
    assert.deepEqual(world.journal.unfinished(), []);
    world.cutWire();
    await world.connect();
    const outcome = await world.outcome();
    assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['failed', 'ERR_COMMAND_EXPIRED']);
    assert.equal(world.fabric.count('startVm'), 0);
  });
});

describe('an agent that lost its connection', () => {
  test('changes nothing more once its lease has run out, and tells no end of the command', async (t) => {
    const world = await halfWay(t);
    world.isCloudReachable = false;
    world.cutWire();
    await world.clock.advance(LEASE_MS + 5_000);
    isOff(world);
    await world.clock.advance(120_000);
    assert.equal(world.fabric.count('startVm'), 0);
    await isBack(world);
    await world.clock.advance(120_000);
    assert.deepEqual([world.fabric.count('startVm'), world.outcomes()], [0, []]);
    world.send(startCommand(1));
    assert.equal((await world.outcome()).status, 'done', 'it is asked for again');
    assert.deepEqual([world.fabric.count('writeEpoch'), world.fabric.count('startVm')], [1, 1]);
  });

  test('goes on for as long as its lease holds', async (t) => {
    const world = await halfWay(t);
    world.isCloudReachable = false;
    world.cutWire();
    isOff(world);
    await world.clock.advance(LEASE_MS / 3);
    assert.equal(world.fabric.count('startVm'), 1);
  });

  test('does not go on with what it is not asked for when it is back, though it runs and its new lease holds', async (t) => {
    const world = await halfWay(t);
    world.isCloudReachable = false;
    world.cutWire();
    await world.clock.advance(120_000);
    await isBack(world);
    isOff(world);
    await world.clock.advance(60_000);
    assert.deepEqual([world.fabric.count('startVm'), world.core.runningCommands], [0, 0]);
    world.send(startCommand(1), { commandId: id('another') });
    assert.equal((await world.outcome('another')).status, 'done', 'and what comes later does not wait for it');
  });

  test('goes on with what it is asked for again while it runs', async (t) => {
    const world = await halfWay(t);
    world.isCloudReachable = false;
    world.cutWire();
    await world.clock.advance(120_000);
    world.isCloudReachable = true;
    await world.clock.until(() => world.received.filter(({ type }) => type === 'hello').length === 2, 'a second hello');
    world.welcome();
    world.send(startCommand(1));
    isOff(world);
    assert.equal((await world.outcome()).status, 'done');
    assert.equal(world.fabric.count('startVm'), 1);
  });

  test('goes on waiting where it only looks', async (t) => {
    const world = await AgentWorld.make(t);
    await world.start();
    const wait: Command = {
      kind: 'wait.until',
      args: { condition: { kind: 'tcp', host: 'sql', port: 1433 }, withinSeconds: 600 },
    };
    world.send(wait);
    world.isCloudReachable = false;
    world.cutWire();
    await world.clock.advance(120_000);
    assert.equal(world.core.runningCommands, 1);
    await isBack(world);
    await world.clock.advance(20_000);
    assert.equal(world.core.runningCommands, 0, 'until nobody wants it any more');
  });
});

test('an agent whose pings are not answered hangs up when it is to change something, so that it is asked again', async (t) => {
  const world = await halfWay(t);
  world.isWireDead = true;
  await world.clock.advance(LEASE_MS + 5_000);
  assert.equal(world.dials, 1, 'the connection is up');
  isOff(world);
  await world.clock.until(() => world.dials === 2, 'another dial', 20_000);
  assert.equal(world.fabric.count('startVm'), 0);
  await isBack(world);
  world.send(startCommand(1));
  assert.equal((await world.outcome()).status, 'done');
});

test('a script that was not begun within a lease was not begun, and is run when it is asked for again', async (t) => {
  const world = await AgentWorld.make(t);
  world.scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  await world.start();
  const script: Command = {
    kind: 'script.run',
    args: {
      name: 'Move-Name.ps1',
      sha256: digest('a'),
      withinSeconds: 60,
      context: { plan: null, kind: 'planned', direction: 'toRecovery', group: 'g', action: 'a', location: 'recovery', vms: [] },
    },
  };
  world.isWireDead = true;
  await world.clock.advance(LEASE_MS + 5_000);
  world.send(script);
  await world.clock.until(() => world.dials === 2, 'another dial', 20_000);
  assert.equal(world.scripts.ran.length, 0);
  await isBack(world);
  world.send(script);
  assert.equal((await world.outcome()).status, 'done');
  assert.equal(world.scripts.ran.length, 1);
});

test('a command stops at the next change when a newer decision about its VM has come', async (t) => {
  const world = await halfWay(t);
  world.send(startCommand(1), { commandId: id('newer'), epoch: 2 });
  await world.clock.settle();
  isOff(world);
  const outcome = await world.outcome();
  assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['failed', 'ERR_EPOCH_STALE']);
  assert.equal((await world.outcome('newer')).status, 'done');
  assert.deepEqual(
    world.fabric.calls.map(({ call, act }) => [call, act.commandId]),
    [
      ['writeEpoch', 'job/step/1'],
      ['writeEpoch', 'newer'],
      ['startVm', 'newer'],
    ],
  );
});

describe('a lease', () => {
  const held = () => {
    const clock = new VirtualClock(1_000_000);
    const lease = new Lease(clock);
    assert.equal(lease.term, null, 'nobody has lent it');
    lease.begin(clock.now());
    return { clock, lease };
  };

  test('runs out, and an answer that comes later does not bring it back', async () => {
    const { clock, lease } = held();
    await clock.advance(LEASE_MS - 1);
    assert.equal(lease.term, 1);
    await clock.advance(1);
    assert.equal(lease.term, null);
    lease.renew(clock.now());
    assert.equal(lease.term, null);
    lease.begin(clock.now());
    assert.equal(lease.term, 2, 'a new one');
  });

  test('counts from the question, however late the answer comes', async () => {
    const { clock, lease } = held();
    const askedAt = clock.now() + 10_000;
    await clock.advance(20_000);
    lease.renew(askedAt);
    await clock.advance(LEASE_MS - 10_001);
    assert.equal(lease.term, 1);
    await clock.advance(1);
    assert.equal(lease.term, null);
  });

  test('goes on over a new connection that comes in time', async () => {
    const { clock, lease } = held();
    await clock.advance(LEASE_MS - 1);
    lease.begin(clock.now());
    assert.equal(lease.term, 1);
  });

  test('ends when the clock is set back, or stands still', async () => {
    const real = new VirtualClock(1_000_000);
    let [shift, stopped] = [0, null as number | null];
    const lease = new Lease({ now: () => stopped ?? real.now() + shift, after: (ms, callback) => real.after(ms, callback) });
    lease.begin(real.now());
    shift = -1;
    assert.equal(lease.term, null);
    shift = 0;
    assert.equal(lease.term, null, 'and does not come back with it');
    lease.begin(real.now());
    stopped = real.now();
    await real.advance(LEASE_MS);
    assert.equal(lease.term, null);
  });
});
