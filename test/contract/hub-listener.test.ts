import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { WebSocket } from 'ws';
import { makeAgentRequest, makeP256Key, readAgentRequest } from '../../certs/agent-request.ts';
import { Authority, makeAuthority } from '../../certs/authority.ts';
import { AgentListener } from '../../control-plane/channel/listener.ts';
import { dialWebSocket } from '../../provider-agent/channel/dial.ts';
import { startAgentCore } from '../../provider-agent/core.ts';
import { openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import { AgentId, type SiteId, type VaultId } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';
import { limits } from '../../shared/protocol/limits.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { TestFabric } from '../support/agent-fabric.ts';
import { replica } from '../support/agent-world.ts';
import { type HubWorldOf, makeHubWorldOn, verifierOf } from '../support/hub-world.ts';
import { TestNetwork } from '../support/test-network.ts';
import { TestScripts } from '../support/test-scripts.ts';
import { until } from '../support/until.ts';

interface Enrolled {
  readonly agentId: AgentId;
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  readonly certificatePem: string;
  readonly keyPem: string;
}

interface World extends HubWorldOf<Clock> {
  readonly listener: AgentListener;
  readonly authority: Authority;
}

async function makeWorld(t: TestContext): Promise<World> {
  const world = await makeHubWorldOn(t, systemClock);
  const now = systemClock.now();
  const authority = await Authority.open(await makeAuthority(now, systemRandom), systemRandom);
  const server = await authority.issueServer({ dnsNames: ['localhost'], addresses: ['127.0.0.1'] }, now);
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const { hub, store, clock } = world;
  const listener = await AgentListener.start({ hub, store, authority, server, clock, log, host: '127.0.0.1', port: 0 });
  t.after(() => listener.close());
  return Object.assign(world, { listener, authority });
}

/** An agent with a certificate of `authority`, in the store unless told otherwise. */
async function enrolled(world: World, siteId: SiteId, authority = world.authority, isStored = true): Promise<Enrolled> {
  const { vaultId, ownerId, store } = world;
  const keyPem = await makeP256Key();
  const spki = await readAgentRequest(await makeAgentRequest(keyPem));
  const agentId = AgentId.parse(systemRandom.uuid());
  const now = systemClock.now();
  const { certificate, serial, notAfter } = await authority.issueAgent(spki, agentId, now);
  if (isStored) {
    const hash = Buffer.from(systemRandom.bytes(32)).toString('hex');
    await store.sites.addRegistrationKey({ hash, vaultId, siteId, createdAt: 1, createdBy: ownerId, expiresAt: now + 1_000, usedAt: null });
    const key = { spki: Buffer.from(spki).toString('base64'), certificateSerial: serial, certificateNotAfter: notAfter };
    await store.enrolment.register(hash, { agentId, vaultId, siteId, ...key }, now);
  }
  return { agentId, vaultId, siteId, certificatePem: certificate, keyPem };
}

const tlsOf = (world: World, agent: Enrolled | null, over: ConnectionOptions = {}): ConnectionOptions => ({
  host: '127.0.0.1',
  port: world.listener.port,
  ca: world.authority.certificate,
  ...(agent && { cert: agent.certificatePem, key: agent.keyPem }),
  ...over,
});

function openSocket(world: World, agent: Enrolled, path = '/agent'): WebSocket {
  const { ca, cert, key } = tlsOf(world, agent);
  const socket = new WebSocket(`wss://127.0.0.1:${world.listener.port}${path}`, { ca, cert, key });
  socket.on('error', () => {});
  return socket;
}

/** How a way in ends: the status of the refusal, the error of TLS, or 'open'. */
async function tryIn(world: World, agent: Enrolled, path?: string): Promise<string> {
  const socket = openSocket(world, agent, path);
  try {
    return await new Promise<string>((resolve) => {
      socket.on('open', () => resolve('open'));
      socket.on('unexpected-response', (_request, response) => resolve(`refused ${response.statusCode}`));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(`failed ${error.code ?? error.message}`));
    });
  } finally {
    socket.terminate();
  }
}

const hello = (agent: Enrolled) =>
  JSON.stringify({ type: 'hello', protocol: 1, agentId: agent.agentId, agentVersion: '1', lastSequence: 0, inventoryDigest: null });

async function greeted(world: World, agent: Enrolled): Promise<WebSocket> {
  const socket = openSocket(world, agent);
  await once(socket, 'open');
  socket.send(hello(agent));
  await once(socket, 'message');
  return socket;
}

async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
  return code;
}

test('a real agent over mutual TLS is greeted and its inventory stored', async (t) => {
  const world = await makeWorld(t);
  const agent = await enrolled(world, world.recovery);
  const fabric = new TestFabric();
  for (let n = 0; n < 50; n++) fabric.add(replica(n));
  const core = startAgentCore({
    identity: agent,
    agentVersion: 'test',
    journal: await openJournal(join(world.folder, 'agent.db'), setImmediate),
    fabric,
    verifier: verifierOf(world.issuer),
    network: new TestNetwork(),
    scripts: new TestScripts(),
    certificates: { requestCsr: async () => '', issueHostCertificates: async () => [] },
    dial: dialWebSocket(() => ({
      ...agent,
      channel: `wss://127.0.0.1:${world.listener.port}/agent`,
      authorityPem: world.authority.certificate,
      proxy: null,
    })),
    egress: { note: () => {} },
    clock: systemClock,
    random: systemRandom,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    defer: setImmediate,
  });
  t.after(() => core.stop());
  await until('stored', async () => (await world.store.observations.vms(world.vaultId)).length === 50);
  assert.equal(world.hub.isConnected(world.recovery), true);
  assert.notEqual((await world.store.sites.findAgent(agent.agentId))?.lastSeenAt, null);
});

