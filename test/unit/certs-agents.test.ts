/** The agents' authority against Node's own TLS and X.509 reader: what it issues works there, and only there where it should. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { makeAgentRequest, makeP256Key, readAgentRequest } from '../../certs/agent-request.ts';
import { Authority, makeAuthority } from '../../certs/authority.ts';
import { certificateDigest, spkiOf } from '../../certs/digest.ts';
import { makeSiteRequest } from '../../certs/host-certificate.ts';
import { makeRsaKey } from '../../certs/rsa-certificate.ts';
import { agentIdIn } from '../../shared/certificate-names.ts';
import { AgentId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { ecRequest } from '../support/ec-request.ts';
import { type Handshake, shakeHands } from '../support/handshake.ts';

const now = Date.now();
const agentId = AgentId.parse(systemRandom.uuid());
const pair = await makeAuthority(now, systemRandom);
const authority = await Authority.open(pair, systemRandom);
const listener = await authority.issueServer({ dnsNames: ['localhost'], addresses: ['127.0.0.1'] }, now);
const agentKey = await makeP256Key();
const agent = await authority.issueAgent(await readAgentRequest(await makeAgentRequest(agentKey)), agentId, now);

const server = { key: listener.key, cert: listener.certificate, ca: pair.certificate, requestCert: true } as const;
const client = { key: agentKey, cert: agent.certificate, ca: pair.certificate, minVersion: 'TLSv1.3' } as const;

/** Under TLS 1.3 a refused client learns of it after its own handshake; the server's word counts. */
function assertRefused(shaken: Handshake, reason: string): void {
  assert.equal(shaken.serverError, reason);
  assert.equal(shaken.serverSaw, null);
}

describe("the agents' authority", () => {
  it('lets agent and listener prove themselves to each other over TLS 1.3', async () => {
    const shaken = await shakeHands(server, client);
    assert.equal(shaken.serverError, null);
    assert.equal(shaken.clientError, null);
    assert.equal(shaken.protocol, 'TLSv1.3');
    assert.equal(agentIdIn(shaken.serverSaw?.subjectaltname), agentId);
  });

  it('gives an agent seven days, backdated by minutes, for clients only', () => {
    const certificate = new X509Certificate(agent.certificate);
    assert.equal(Date.parse(certificate.validTo), Math.floor(now / 1000) * 1000 + 7 * 86_400_000);
    assert.equal(agent.notAfter, Date.parse(certificate.validTo));
    const backdated = now - Date.parse(certificate.validFrom);
    assert.ok(backdated >= 60_000 && backdated <= 10 * 60_000, `${backdated} ms`);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    assert.equal(certificate.serialNumber.toLowerCase(), agent.serial);
    assert.equal(certificate.ca, false);
  });

  it('gives itself ten years and no room for an authority below it', () => {
    const certificate = new X509Certificate(pair.certificate);
    const years = (Date.parse(certificate.validTo) - now) / (365.25 * 86_400_000);
    assert.ok(certificate.ca && years > 9.9 && years < 10.1);
    assert.equal(authority.digest, certificateDigest(pair.certificate));
    assert.match(authority.digest, /^[0-9a-f]{64}$/);
  });

  it('does not let an agent pass for a listener', async () => {
    const shaken = await shakeHands(
      { ...server, key: agentKey, cert: agent.certificate },
      { ...client, checkServerIdentity: () => undefined },
    );
    assert.match(shaken.clientError?.message ?? '', /unsuitable certificate purpose|unsupported certificate purpose/);
  });

  it('does not let a listener pass for an agent', async () => {
    const shaken = await shakeHands(server, { ...client, key: listener.key, cert: listener.certificate });
    assertRefused(shaken, 'INVALID_PURPOSE');
  });

  it('does not accept the agents of another control plane', async () => {
    const other = await Authority.open(await makeAuthority(now, systemRandom), systemRandom);
    const stranger = await other.issueAgent(await readAgentRequest(await makeAgentRequest(agentKey)), agentId, now);
    const shaken = await shakeHands(server, { ...client, cert: stranger.certificate });
    assertRefused(shaken, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  it('refuses a revoked agent, and no other, once the list is set', async () => {
    const otherAgent = await authority.issueAgent(await readAgentRequest(await makeAgentRequest(agentKey)), agentId, now);
    const crl = await authority.revocationList([{ serial: agent.serial, revokedAt: now }], now);
    assert.ok(crl.startsWith('-----BEGIN X509 CRL-----'));
    const revoked = await shakeHands({ ...server, crl }, client);
    assertRefused(revoked, 'CERT_REVOKED');
    const spared = await shakeHands({ ...server, crl }, { ...client, cert: otherAgent.certificate });
    assert.equal(spared.serverError, null);
    assert.equal(agentIdIn(spared.serverSaw?.subjectaltname), agentId);
  });

  it('accepts everyone under an empty list', async () => {
    const shaken = await shakeHands({ ...server, crl: await authority.revocationList([], now) }, client);
    assert.equal(shaken.serverError, null);
  });
});

describe('a certificate request', () => {
  it('yields the public key that made it', async () => {
    const spki = await readAgentRequest(await makeAgentRequest(agentKey));
    assert.equal(Buffer.from(spki).toString('base64'), spkiOf(agentKey));
  });

  const invalid = (message: RegExp) => ({ name: 'FarshoreError', code: 'ERR_CSR_INVALID', message });

  it('is refused for an RSA key, even a weak one', async () => {
    await assert.rejects(readAgentRequest(makeSiteRequest(await makeRsaKey())), invalid(/P-256/));
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await assert.rejects(readAgentRequest(makeSiteRequest(weak)), invalid(/P-256/));
  });

  it('is refused for another curve', async () => {
    await assert.rejects(readAgentRequest(await ecRequest('P-384')), invalid(/P-256/));
  });

  it('is refused when its own key did not sign it', async () => {
    const der = Buffer.from((await makeAgentRequest(agentKey)).replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    // The point of the public key stays on its curve; only the last byte of the signature changes.
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    await assert.rejects(readAgentRequest(forged), invalid(/not signed by its own key/));
  });

  it('is refused when it is no request at all', async () => {
    await assert.rejects(
      readAgentRequest('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----'),
      invalid(/cannot be read/),
    );
    await assert.rejects(readAgentRequest(pair.certificate), invalid(/cannot be read/));
  });
});
