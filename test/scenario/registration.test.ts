/** Registration over real TLS: which key works, who is told what, and that a refusal leaves nothing on either side. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import express from 'express';
import { makeAgentRequest, makeP256Key, readAgentRequest } from '../../certs/agent-request.ts';
import { Authority, makeAuthority } from '../../certs/authority.ts';
import { spkiOf } from '../../certs/digest.ts';
import type { KeyPair } from '../../certs/validity.ts';
import { loadIdentity } from '../../provider-agent/enroll/identity.ts';
import { parseProxy } from '../../provider-agent/enroll/proxy.ts';
import { type Registration, register } from '../../provider-agent/enroll/register.ts';
import { AgentId } from '../../shared/ids.ts';
import { parseRegistrationKey } from '../../shared/protocol/registration.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { EnrolmentWorld, startListener, startSink } from '../support/enrolment-world.ts';
import { shakeHands } from '../support/handshake.ts';

const HOUR = 3_600_000;
const registerProcess = fileURLToPath(new URL('../support/register-process.ts', import.meta.url));
const root = await mkdtemp(join(tmpdir(), 'farshore-registration-'));
after(() => rm(root, { recursive: true, force: true }));

let world: EnrolmentWorld;
let dataDir: string;
beforeEach(async () => {
  world = await EnrolmentWorld.open();
  dataDir = await mkdtemp(join(root, 'agent-'));
});
afterEach(() => world.close());

const here = (changes: Partial<Registration> = {}): Registration => ({
  dataDir,
  proxy: null,
  clock: systemClock,
  agentVersion: '0.1.0',
  ...changes,
});

async function refusedWith(code: string, key: string, changes: Partial<Registration> = {}): Promise<Error> {
  let refused: Error | null = null;
  await assert.rejects(register(key, here(changes)), (error: Error) => {
    refused = error;
    return 'code' in error && assert.equal(error.code, code) === undefined;
  });
  assert.deepEqual(await readdir(dataDir), [], 'nothing is stored at the site');
  return refused ?? assert.fail();
}

describe('a registration key', () => {
  it('makes an agent of the site, with a certificate that its listener accepts', async () => {
    const identity = await register(world.makeKey(), here());
    assert.equal(identity.siteId, world.siteId);
    assert.equal(identity.vaultId, world.vaultId);
    assert.deepEqual(identity.issuerKeys, [world.issuer.publicPem]);
    const agent = world.store.agents.get(identity.agentId);
    assert.equal(agent?.spki, spkiOf(identity.keyPem));
    assert.equal(world.usedKeys(), 1);
    assert.deepEqual(await loadIdentity(dataDir), identity);
    const pair = await world.authority.issueServer({ dnsNames: ['localhost'], addresses: ['127.0.0.1'] }, Date.now());
    const server = { cert: pair.certificate, key: pair.key, ca: world.authority.certificate, requestCert: true };
    const shaken = await shakeHands(server, { cert: identity.certificatePem, key: identity.keyPem, ca: identity.authorityPem });
    assert.equal(shaken.serverError, null);
    assert.equal(shaken.serverSaw?.subject.CN, identity.agentId);
  });

  it('keeps the key of the agent from everyone else', { skip: process.platform === 'win32' }, async () => {
    const { agentId } = await register(world.makeKey(), here());
    assert.equal((await stat(join(dataDir, agentId, 'key.pem'))).mode & 0o777, 0o600);
    assert.equal((await stat(join(dataDir, agentId))).mode & 0o777, 0o700);
  });

  it('that was never made is refused as unknown', async () => {
    await refusedWith('ERR_KEY_UNKNOWN', world.makeKey({ stored: false }));
    assert.equal(world.listener.requests(), 1);
    assert.equal(world.store.agents.size, 0);
  });

  it('that was used is refused as used, and makes no second agent', async () => {
    const key = world.makeKey();
    await register(key, here({ dataDir: join(root, 'first') }));
    await refusedWith('ERR_KEY_USED', key);
    assert.equal(world.store.agents.size, 1);
  });

  it('works until its last moment, and is refused as expired after it', async () => {
    const early = world.makeKey();
    const late = world.makeKey();
    world.clock.advance(24 * HOUR - 1);
    await register(early, here({ dataDir: join(root, 'early') }));
    world.clock.advance(1);
    await refusedWith('ERR_KEY_EXPIRED', late);
    assert.equal(world.store.agents.size, 1);
    assert.equal(world.usedKeys(), 1);
  });

  it('that two agents use at once makes one of them', async () => {
    const key = world.makeKey();
    const results = await Promise.allSettled([
      register(key, here({ dataDir: join(dataDir, 'a') })),
      register(key, here({ dataDir: join(dataDir, 'b') })),
    ]);
    const won = results.filter((result) => result.status === 'fulfilled');
    const lost = results.filter((result) => result.status === 'rejected');
    assert.equal(won.length, 1);
    assert.equal(lost[0]?.reason.code, 'ERR_KEY_USED');
    assert.equal(world.store.agents.size, 1);
    assert.equal((await readdir(dataDir)).length, 1, 'the loser has stored nothing');
  });

  it('that is damaged is refused before anyone is asked, and never repeated', async () => {
    const key = world.makeKey();
    for (const damaged of ['', 'FS1.', key.slice(0, -9), key.slice(4), `FS2.${key.slice(4)}`]) {
      const error = await refusedWith('ERR_KEY_MALFORMED', damaged);
      if (damaged.length > 9) assert.ok(!inspect(error).includes(damaged.slice(8)));
    }
    assert.equal(world.listener.requests(), 0);
  });
});

describe('a server that is not the control plane of the key', () => {
  async function isToldNothing(pair: KeyPair, changes: { host?: string } = {}): Promise<void> {
    const sink = await startSink(pair);
    await refusedWith('ERR_KEY_FOREIGN', world.makeKey({ address: `https://${changes.host ?? '127.0.0.1'}:${sink.port}` }));
    await sink.close();
    assert.equal(sink.handshakes(), 1, 'the agent was there');
    assert.equal(sink.connections(), 1, 'and left for good after its look');
    assert.equal(sink.bytes(), 0);
    assert.equal(world.listener.requests(), 0);
    assert.equal(world.usedKeys(), 0);
  }
  const names = { dnsNames: ['localhost'], addresses: ['127.0.0.1'] };
  const makeOther = async () => Authority.open(await makeAuthority(Date.now(), systemRandom), systemRandom);

  it('is told nothing when its authority is another', async () => {
    await isToldNothing(await (await makeOther()).issueServer(names, Date.now()));
  });

  it("is told nothing when it shows the right authority above another one's certificate", async () => {
    const { certificate, key } = await (await makeOther()).issueServer(names, Date.now());
    const leaf = certificate.slice(0, certificate.indexOf('-----BEGIN', 1));
    await isToldNothing({ key, certificate: leaf + world.authority.certificate });
  });

  it('is told nothing when its certificate names the right authority in everything but the signature', async () => {
    const imitation = await Authority.open({ certificate: world.authority.certificate, key: await makeP256Key() }, systemRandom);
    await isToldNothing(await imitation.issueServer(names, Date.now()));
  });

  it('is told nothing when its certificate is for another name', async () => {
    await isToldNothing(await world.authority.issueServer({ dnsNames: ['elsewhere.example'], addresses: ['127.0.0.2'] }, Date.now()));
    await isToldNothing(await world.authority.issueServer({ dnsNames: [], addresses: ['127.0.0.1'] }, Date.now()), { host: 'localhost' });
  });

  it('is told nothing when it is an agent with its client certificate', async () => {
    const key = await makeP256Key();
    const spki = await readAgentRequest(await makeAgentRequest(key));
    const agent = await world.authority.issueAgent(spki, AgentId.parse(systemRandom.uuid()), Date.now());
    await isToldNothing({ key, certificate: agent.certificate + world.authority.certificate });
  });

  it('is recognised by the digest alone: one digit off is foreign', async () => {
    const off = world.authority.digest.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    await refusedWith('ERR_KEY_FOREIGN', world.makeKey({ authorityDigest: off }));
    assert.equal(world.listener.requests(), 0);
    assert.equal(world.usedKeys(), 0);
  });

  it('is a proxy that opens TLS with a certificate of its own', async () => {
    const sink = await startSink(await (await makeOther()).issueServer(names, Date.now()));
    const proxy = await startConnectProxy({ divertTo: sink.port });
    await refusedWith('ERR_KEY_FOREIGN', world.makeKey(), { proxy: parseProxy(proxy.url) });
    await sink.close();
    await proxy.close();
    assert.deepEqual(proxy.opened, [`127.0.0.1:${world.listener.port}`], 'the agent was lured');
    assert.equal(sink.handshakes(), 1);
    assert.equal(sink.bytes(), 0);
    assert.equal(world.usedKeys(), 0);
  });

  it('is told nothing either when it takes its place only after the first look', async () => {
    const sink = await startSink(await (await makeOther()).issueServer(names, Date.now()));
    const proxy = await startConnectProxy({ divertTo: sink.port, divertFrom: 1 });
    await refusedWith('ERR_KEY_FOREIGN', world.makeKey(), { proxy: parseProxy(proxy.url) });
    await sink.close();
    await proxy.close();
    assert.equal(proxy.opened.length, 2, 'the first look passed');
    assert.equal(sink.connections(), 1, 'the second was lured');
    assert.equal(sink.bytes(), 0);
    assert.equal(world.usedKeys(), 0);
  });
});

describe('a proxy', () => {
  it('carries the first look and the registration, with credentials', async () => {
    const proxy = await startConnectProxy({ credentials: 'agent:p%40ss-word' });
    const url = proxy.url.replace('p%40ss', 'p%2540ss');
    const identity = await register(world.makeKey(), here({ proxy: parseProxy(url) }));
    await proxy.close();
    assert.equal(identity.siteId, world.siteId);
    assert.deepEqual(proxy.opened, Array(2).fill(`127.0.0.1:${world.listener.port}`));
    assert.equal(proxy.refused(), 0);
  });

  it('that refuses the credentials is named, and neither they nor the secret of the key are', async () => {
    const proxy = await startConnectProxy({ credentials: 'agent:right' });
    const key = world.makeKey();
    const error = await refusedWith('ERR_PROXY_REFUSED', key, { proxy: parseProxy(proxy.url.replace('right', 'wrong-word')) });
    assertSilent(error, ['wrong-word', Buffer.from('agent:wrong-word').toString('base64'), parseRegistrationKey(key).secret]);
    assert.equal(proxy.refused(), 1);
    await proxy.close();
    await refusedWith('ERR_PROXY_REFUSED', world.makeKey(), { proxy: parseProxy(proxy.url) });
    assert.equal(world.usedKeys(), 0);
  });
});

/** Everything a logger could find in an error, its causes included. */
function assertSilent(error: Error, secrets: readonly string[]): void {
  const everything = inspect(error, { depth: Infinity, showHidden: true, maxStringLength: Infinity, maxArrayLength: Infinity });
  for (const secret of secrets) assert.ok(!everything.includes(secret), `the error tells ${secret}`);
}

