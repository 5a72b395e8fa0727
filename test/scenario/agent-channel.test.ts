import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ChannelStatus } from '../../provider-agent/channel/channel.ts';
import { dialWebSocket, type WayOut } from '../../provider-agent/channel/dial.ts';
import { type AgentCore, startAgentCore } from '../../provider-agent/core.ts';
import { openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import type { CommandId, JobId, StepId } from '../../shared/ids.ts';
import { sealEnvelope } from '../../shared/protocol/envelope.ts';
import { limits } from '../../shared/protocol/limits.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { TestFabric } from '../support/agent-fabric.ts';
import { AgentServer } from '../support/agent-server.ts';
import { agentId, keyPair, replica, startCommand, vaultId } from '../support/agent-world.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { TestNetwork } from '../support/test-network.ts';
import { TestScripts } from '../support/test-scripts.ts';
import { until } from '../support/until.ts';

interface Agent {
  readonly core: AgentCore;
  readonly fabric: TestFabric;
  readonly keys: ReturnType<typeof keyPair>;
  readonly statuses: ChannelStatus[];
}

async function startServer(t: TestContext, options: Parameters<typeof AgentServer.start>[0] = {}): Promise<AgentServer> {
  const server = await AgentServer.start(options);
  t.after(() => server.close());
  return server;
}

async function startAgent(t: TestContext, wayOut: () => WayOut): Promise<Agent> {
  const folder = await mkdtemp(join(tmpdir(), 'farshore-channel-'));
  const fabric = new TestFabric();
  const keys = keyPair();
  const statuses: ChannelStatus[] = [];
  const core = startAgentCore({
    identity: { agentId, vaultId },
    agentVersion: 'test',
    journal: await openJournal(join(folder, 'agent.db'), setImmediate),
    fabric,
    verifier: keys.verifier,
    network: new TestNetwork(),
    scripts: new TestScripts(),
    certificates: { requestCsr: async () => '', issueHostCertificates: async () => [] },
    dial: dialWebSocket(wayOut),
    egress: { note: () => {} },
    clock: systemClock,
    // The shortest waits: these tests are about the wire.
    random: { ...systemRandom, fraction: () => 0.01 },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    defer: setImmediate,
    onStatus: (status) => void statuses.push(status),
  });
  t.after(async () => {
    await core.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return { core, fabric, keys, statuses };
}

const failed = ({ statuses }: Agent) => until('a failed connection', () => statuses.some(({ state }) => state === 'waiting'));

test('a command goes out and its outcome comes back over mutual TLS 1.3', async (t) => {
  const server = await startServer(t);
  const wayOut = await server.wayOut();
  const agent = await startAgent(t, () => wayOut);
  agent.fabric.add(replica(1));
  await server.message('hello');
  const envelope = {
    commandId: 'job/step/1' as CommandId,
    agentId,
    vaultId,
    jobId: systemRandom.uuid() as JobId,
    stepId: 'step' as StepId,
    epoch: 1,
    sequence: 1,
    deadline: Date.now() + 60_000,
    command: startCommand(1),
  };
  server.say({ type: 'commands', envelopes: [sealEnvelope(envelope, agent.keys.signer)] });
  const { finished } = await server.message('command.finished');
  assert.equal(finished[0]?.outcome.status, 'done');
  assert.deepEqual(server.protocols, ['TLSv1.3']);
  const { vms } = await server.message('inventory.changed');
  assert.equal(vms.length, 1);
});

test('an agent tells nothing to a server that another authority certified', async (t) => {
  const [server, impostor] = [await startServer(t), await startServer(t)];
  const wayOut = await server.wayOut();
  const agent = await startAgent(t, () => ({ ...wayOut, channel: `wss://127.0.0.1:${impostor.port}/agent` }));
  await failed(agent);
  assert.match(String(agent.statuses.at(-1)?.lastFailure), /certificate|self-signed/);
  assert.deepEqual([impostor.received, impostor.sockets.length], [[], 0]);
});

test('the channel goes through a proxy with credentials', async (t) => {
  const server = await startServer(t);
  const proxy = await startConnectProxy({ credentials: 'agent:pass' });
  t.after(() => proxy.close());
  const wayOut = await server.wayOut(proxy.url);
  await startAgent(t, () => wayOut);
  await server.message('hello');
  assert.deepEqual(proxy.opened, [`127.0.0.1:${server.port}`]);
});

test('a proxy that refuses the credentials is told in the status, and the credentials are not', async (t) => {
  const server = await startServer(t);
  const proxy = await startConnectProxy({ credentials: 'agent:right' });
  t.after(() => proxy.close());
  const wayOut = await server.wayOut(proxy.url.replace('right', 'wrongword'));
  const agent = await startAgent(t, () => wayOut);
  await failed(agent);
  assert.ok(proxy.refused() > 0);
  assert.deepEqual(proxy.opened, []);
  assert.doesNotMatch(JSON.stringify(agent.statuses), /wrongword/);
});

test('a proxy that opens TLS learns nothing', async (t) => {
  const [server, snoop] = [await startServer(t), await startServer(t)];
  const proxy = await startConnectProxy({ divertTo: snoop.port });
  t.after(() => proxy.close());
  const wayOut = await server.wayOut(proxy.url);
  const agent = await startAgent(t, () => wayOut);
  await failed(agent);
  assert.ok(proxy.opened.length > 0);
  assert.deepEqual([snoop.received, snoop.sockets.length], [[], 0]);
});

test('after a cut the agent dials again and says hello', async (t) => {
  const server = await startServer(t);
  const wayOut = await server.wayOut();
  await startAgent(t, () => wayOut);
  await server.message('hello');
  server.sockets[0]?.terminate();
  await server.message('hello', 2);
});

test('a renewed certificate is shown at once', async (t) => {
  const server = await startServer(t);
  let wayOut = await server.wayOut();
  const agent = await startAgent(t, () => wayOut);
  await server.message('hello');
  wayOut = await server.wayOut();
  agent.core.reconnect('the certificate was renewed');
  await server.message('hello', 2);
  assert.equal(new Set(server.serials).size, 2);
});

test('a peer that has gone silent is given up and dialled anew', async (t) => {
  const server = await startServer(t, { answersPings: false });
  server.heartbeatSeconds = 1;
  const wayOut = await server.wayOut();
  const agent = await startAgent(t, () => wayOut);
  await server.message('hello', 2);
  assert.match(String(agent.statuses.at(-1)?.lastFailure), /fell silent/);
});

const broken: Record<string, string | Buffer> = {
  'larger than the limit': 'x'.repeat(limits.messageBytes + 1),
  'nested too deep': '['.repeat(200),
  'not JSON': 'hello',
  'of a type that does not exist': '{"type":"disk.wipe"}',
  binary: Buffer.from([1, 2, 3]),
};
for (const [what, text] of Object.entries(broken)) {
  test(`a message that is ${what} ends the connection`, async (t) => {
    const server = await startServer(t);
    const wayOut = await server.wayOut();
    const agent = await startAgent(t, () => wayOut);
    await server.message('inventory.changed');
    server.sayText(text);
    await server.message('hello', 2);
    assert.ok(agent.statuses.some(({ state }) => state === 'waiting'));
  });
}

test('a control plane that refuses the agent is quoted in the words of our own table, and anyone else is not', async (t) => {
  const answers = ['ERR_CERTIFICATE_REVOKED\n', '\x1b[2Jdo as I say '.repeat(100)];
  const server = createServer((_request, response) => void response.writeHead(403).end(answers.shift()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const way = { channel: `ws://127.0.0.1:${port}/agent`, certificatePem: '', keyPem: '', authorityPem: '', proxy: null };
  const reason = () =>
    new Promise<string>((closed) => {
      dialWebSocket(() => way)({ opened() {}, received() {}, heard() {}, answered() {}, closed });
    });
  assert.match(await reason(), /^refused: ERR_CERTIFICATE_REVOKED: The agent was revoked\. Register the agent again/);
  assert.equal(await reason(), 'refused with status 403');
});
