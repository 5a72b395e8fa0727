/**
 * What a site does with its own replication authority: ask for its certificate, and issue one certificate for each host.
 * A host needs both uses, server and client, because it sends replicas one day and receives them the next
 * (hyperv/facts.md, section 5); it travels as PKCS#12 with its whole chain, because Windows imports that.
 */
import { X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { replicationAuthorityName, siteUri } from '../shared/certificate-names.ts';
import type { SiteId } from '../shared/ids.ts';
import type { Random } from '../shared/ports.ts';
import { spkiOf } from './digest.ts';
import { makeRsaKey, signRsaCertificate } from './rsa-certificate.ts';

const HOST_DAYS = 365;
/** Names in a certificate: the numbers of RFC 5280, section 4.2.1.6. */
const DNS_NAME = 2;
const URI_NAME = 6;

/** The request (PEM) for a site's authority. It says nothing about the site but its public key. */
export function makeSiteRequest(keyPem: string): string {
  const key = forge.pki.privateKeyFromPem(keyPem);
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.setRsaPublicKey(key.n, key.e);
  request.setSubject([{ name: 'commonName', value: 'farshore site' }]);
  request.sign(key, forge.md.sha256.create());
  return forge.pki.certificationRequestToPem(request);
}

export interface SiteChain {
  readonly siteId: SiteId;
  readonly authorityPem: string;
  readonly authorityKeyPem: string;
  readonly rootPem: string;
}

/** Whether the authority is this site's, for this key, and the root signed it. */
export function isSiteAuthority(chain: SiteChain): boolean {
  try {
    const certificate = new X509Certificate(chain.authorityPem);
    const root = new X509Certificate(chain.rootPem);
    return (
      certificate.ca &&
      certificate.subject === `CN=${replicationAuthorityName(chain.siteId)}` &&
      certificate.checkIssued(root) &&
      certificate.verify(root.publicKey) &&
      spkiOf(chain.authorityPem) === spkiOf(chain.authorityKeyPem)
    );
  } catch {
    return false;
  }
}

/** A new key and certificate for a host with these DNS names, as PKCS#12 under the pass phrase. */
export async function issueHostPfx(
  chain: SiteChain,
  dnsNames: readonly [string, ...string[]],
  passphrase: string,
  now: number,
  random: Random,
): Promise<Uint8Array> {
  const key = forge.pki.privateKeyFromPem(await makeRsaKey());
  const authority = forge.pki.certificateFromPem(chain.authorityPem);
  const certificate = signRsaCertificate(
    {
      commonName: dnsNames[0].slice(0, 64),
      publicKey: forge.pki.setRsaPublicKey(key.n, key.e),
      issuer: authority,
      signingKey: forge.pki.privateKeyFromPem(chain.authorityKeyPem),
      days: HOST_DAYS,
      extensions: [
        { name: 'basicConstraints', critical: true, cA: false },
        { name: 'keyUsage', critical: true, digitalSignature: true, keyEncipherment: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [...dnsNames.map((value) => ({ type: DNS_NAME, value })), { type: URI_NAME, value: siteUri(chain.siteId) }],
        },
      ],
    },
    now,
    random,
  );
  // forge passes prfAlgorithm on to the encryption of the key, which its types do not say. The MAC can only be SHA-1.
  const options = { algorithm: 'aes256', prfAlgorithm: 'sha256', count: 10_000, friendlyName: dnsNames[0] } as const;
  const certificates = [certificate, authority, forge.pki.certificateFromPem(chain.rootPem)];
  const pfx = forge.pkcs12.toPkcs12Asn1(key, certificates, passphrase, options);
  return Buffer.from(forge.asn1.toDer(pfx).getBytes(), 'binary');
}
