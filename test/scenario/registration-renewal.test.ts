/** Renewal over real TLS: before and long after the certificate's end, by proof of the enrolled key and by nothing else. */
import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { compactVerify, SignJWT, UnsecuredJWT } from 'jose';
import { makeAgentRequest, makeP256Key } from '../../certs/agent-request.ts';
import { certificateEnd } from '../../certs/digest.ts';
import { type Identity, loadIdentity } from '../../provider-agent/enroll/identity.ts';
import { parseProxy } from '../../provider-agent/enroll/proxy.ts';
import { register } from '../../provider-agent/enroll/register.ts';
import { proveRenewal, Renewal, renewCertificate } from '../../provider-agent/enroll/renewal.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import { AgentId } from '../../shared/ids.ts';
import type { RenewClaims } from '../../shared/protocol/registration.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { EnrolmentWorld } from '../support/enrolment-world.ts';
import { shakeHands } from '../support/handshake.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const root = await mkdtemp(join(tmpdir(), 'farshore-renewal-'));
after(() => rm(root, { recursive: true, force: true }));

let world: EnrolmentWorld;
let dataDir: string;
let identity: Identity;
beforeEach(async () => {
  world = await EnrolmentWorld.open();
  dataDir = await mkdtemp(join(root, 'agent-'));
  identity = await register(world.makeKey(), { dataDir, proxy: null, clock: systemClock, agentVersion: '0.1.0' });
});
afterEach(() => world.close());

const renew = (clock = world.clock) => renewCertificate(identity, { dataDir, proxy: null, clock, random: systemRandom });
const claimsNow = (changes: Partial<RenewClaims> = {}): RenewClaims => ({
  aud: 'farshore:renew',
  agentId: identity.agentId,
  csr: identity.requestPem,
  iat: Math.floor(world.clock.now() / 1000),
  jti: systemRandom.uuid(),
  ...changes,
});
const enrolled = () => world.store.agents.get(identity.agentId) ?? assert.fail('the agent is gone');

/** The refusal has its code, and neither side has stored a thing. */
async function isRefused(code: string, renewal: () => Promise<unknown>, message = /./): Promise<void> {
  const before = enrolled();
  await assert.rejects(renewal, { code, message });
  assert.deepEqual(enrolled(), before);
  assert.deepEqual(await loadIdentity(dataDir), identity);
}

/** Moves the clock of a loop to its next attempt and waits until that has ended. */
async function nextAttempt(clock: ManualClock, ended: () => boolean): Promise<void> {
  clock.advance(clock.nextIn() ?? assert.fail('nothing is planned'));
  await until('the attempt has ended', ended);
}

