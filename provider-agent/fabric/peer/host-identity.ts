/**
 * Who a host is and whom it believes: its own certificate under a pairing, the replication root of the vault, and the
 * check of a peer. One site cannot make a certificate in the name of another.
 */
import type { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { siteIdOfHost } from '../../../shared/certificate-names.ts';
import type { SiteId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';

/** The simulated hosts of a cloud send and receive as one, with the certificate of the first. */
export function openIdentity({ certificates, rootPem, pairingId }: HostsPreparation): SecureContext {
  const [first] = certificates;
  if (first === undefined) throw refused(`No certificate came for the hosts of the pairing ${pairingId}.`);
  try {
    for (const { pfx, passphrase } of certificates.slice(1)) createSecureContext({ pfx: Buffer.from(pfx), passphrase });
    return createSecureContext({ pfx: Buffer.from(first.pfx), passphrase: first.passphrase, ca: rootPem, minVersion: 'TLSv1.3' });
  } catch (cause) {
    throw refused(`A certificate for the hosts of the pairing ${pairingId} cannot be opened.`, cause);
  }
}

/**
 * The site that a peer's certificate proves, or null. TLS has verified the chain: only a site's own authority, signed by
 * the root under that site's name, can have issued it.
 */
export function provenSite(certificate: X509Certificate | undefined): SiteId | null {
  if (certificate === undefined) return null;
  return siteIdOfHost(certificate.subjectAltName, /^CN=([^\n]*)$/.exec(certificate.issuer)?.[1]);
}

function refused(message: string, cause?: unknown): FabricError {
  return new FabricError('ERR_NOT_PREPARED', 'AccessDenied', 'SetReplicationServerCommand', message, { cause });
}
