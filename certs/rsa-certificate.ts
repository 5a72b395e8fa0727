/**
 * RSA certificates for Hyper-V Replica. Windows hosts import them as PKCS#12, which the EC library cannot write, so
 * this chain (root, site authority, hosts) is made with node-forge. Keys come from OpenSSL: forge takes seconds for one.
 */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import type { Random } from '../shared/ports.ts';
import { makeSerial, validFor } from './validity.ts';

/** A new RSA key of 2048 bits, PKCS#8 PEM. */
export async function makeRsaKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export interface RsaOrder {
  readonly commonName: string;
  readonly publicKey: forge.pki.rsa.PublicKey;
  /** Null: the certificate signs itself. */
  readonly issuer: forge.pki.Certificate | null;
  readonly signingKey: forge.pki.rsa.PrivateKey;
  readonly days: number;
  readonly extensions: readonly object[];
}

/** Signs a certificate with SHA-256. It never outlives its issuer: a chain is as good as its first end. */
export function signRsaCertificate(order: RsaOrder, now: number, random: Random): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  const { notBefore, notAfter } = validFor(order.days, now);
  const last = order.issuer?.validity.notAfter;
  certificate.serialNumber = makeSerial(random);
  certificate.validity.notBefore = notBefore;
  certificate.validity.notAfter = last !== undefined && last < notAfter ? last : notAfter;
  certificate.publicKey = order.publicKey;
  certificate.setSubject([{ name: 'commonName', value: order.commonName }]);
  certificate.setIssuer(order.issuer?.subject.attributes ?? certificate.subject.attributes);
  const issuerKeyId = (order.issuer ?? certificate).generateSubjectKeyIdentifier().getBytes();
  certificate.setExtensions([
    ...order.extensions,
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuerKeyId },
  ]);
  certificate.sign(order.signingKey, forge.md.sha256.create());
  return certificate;
}