describe('a renewal', () => {
  it('brings a new certificate for the same key, which is stored', async () => {
    world.clock.advance(DAY);
    const renewed = await renew();
    assert.notEqual(renewed.certificatePem, identity.certificatePem);
    assert.equal(renewed.keyPem, identity.keyPem);
    assert.equal(certificateEnd(renewed.certificatePem), certificateEnd(identity.certificatePem) + DAY);
    assert.deepEqual(await loadIdentity(dataDir), renewed);
    assert.equal(enrolled().certificateSerial, new X509Certificate(renewed.certificatePem).serialNumber.toLowerCase());
    const pair = await world.authority.issueServer({ dnsNames: ['localhost'], addresses: [] }, Date.now());
    const server = { cert: pair.certificate, key: pair.key, ca: world.authority.certificate, requestCert: true };
    const client = { cert: renewed.certificatePem, key: renewed.keyPem, ca: renewed.authorityPem, servername: 'localhost' };
    // This certificate begins a day after the real now.
    assert.equal((await shakeHands(server, client)).serverError, 'CERT_NOT_YET_VALID');
    world.clock.advance(-DAY);
    const current = await renew();
    assert.equal((await shakeHands(server, { ...client, cert: current.certificatePem })).serverError, null);
  });

  it('counts as well a month after the end of the certificate', async () => {
    world.clock.advance(37 * DAY);
    assert.ok(certificateEnd(identity.certificatePem) < world.clock.now() - 29 * DAY, 'it ended long ago');
    const renewed = await renew();
    assert.ok(certificateEnd(renewed.certificatePem) > world.clock.now() + 6 * DAY);
  });

  it('goes through the proxy', async () => {
    const proxy = await startConnectProxy({ credentials: 'agent:word' });
    await renewCertificate(identity, { dataDir, proxy: parseProxy(proxy.url), clock: world.clock, random: systemRandom });
    await proxy.close();
    assert.deepEqual(proxy.opened, [`127.0.0.1:${world.listener.port}`]);
  });

  it('whose answer was lost is simply asked again', async () => {
    await world.enrolment.renew({ proof: await proveRenewal(claimsNow(), identity.keyPem) });
    const unseen = enrolled().certificateSerial;
    const renewed = await renew();
    assert.notEqual(enrolled().certificateSerial, unseen);
    assert.deepEqual(await loadIdentity(dataDir), renewed);
  });

  it('that cannot be written leaves the certificate that was there, and is asked again soon', async () => {
    const inTheWay = join(dataDir, identity.agentId, 'certificate.pem.new');
    await mkdir(join(inTheWay, 'not empty'), { recursive: true });
    await assert.rejects(renew(), { code: 'ERR_STORE_FAILED' });
    assert.deepEqual(await loadIdentity(dataDir), identity);
    await rm(inTheWay, { recursive: true });
    const renewed = await renew();
    assert.deepEqual(await loadIdentity(dataDir), renewed);
  });

  it('is refused to a revoked agent', async () => {
    world.revoke(identity.agentId);
    await isRefused('ERR_CERTIFICATE_REVOKED', () => renew());
  });

  it('is refused to an agent that was revoked while its certificate was being made', async () => {
    const { store } = world;
    const find = store.findAgent.bind(store);
    store.findAgent = async (agentId) => {
      const found = await find(agentId);
      world.revoke(agentId);
      return found;
    };
    await assert.rejects(renew(), { code: 'ERR_CERTIFICATE_REVOKED' });
    assert.equal(enrolled().certificateSerial, new X509Certificate(identity.certificatePem).serialNumber.toLowerCase());
  });

  it('is refused to an agent nobody knows', async () => {
    const proof = await proveRenewal(claimsNow({ agentId: AgentId.parse(systemRandom.uuid()) }), identity.keyPem);
    await isRefused('ERR_CERTIFICATE_UNKNOWN', () => world.enrolment.renew({ proof }));
  });

  it('is refused when another key signed it, even that of another agent', async () => {
    const other = await register(world.makeKey(), {
      dataDir: join(dataDir, 'other'),
      proxy: null,
      clock: systemClock,
      agentVersion: '0.1.0',
    });
    const proof = await proveRenewal(claimsNow(), other.keyPem);
    await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof }), /enrolled key/);
  });

  it('is refused without a signature and with one that anybody can make', async () => {
    const claims = claimsNow();
    const unsigned = new UnsecuredJWT({ ...claims }).encode();
    await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof: unsigned }), /enrolled key/);
    const publicKey = createPublicKey(identity.keyPem).export({ type: 'spki', format: 'pem' }).toString();
    const proof = await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(publicKey));
    await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof }), /enrolled key/);
  });

  it('is refused when what was signed was changed', async () => {
    const proof = await proveRenewal(claimsNow(), identity.keyPem);
    const [header, , signature] = proof.split('.');
    const changed = Buffer.from(JSON.stringify(claimsNow())).toString('base64url');
    await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof: `${header}.${changed}.${signature}` }), /enrolled key/);
  });

  it('counts once: the same proof again is refused, also when both come at once', async () => {
    const proof = await proveRenewal(claimsNow(), identity.keyPem);
    const both = await Promise.allSettled([world.enrolment.renew({ proof }), world.enrolment.renew({ proof })]);
    assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1);
    await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof }), /used before/);
  });

  it('is refused when it is dated more than five minutes off, either way', async () => {
    for (const minutes of [-4.9, 4.9]) await renew(new ManualClock(world.clock.now() + minutes * MINUTE));
    identity = (await loadIdentity(dataDir)) ?? assert.fail();
    for (const [minutes, message] of [
      [-6, /behind/],
      [6, /ahead/],
    ] as const) {
      const proof = await proveRenewal(claimsNow({ iat: Math.floor(world.clock.now() / 1000) + minutes * 60 }), identity.keyPem);
      await isRefused('ERR_PROOF_INVALID', () => world.enrolment.renew({ proof }), message);
    }
  });

  it('comes through although the clock of the site is hours off', async () => {
    const requests = world.listener.requests();
    for (const hours of [-7, 7]) await renew(new ManualClock(world.clock.now() + hours * 60 * MINUTE));
    assert.equal(world.listener.requests() - requests, 4, 'each was refused once, and dated anew');
  });

  it('is refused for another key: a new key is a new registration', async () => {
    const csr = await makeAgentRequest(await makeP256Key());
    const proof = await proveRenewal(claimsNow({ csr }), identity.keyPem);
    await isRefused('ERR_CSR_INVALID', () => world.enrolment.renew({ proof }), /enrolled key/);
  });

  it('is refused when it cannot be read', async () => {
    for (const proof of ['', 'a.b.c', 'x'.repeat(32_001)]) await isRefused('ERR_REQUEST_INVALID', () => world.enrolment.renew({ proof }));
  });

  it('is signed as ES256 over claims that name no site, host or VM', async () => {
    const proof = await proveRenewal(claimsNow(), identity.keyPem);
    const { payload, protectedHeader } = await compactVerify(proof, createPublicKey(identity.keyPem));
    assert.deepEqual(protectedHeader, { alg: 'ES256' });
    assert.deepEqual(Object.keys(JSON.parse(new TextDecoder().decode(payload))).sort(), ['agentId', 'aud', 'csr', 'iat', 'jti']);
  });
});