describe('what fails on the way', () => {
  it('leaves nothing when nobody answers', async () => {
    const key = world.makeKey();
    await world.listener.close();
    const error = await refusedWith('ERR_CONTROL_PLANE_UNREACHABLE', key);
    assertSilent(error, [parseRegistrationKey(key).secret]);
    await world.listen(0);
  });

  it('leaves nothing when the line breaks after the request was sent, and the error does not tell what was in it', async () => {
    const pair = await world.authority.issueServer({ dnsNames: [], addresses: ['127.0.0.1'] }, Date.now());
    const breaking = await startListener(
      pair,
      express().use((request) => void request.socket.destroy()),
    );
    const key = world.makeKey({ address: `https://127.0.0.1:${breaking.port}` });
    const error = await refusedWith('ERR_CONTROL_PLANE_UNREACHABLE', key);
    await breaking.close();
    assert.equal(breaking.requests(), 1);
    assertSilent(error, [parseRegistrationKey(key).secret, 'BEGIN CERTIFICATE REQUEST']);
  });

  it('leaves nothing when the certificate that comes back is for another key', async () => {
    const pair = await world.authority.issueServer({ dnsNames: [], addresses: ['127.0.0.1'] }, Date.now());
    const swap = express().use(express.json(), async (request, response) => {
      response.json(await world.enrolment.register({ ...request.body, csr: await makeAgentRequest(await makeP256Key()) }));
    });
    const swapping = await startListener(pair, swap);
    await refusedWith('ERR_MESSAGE_INVALID', world.makeKey({ address: `https://127.0.0.1:${swapping.port}` }));
    await swapping.close();
    assert.equal(world.store.agents.size, 1, 'the answer was a real one');
  });

  it('leaves nothing when the identity cannot be written, and the key is then used', async () => {
    const key = world.makeKey();
    const inTheWay = join(dataDir, 'identity.json.new');
    await mkdir(join(inTheWay, 'not empty'), { recursive: true });
    await assert.rejects(register(key, here()), { code: 'ERR_STORE_FAILED' });
    assert.equal(world.usedKeys(), 1, 'the answer had come');
    assert.deepEqual(await readdir(dataDir), ['identity.json.new'], 'the keys that were written are gone again');
    await rm(inTheWay, { recursive: true });
    await refusedWith('ERR_KEY_USED', key);
  });

  it('leaves nothing when the agent is killed between the answer and the write: a new key is needed, and enough', async () => {
    const pair = await world.authority.issueServer({ dnsNames: [], addresses: ['127.0.0.1'] }, Date.now());
    const killing = express().use(express.json(), async (request, response) => {
      const answer = await world.enrolment.register(request.body);
      agent.kill('SIGKILL');
      response.json(answer);
    });
    const listener = await startListener(pair, killing);
    const key = world.makeKey({ address: `https://127.0.0.1:${listener.port}` });
    const agent = spawn(process.execPath, [registerProcess, dataDir], { stdio: ['pipe', 'inherit', 'inherit'] });
    agent.stdin.end(key);
    const [, signal] = await once(agent, 'exit');
    await listener.close();
    assert.equal(signal, 'SIGKILL');
    assert.equal(listener.requests(), 1);
    assert.equal(world.usedKeys(), 1);
    assert.deepEqual(await readdir(dataDir), []);
    await register(world.makeKey(), here());
    assert.equal(world.store.agents.size, 2, 'the one that died stays until a person revokes it');
  });

  it('leaves no half identity when the agent dies while it writes: the next registration starts clean', async () => {
    const died = systemRandom.uuid();
    await mkdir(join(dataDir, died));
    await writeFile(join(dataDir, died, 'key.pem'), 'half a key');
    assert.equal(await loadIdentity(dataDir), null);
    const { agentId } = await register(world.makeKey(), here());
    assert.deepEqual((await readdir(dataDir)).sort(), [agentId, 'identity.json'].sort());
  });
});

