/** The chain of Hyper-V Replica (root, site authority, host): real handshakes between hosts of two sites, from the very files. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { isSiteAuthority, issueHostPfx, makeSiteRequest } from '../../certs/host-certificate.ts';
import { makeReplicationRoot, signSiteAuthority } from '../../certs/replication-root.ts';
import { makeRsaKey } from '../../certs/rsa-certificate.ts';
import { siteIdOfHost } from '../../shared/certificate-names.ts';
import { SiteId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { ecRequest } from '../support/ec-request.ts';
import { shakeHands } from '../support/handshake.ts';

const now = Date.now();
const root = await makeReplicationRoot(now, systemRandom);

async function makeSite() {
  const siteId = SiteId.parse(systemRandom.uuid());
  const authorityKeyPem = await makeRsaKey();
  const authorityPem = signSiteAuthority(root, makeSiteRequest(authorityKeyPem), siteId, now, systemRandom);
  return { siteId, authorityPem, authorityKeyPem, rootPem: root.certificate };
}

const reading = await makeSite();
const slough = await makeSite();
const issue = async (site: typeof reading, name: string) => ({
  pfx: Buffer.from(await issueHostPfx(site, [name, `broker.${name}`], 'a pass phrase', now, systemRandom)),
  passphrase: 'a pass phrase',
  ca: root.certificate,
});
const sender = await issue(reading, 'hv1.reading.example');
const receiver = await issue(slough, 'hv7.slough.example');

describe('host certificates', () => {
  it('prove both hosts to each other, by both of their names', async () => {
    for (const servername of ['hv7.slough.example', 'broker.hv7.slough.example']) {
      const shaken = await shakeHands({ ...receiver, requestCert: true }, { ...sender, servername });
      assert.equal(shaken.serverError, null);
      assert.equal(shaken.clientError, null);
      assert.equal(siteIdOfHost(shaken.serverSaw?.subjectaltname, String(shaken.serverSaw?.issuer.CN)), reading.siteId);
      assert.equal(siteIdOfHost(shaken.clientSaw?.subjectaltname, String(shaken.clientSaw?.issuer.CN)), slough.siteId);
    }
  });

  it('work the other way round, for the day of the reverse replication', async () => {
    const shaken = await shakeHands({ ...sender, requestCert: true }, { ...receiver, servername: 'hv1.reading.example' });
    assert.equal(shaken.serverError, null);
    assert.equal(shaken.clientError, null);
  });

  it('are refused under another name', async () => {
    const shaken = await shakeHands({ ...receiver, requestCert: true }, { ...sender, servername: 'hv8.slough.example' });
    assert.equal((shaken.clientError as NodeJS.ErrnoException | null)?.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('are refused under the root of another vault', async () => {
    const otherRoot = await makeReplicationRoot(now, systemRandom);
    const authorityKeyPem = await makeRsaKey();
    const authorityPem = signSiteAuthority(otherRoot, makeSiteRequest(authorityKeyPem), reading.siteId, now, systemRandom);
    const foreign = await issue({ ...reading, authorityKeyPem, authorityPem, rootPem: otherRoot.certificate }, 'hv1.reading.example');
    const shaken = await shakeHands(
      { ...receiver, requestCert: true },
      { ...foreign, servername: 'hv7.slough.example', ca: [root.certificate, otherRoot.certificate] },
    );
    assert.equal(shaken.serverError, 'SELF_SIGNED_CERT_IN_CHAIN');
    assert.equal(shaken.serverSaw, null);
  });

  it('do not open with another pass phrase', async () => {
    await assert.rejects(shakeHands({ ...receiver, passphrase: 'another' }, {}), /mac verify failure/);
  });

  it('cannot speak for another site: the name of the authority that the root signed decides', async () => {
    const lying = await issue({ ...reading, siteId: slough.siteId }, 'hv1.reading.example');
    const shaken = await shakeHands({ ...receiver, requestCert: true }, { ...lying, servername: 'hv7.slough.example' });
    assert.equal(shaken.serverError, null, 'the chain itself is good');
    assert.match(shaken.serverSaw?.subjectaltname ?? '', new RegExp(slough.siteId));
    assert.equal(siteIdOfHost(shaken.serverSaw?.subjectaltname, String(shaken.serverSaw?.issuer.CN)), null);
  });

  it('carry both uses, as Hyper-V Replica asks', async () => {
    const shaken = await shakeHands(receiver, { ...sender, servername: 'hv7.slough.example' });
    assert.deepEqual(shaken.clientSaw?.ext_key_usage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });
});

describe("a site's replication authority", () => {
  it('is named by the site alone and may not make further authorities', () => {
    const certificate = new X509Certificate(reading.authorityPem);
    assert.equal(certificate.subject, `CN=farshore replication ${reading.siteId}`);
    assert.equal(certificate.subjectAltName, undefined);
    assert.ok(certificate.ca && certificate.verify(createPublicKey(root.certificate)));
    const days = (Date.parse(certificate.validTo) - now) / 86_400_000;
    assert.ok(days > 364 && days <= 365);
  });

  it('cannot make a site authority that others accept', async () => {
    const authorityKeyPem = await makeRsaKey();
    const rogueRoot = { certificate: reading.authorityPem, key: reading.authorityKeyPem };
    const authorityPem = signSiteAuthority(rogueRoot, makeSiteRequest(authorityKeyPem), slough.siteId, now, systemRandom);
    const rogue = await issue(
      { siteId: slough.siteId, authorityKeyPem, authorityPem, rootPem: reading.authorityPem },
      'hv1.reading.example',
    );
    const shaken = await shakeHands({ ...receiver, requestCert: true }, { ...rogue, servername: 'hv7.slough.example' });
    assert.equal(shaken.serverError, 'PATH_LENGTH_EXCEEDED');
  });

  it('is told from one for another key, another site or under another root', async () => {
    const otherRoot = await makeReplicationRoot(now, systemRandom);
    assert.equal(isSiteAuthority(reading), true);
    assert.equal(isSiteAuthority({ ...reading, authorityKeyPem: slough.authorityKeyPem }), false);
    assert.equal(isSiteAuthority({ ...reading, siteId: slough.siteId }), false);
    assert.equal(isSiteAuthority({ ...reading, rootPem: otherRoot.certificate }), false);
  });

  it('is not given for a short key, another kind of key, or a request that is none', async () => {
    const sign = (csr: string) => () => signSiteAuthority(root, csr, reading.siteId, now, systemRandom);
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    assert.throws(sign(makeSiteRequest(weak)), { code: 'ERR_CSR_INVALID', message: /2048/ });
    assert.throws(sign(await ecRequest('P-256')), { code: 'ERR_CSR_INVALID' });
    assert.throws(sign('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----'), { code: 'ERR_CSR_INVALID' });
  });
});