test('nobody gets in without a certificate of our authority, and nobody whom the store does not know', async (t) => {
  const world = await makeWorld(t);
  const now = systemClock.now();
  const foreign = await Authority.open(await makeAuthority(now, systemRandom), systemRandom);
  assert.equal(await tryIn(world, await enrolled(world, world.primary)), 'open');
  assert.match(await tryIn(world, await enrolled(world, world.primary, foreign)), /^failed/);
  assert.equal(await tryIn(world, await enrolled(world, world.primary, world.authority, false)), 'refused 403');
  const bare = connect(tlsOf(world, null));
  const refusal = await new Promise<NodeJS.ErrnoException>((resolve) => bare.on('error', resolve));
  assert.match(String(refusal.code), /CERTIFICATE_REQUIRED|ECONNRESET/);
  assert.equal(await tryIn(world, await enrolled(world, world.recovery), '/other'), 'refused 404');
});

test('a certificate of the same name for another key is refused', async (t) => {
  const world = await makeWorld(t);
  const agent = await enrolled(world, world.recovery);
  const keyPem = await makeP256Key();
  const spki = await readAgentRequest(await makeAgentRequest(keyPem));
  const { certificate } = await world.authority.issueAgent(spki, agent.agentId, systemClock.now());
  assert.equal(await tryIn(world, { ...agent, keyPem, certificatePem: certificate }), 'refused 403');
  assert.equal(await tryIn(world, agent), 'open');
});

test('a revoked agent is cut off at once and its certificate refused in the handshake; others stay', async (t) => {
  const world = await makeWorld(t);
  const [agent, other] = [await enrolled(world, world.recovery), await enrolled(world, world.primary)];
  const [socket, otherSocket] = [await greeted(world, agent), await greeted(world, other)];
  const closed = closeCode(socket);
  assert.equal(await world.listener.revoke(world.vaultId, agent.agentId), true);
  assert.equal(await closed, 4002);
  assert.equal(world.hub.isConnected(world.recovery), false);
  // The store alone would answer 403.
  assert.match(await tryIn(world, agent), /^failed/);
  assert.deepEqual([otherSocket.readyState, await tryIn(world, other)], [WebSocket.OPEN, 'open']);
  assert.equal(await world.listener.revoke(systemRandom.uuid() as VaultId, other.agentId), false);
  otherSocket.terminate();
});

test('only TLS 1.3 is spoken, and no session is resumed', async (t) => {
  const world = await makeWorld(t);
  const agent = await enrolled(world, world.recovery);
  const old = connect(tlsOf(world, agent, { maxVersion: 'TLSv1.2' }));
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => old.on('error', resolve));
  assert.match(String(error.code), /VERSION/);

  const shakeHands = async (over: ConnectionOptions) => {
    const sessions: Buffer[] = [];
    const socket = connect(tlsOf(world, agent, over));
    socket.on('session', (session) => sessions.push(session));
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    const [protocol, isReused] = [socket.getProtocol(), socket.isSessionReused()];
    // Tickets follow the handshake; with the answer they must have come.
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    return { protocol, isReused, session: sessions.at(-1) };
  };
  const first = await shakeHands({});
  const second = await shakeHands(first.session === undefined ? {} : { session: first.session });
  assert.deepEqual([first.protocol, second.protocol, second.isReused], ['TLSv1.3', 'TLSv1.3', false]);
});

test('a message over the limit ends that connection before it is put together', async (t) => {
  const world = await makeWorld(t);
  const socket = await greeted(world, await enrolled(world, world.recovery));
  const other = await greeted(world, await enrolled(world, world.primary));
  const closed = closeCode(socket);
  socket.send('x'.repeat(limits.messageBytes + 1));
  assert.equal(await closed, 1009);
  await until('the hub knows', () => !world.hub.isConnected(world.recovery));
  assert.equal(world.hub.isConnected(world.primary), true);
  other.terminate();
});

test('a binary message ends the connection', async (t) => {
  const world = await makeWorld(t);
  const socket = await greeted(world, await enrolled(world, world.recovery));
  const closed = closeCode(socket);
  socket.send(Buffer.from('{}'));
  await closed;
  assert.equal(world.hub.isConnected(world.recovery), false);
});

test('anything but the WebSocket is answered with 404', async (t) => {
  const world = await makeWorld(t);
  const { ca, cert, key, host, port } = tlsOf(world, await enrolled(world, world.recovery));
  const call = request({ ca, cert, key, host, port, path: '/agent', method: 'GET' });
  call.end();
  const [response] = await once(call, 'response');
  response.resume();
  assert.equal(response.statusCode, 404);
});

test('fifty agents that come back at once are all greeted', async (t) => {
  const world = await makeWorld(t);
  const agents = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const id = systemRandom.uuid() as SiteId;
      await world.store.sites.create({ id, vaultId: world.vaultId, name: `site-${n}`, createdAt: 1 });
      return enrolled(world, id);
    }),
  );
  for (let storm = 0; storm < 2; storm++) {
    const sockets = await Promise.all(agents.map((agent) => greeted(world, agent)));
    assert.ok(agents.every(({ siteId }) => world.hub.isConnected(siteId)));
    for (const socket of sockets) socket.terminate();
    await until('all gone', () => agents.every(({ siteId }) => !world.hub.isConnected(siteId)));
  }
});

test('a stop tells every agent and ends', async (t) => {
  const world = await makeWorld(t);
  const socket = await greeted(world, await enrolled(world, world.recovery));
  const closed = closeCode(socket);
  await world.listener.close();
  assert.equal(await closed, 1001);
});