describe('the renewal loop', () => {
  let renewed: Identity[];
  let failures: { error: FarshoreError; retryInMs: number }[];
  let loop: Renewal;
  beforeEach(() => {
    renewed = [];
    failures = [];
    loop = new Renewal({
      identity,
      dataDir,
      proxy: null,
      clock: world.clock,
      random: systemRandom,
      onRenewed: (fresh) => renewed.push(fresh),
      onFailed: (error, retryInMs) => failures.push({ error, retryInMs }),
    });
  });
  afterEach(() => loop.stop());

  it('renews about once a day and tells the channel each time', async () => {
    loop.start();
    for (const day of [1, 2, 3]) {
      const wait = world.clock.nextIn() ?? 0;
      assert.ok(wait > 0.85 * DAY && wait < 1.1 * DAY, `${wait} ms`);
      await nextAttempt(world.clock, () => renewed.length === day);
    }
    assert.deepEqual(await loadIdentity(dataDir), renewed[2]);
    assert.equal(failures.length, 0);
  });

  it('renews at once when it starts with a certificate that has ended', async () => {
    world.clock.advance(40 * DAY);
    loop.start();
    assert.ok((world.clock.nextIn() ?? DAY) <= 2_000);
    await nextAttempt(world.clock, () => renewed.length === 1);
  });

  it('tries again, ever later up to an hour, until the control plane answers', async () => {
    const { port } = world.listener;
    await world.close();
    loop.start();
    for (let attempt = 1; attempt <= 10; attempt++) await nextAttempt(world.clock, () => failures.length === attempt);
    for (const { error } of failures) assert.equal(error.code, 'ERR_CONTROL_PLANE_UNREACHABLE');
    const waits = failures.map(({ retryInMs }) => retryInMs);
    assert.ok((waits[0] ?? 0) <= 15_000 && (waits[9] ?? 0) >= 30 * MINUTE && Math.max(...waits) <= 60 * MINUTE, waits.join(' '));
    await world.listen(port);
    await nextAttempt(world.clock, () => renewed.length === 1);
    assert.ok((world.clock.nextIn() ?? 0) > 0.85 * DAY);
  });

  it('says that the agent was revoked, and asks on at the longest interval', async () => {
    world.revoke(identity.agentId);
    loop.start();
    await nextAttempt(world.clock, () => failures.length === 1);
    assert.equal(failures[0]?.error.code, 'ERR_CERTIFICATE_REVOKED');
    assert.ok((failures[0]?.retryInMs ?? 0) >= 30 * MINUTE);
    assert.equal(renewed.length, 0);
  });

  it('plans nothing more once it is stopped', () => {
    loop.start();
    assert.notEqual(world.clock.nextIn(), null);
    loop.stop();
    assert.equal(world.clock.nextIn(), null);
  });
});
