/** wait.*: what an agent waits for, how long, and that it holds nobody up meanwhile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { networkLooks } from '../../provider-agent/commands/network-looks.ts';
import type { ReplicationState } from '../../provider-agent/fabric/fabric.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import type { CommandId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { AgentWorld, replica, startCommand, vmRef } from '../support/agent-world.ts';

const HOURS_MS = 3 * 3_600_000;

const untilSqlAnswers: Command = {
  kind: 'wait.until',
  args: { condition: { kind: 'tcp', host: 'sql', port: 1433 }, withinSeconds: 120 },
};

test('it waits until the port takes a connection, and other commands go on meanwhile', async (t) => {
  const world = await AgentWorld.make(t);
  world.fabric.add(replica(1, { replication: { ...replica(1).replication, state: 'failedOverWaitingCompletion' } }));
  await world.start();
  world.send(untilSqlAnswers);
  await world.clock.until(() => world.network.looks > 2, 'it looks');
  world.send(startCommand(1), { commandId: 'job/start/1' as CommandId });
  assert.equal((await world.outcome('job/start/1')).status, 'done');
  assert.deepEqual(world.outcomes(), [], 'the other still waits');
  world.network.open.add('sql:1433');
  assert.equal((await world.outcome()).status, 'done');
});

test('it gives up when its time is over', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  const begun = world.clock.now();
  world.send(untilSqlAnswers);
  const outcome = await world.outcome();
  assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['failed', 'ERR_WAIT_TIMEOUT']);
  const took = world.clock.now() - begun;
  assert.ok(took >= 120_000 && took < 130_000, `${took} ms`);
});

test('an HTTP answer counts only with the status asked for', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  world.network.statuses.set('http://shop/', 503);
  world.send({ kind: 'wait.until', args: { condition: { kind: 'http', url: 'http://shop/', status: 200 }, withinSeconds: 60 } });
  await world.clock.until(() => world.network.looks > 2, 'it looks');
  assert.deepEqual(world.outcomes(), []);
  world.network.statuses.set('http://shop/', 200);
  assert.equal((await world.outcome()).status, 'done');
});

test('a guest that the fabric does not know yet has only not answered yet', async (t) => {
  const world = await AgentWorld.make(t);
  await world.start();
  world.fabric.guestAnswersAlways = false;
  world.send({ kind: 'wait.until', args: { condition: { kind: 'guest', guest: vmRef(1) }, withinSeconds: 60 } });
  await world.clock.settle();
  assert.deepEqual(world.outcomes(), []);
  world.fabric.guestAnswersAlways = true;
  assert.equal((await world.outcome()).status, 'done');
});

const untilCopied: Command = { kind: 'wait.copied', args: { vm: vmRef(1) } };
const primary = (state: ReplicationState) =>
  replica(1, { power: 'running', replication: { ...replica(1).replication, mode: 'primary', state } });

test('a copying is waited for as long as it takes, also while the fabric cannot be asked; the VM is free meanwhile', async (t) => {
  const world = await AgentWorld.make(t);
  world.fabric.add(primary('initialReplicationInProgress'));
  await world.start();
  world.send(untilCopied);
  const begun = world.clock.now();
  await world.clock.until(() => world.clock.now() > begun + HOURS_MS, 'hours go by', 2 * HOURS_MS);
  world.fabric.findFails = 'ERR_FABRIC_FAILED';
  await world.clock.until(() => world.clock.now() > begun + 2 * HOURS_MS, 'and more', 2 * HOURS_MS);
  world.fabric.findFails = null;
  assert.deepEqual(world.outcomes(), []);
  world.send({ kind: 'replication.setPolicy', args: { vm: vmRef(1), policy: defaultPolicy } }, { commandId: 'job/policy/1' as CommandId });
  assert.equal((await world.outcome('job/policy/1')).status, 'done');
  world.fabric.change(vmRef(1), primary('replicating'));
  assert.equal((await world.outcome()).status, 'done');
});

test('waiting for a copying ends when it was interrupted, and when the VM is gone', async (t) => {
  const world = await AgentWorld.make(t);
  world.fabric.add(primary('initialReplicationInProgress'));
  await world.start();
  world.send(untilCopied, { commandId: 'job/copied/1' as CommandId });
  await world.clock.settle();
  world.fabric.change(vmRef(1), primary('waitingForStartResynchronize'));
  const interrupted = await world.outcome('job/copied/1');
  assert.equal('code' in interrupted && interrupted.code, 'ERR_WRONG_STATE');
  world.fabric.change(vmRef(1), primary('resynchronizing'));
  world.send(untilCopied, { commandId: 'job/copied/2' as CommandId });
  await world.clock.settle();
  world.fabric.remove(vmRef(1));
  const gone = await world.outcome('job/copied/2');
  assert.equal('code' in gone && gone.code, 'ERR_VM_NOT_FOUND');
});

test('on a real network an open port connects, a closed one does not, and an address answers with its status', async (t) => {
  const server = createHttpServer((_request, response) => response.writeHead(302, { location: '/elsewhere' }).end('x'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const closed = createServer();
  closed.listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port: freed } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');

  assert.equal(await networkLooks.connects('127.0.0.1', port, 5_000), true);
  assert.equal(await networkLooks.connects('127.0.0.1', freed, 5_000), false);
  assert.equal(await networkLooks.httpStatus(`http://127.0.0.1:${port}/`, 5_000), 302, 'a redirect is not followed');
  assert.equal(await networkLooks.httpStatus(`http://127.0.0.1:${freed}/`, 5_000), null);
});
