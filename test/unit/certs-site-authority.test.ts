/** A site's own authority from the request to its hosts' files, and key pairs on disk. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { spkiOf } from '../../certs/digest.ts';
import { keepKeyPair, writeFileDurably } from '../../certs/key-files.ts';
import { makeReplicationRoot, signSiteAuthority } from '../../certs/replication-root.ts';
import { SiteAuthority } from '../../provider-agent/enroll/site-authority.ts';
import type { HostCertificate, ReplicationHost } from '../../provider-agent/fabric/fabric.ts';
import { agentIdIn, agentUri, replicationAuthorityName, siteIdOfHost, siteUri } from '../../shared/certificate-names.ts';
import { AgentId, SiteId } from '../../shared/ids.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { shakeHands } from '../support/handshake.ts';

const folder = await mkdtemp(join(tmpdir(), 'farshore-authority-'));
after(() => rm(folder, { recursive: true, force: true }));
const root = await makeReplicationRoot(Date.now(), systemRandom);

function makeSite(name: string) {
  const siteId = SiteId.parse(systemRandom.uuid());
  const parts = { dataDir: join(folder, name), siteId, clock: systemClock, random: systemRandom };
  const sign = (csr: string) => signSiteAuthority(root, csr, siteId, Date.now(), systemRandom);
  return { siteId, parts, sign, authority: new SiteAuthority(parts) };
}

describe("a site's authority", () => {
  it('gives each host a file of its own, and hosts of two sites prove themselves to each other', async () => {
    const hosts: readonly ReplicationHost[] = [
      { host: 'hv1', dnsNames: ['hv1.reading.example', 'broker.reading.example'] },
      { host: 'hv2', dnsNames: ['hv2.reading.example'] },
    ];
    const [reading, slough] = [makeSite('reading'), makeSite('slough')];
    const csr = await reading.authority.requestCsr();
    const issued: readonly HostCertificate[] = await reading.authority.issueHostCertificates(reading.sign(csr), root.certificate, hosts);
    const [peer] = await slough.authority.issueHostCertificates(slough.sign(await slough.authority.requestCsr()), root.certificate, [
      { host: 'hv7', dnsNames: [] },
    ]);
    assert.deepEqual(
      issued.map(({ host }) => host),
      ['hv1', 'hv2'],
    );
    assert.notEqual(issued[0]?.passphrase, issued[1]?.passphrase);
    const open = (certificate: HostCertificate | undefined) => ({
      pfx: Buffer.from(certificate?.pfx ?? []),
      passphrase: certificate?.passphrase ?? '',
      ca: root.certificate,
    });
    for (const certificate of issued) {
      const shaken = await shakeHands({ ...open(peer), requestCert: true }, { ...open(certificate), servername: 'hv7' });
      assert.equal(shaken.serverError, null);
      assert.equal(shaken.clientError, null);
      assert.equal(siteIdOfHost(shaken.serverSaw?.subjectaltname, String(shaken.serverSaw?.issuer.CN)), reading.siteId);
    }
  });

  it('has one key, however many pairings ask at once and however often the agent starts', async () => {
    const { parts, authority } = makeSite('once');
    const requests = await Promise.all([authority.requestCsr(), authority.requestCsr()]);
    const kept = await readFile(join(parts.dataDir, 'replication-authority.key.pem'), 'utf8');
    assert.equal(requests[0], requests[1]);
    assert.equal(await new SiteAuthority(parts).requestCsr(), requests[0], 'an RSA signature is the same for the same key');
    assert.ok(spkiOf(kept).length > 300);
    assert.deepEqual(await readdir(parts.dataDir), ['replication-authority.key.pem']);
  });

  it('issues nothing under the authority of another site or another root', async () => {
    const [reading, slough] = [makeSite('one'), makeSite('two')];
    const csr = await reading.authority.requestCsr();
    const issue = (authorityPem: string, rootPem: string) =>
      reading.authority.issueHostCertificates(authorityPem, rootPem, [{ host: 'hv1', dnsNames: [] }]);
    const otherRoot = await makeReplicationRoot(Date.now(), systemRandom);
    await assert.rejects(issue(slough.sign(csr), root.certificate), { code: 'ERR_MESSAGE_INVALID' });
    await assert.rejects(issue(reading.sign(await slough.authority.requestCsr()), root.certificate), { code: 'ERR_MESSAGE_INVALID' });
    await assert.rejects(issue(reading.sign(csr), otherRoot.certificate), { code: 'ERR_MESSAGE_INVALID' });
    await assert.rejects(issue('-----BEGIN NOTHING-----', root.certificate), { code: 'ERR_MESSAGE_INVALID' });
  });
});

describe('names in certificates', () => {
  const agentId = AgentId.parse(systemRandom.uuid());
  const siteId = SiteId.parse(systemRandom.uuid());

  it('name an agent once, plainly, or not at all', () => {
    assert.equal(agentIdIn(`URI:${agentUri(agentId)}`), agentId);
    assert.equal(agentIdIn(`DNS:localhost, URI:${agentUri(agentId)}`), agentId);
    assert.equal(agentIdIn(undefined), null);
    assert.equal(agentIdIn('DNS:localhost'), null);
    assert.equal(agentIdIn(`URI:${agentUri(agentId)}, URI:${agentUri(agentId)}`), null);
    assert.equal(agentIdIn('URI:urn:farshore:agent:root'), null);
    assert.equal(agentIdIn(`DNS:"a, URI:${agentUri(agentId)}, b"`), null, 'a name that imitates a list');
  });

  it('name a site only under the authority of that site', () => {
    assert.equal(siteIdOfHost(`URI:${siteUri(siteId)}`, replicationAuthorityName(siteId)), siteId);
    assert.equal(siteIdOfHost(`URI:${siteUri(siteId)}`, replicationAuthorityName(SiteId.parse(systemRandom.uuid()))), null);
    assert.equal(siteIdOfHost(`URI:${siteUri(siteId)}`, undefined), null);
  });
});

describe('a key pair on disk', () => {
  it('is made once and then kept, for its owner only', async () => {
    const place = join(folder, 'pairs');
    let made = 0;
    const make = async () => ({ certificate: `certificate ${++made}`, key: `key ${made}` });
    const first = await keepKeyPair(place, 'authority', make);
    assert.deepEqual(await keepKeyPair(place, 'authority', make), first);
    assert.equal(made, 1);
    if (process.platform !== 'win32') assert.equal((await stat(join(place, 'authority.key.pem'))).mode & 0o777, 0o600);
  });

  it('is made again when only its key had been written', async () => {
    const place = join(folder, 'half');
    await keepKeyPair(place, 'authority', async () => ({ certificate: 'old', key: 'old' }));
    await rm(join(place, 'authority.pem'));
    assert.deepEqual(await keepKeyPair(place, 'authority', async () => ({ certificate: 'new', key: 'new' })), {
      certificate: 'new',
      key: 'new',
    });
  });

  it('is the old text or the new one, whatever an earlier try has left behind', async () => {
    const path = join(folder, 'text');
    await writeFileDurably(path, 'old');
    await writeFile(`${path}.new`, 'half of');
    await writeFileDurably(path, 'new');
    assert.equal(await readFile(path, 'utf8'), 'new');
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('text')),
      ['text'],
    );
  });
});
