/** Names for certificates and keys that do not depend on how they are written down. All in lower-case hex or base64. */
import { createPublicKey, X509Certificate } from 'node:crypto';

/** SHA-256 of the certificate's DER: what a registration key carries of the control plane's authority. */
export function certificateDigest(certificate: string | X509Certificate): string {
  const parsed = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate;
  return parsed.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** The public key as SPKI in DER, base64: equal exactly when the keys are equal. Takes a public or private key in PEM. */
export function spkiOf(pem: string): string {
  return createPublicKey(pem).export({ type: 'spki', format: 'der' }).toString('base64');
}

/** The end of a certificate in milliseconds since 1970. */
export function certificateEnd(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo);
}