describe('an identity that is there', () => {
  it('stays when the agent is registered again by mistake, and the key stays unused', async () => {
    const first = await register(world.makeKey(), here());
    await assert.rejects(register(world.makeKey(), here()), { code: 'ERR_ALREADY_REGISTERED' });
    assert.deepEqual(await loadIdentity(dataDir), first);
    assert.equal(world.usedKeys(), 1);
  });

  it('is replaced as a whole when that is asked for', async () => {
    const first = await register(world.makeKey(), here());
    const second = await register(world.makeKey(), here({ replace: true }));
    assert.notEqual(second.agentId, first.agentId);
    assert.deepEqual(await loadIdentity(dataDir), second);
    assert.deepEqual((await readdir(dataDir)).sort(), [second.agentId, 'identity.json'].sort());
  });

  it('stays when the registration that shall replace it fails', async () => {
    const first = await register(world.makeKey(), here());
    await assert.rejects(register(world.makeKey({ stored: false }), here({ replace: true })), { code: 'ERR_KEY_UNKNOWN' });
    assert.deepEqual(await loadIdentity(dataDir), first);
  });

  it('is called damaged when a part is missing or belongs to another', async () => {
    const { agentId } = await register(world.makeKey(), here());
    const keyPath = join(dataDir, agentId, 'key.pem');
    const key = await readFile(keyPath, 'utf8');
    await writeFile(keyPath, await makeP256Key());
    await assert.rejects(loadIdentity(dataDir), { code: 'ERR_IDENTITY_DAMAGED', message: /does not fit/ });
    await rm(keyPath);
    await assert.rejects(loadIdentity(dataDir), { code: 'ERR_IDENTITY_DAMAGED', message: /key.pem is missing/ });
    await writeFile(keyPath, key);
    assert.equal((await loadIdentity(dataDir))?.agentId, agentId);
    await writeFile(join(dataDir, agentId, 'request.pem'), '');
    await assert.rejects(loadIdentity(dataDir), { code: 'ERR_IDENTITY_DAMAGED', message: /request does not fit/ });
  });
});
