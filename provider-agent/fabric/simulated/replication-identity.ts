/**
 * Who a host is and whom it believes: its own certificate under a pairing, the replication root of the vault, and the
 * check of a peer. A peer is the site that its certificate names only if the chain ends in our root and the authority
 * that issued it is that site's own: one site cannot make a certificate in the name of another.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { siteIdOfHost } from '../../../shared/certificate-names.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { SiteId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import { accessDenied } from './refusals.ts';

export interface ReplicationIdentity {
  readonly context: SecureContext;
  readonly root: X509Certificate;
}

/** The simulated hosts of a cloud send and receive as one, with the certificate of the first. */
export function openIdentity({ certificates, rootPem, pairingId }: HostsPreparation): ReplicationIdentity {
  const [first] = certificates;
  if (first === undefined) throw accessDenied('prepareHosts', `No certificate came for the hosts of the pairing ${pairingId}.`);
  try {
    for (const { pfx, passphrase } of certificates.slice(1)) createSecureContext({ pfx: Buffer.from(pfx), passphrase });
    const context = createSecureContext({ pfx: Buffer.from(first.pfx), passphrase: first.passphrase, ca: rootPem, minVersion: 'TLSv1.3' });
    return { context, root: new X509Certificate(rootPem) };
  } catch (cause) {
    const denied = accessDenied('prepareHosts', `A certificate for the hosts of the pairing ${pairingId} cannot be opened.`);
    throw new FarshoreError(denied.code, denied.message, { cause });
  }
}

/** The site that a peer's certificate proves, or null. The chain itself has been verified by TLS. */
export function provenSite(certificate: X509Certificate | undefined, root: X509Certificate): SiteId | null {
  if (certificate === undefined || rootOf(certificate)?.fingerprint256 !== root.fingerprint256) return null;
  return siteIdOfHost(certificate.subjectAltName, /^CN=([^\n]*)$/.exec(certificate.issuer)?.[1]);
}

function rootOf(certificate: X509Certificate): X509Certificate | null {
  let current = certificate;
  for (let length = 0; length < 6; length++) {
    const issuer = current.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === current.fingerprint256) return current;
    current = issuer;
  }
  return null;
}
