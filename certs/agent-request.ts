/**
 * The agent's key and its certificate request (PKCS#10), and the strict reading of one. Only P-256 keys, and only
 * requests that their own key signed; of what a request asks for nothing but the public key is taken.
 */
import 'reflect-metadata';
import { generateKeyPair, type webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import { FarshoreError } from '../shared/errors.ts';

export const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A new P-256 key, PKCS#8 PEM. */
export async function makeP256Key(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Private and public half of a PEM key for WebCrypto, which signs certificates. */
export async function importP256Key(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const der = x509.PemConverter.decodeFirst(pem);
  const privateKey = await crypto.subtle.importKey('pkcs8', der, P256, true, ['sign']);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', privateKey);
  const point = { kty, crv, x, y } as webcrypto.JsonWebKey;
  return { privateKey, publicKey: await crypto.subtle.importKey('jwk', point, P256, true, ['verify']) };
}

/** With a line end, so that PEMs can be put one after the other. */
export const pemOf = (object: x509.X509Certificate | x509.Pkcs10CertificateRequest): string => `${object.toString('pem')}\n`;

export async function makeAgentRequest(keyPem: string): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: ['farshore agent'] }],
    keys: await importP256Key(keyPem),
    signingAlgorithm: ECDSA_SHA256,
  });
  return pemOf(request);
}

/** The public key of a request, SPKI in DER. Throws ERR_CSR_INVALID. */
export async function readAgentRequest(pem: string): Promise<Uint8Array<ArrayBuffer>> {
  let verified: boolean;
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(x509.PemConverter.decodeFirst(pem));
    verified = await request.verify();
  } catch (cause) {
    throw new FarshoreError('ERR_CSR_INVALID', 'the certificate request cannot be read', { cause });
  }
  const { name, namedCurve } = request.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (name !== P256.name || namedCurve !== P256.namedCurve) {
    throw new FarshoreError('ERR_CSR_INVALID', 'the certificate request is for another kind of key than P-256');
  }
  if (!verified) throw new FarshoreError('ERR_CSR_INVALID', 'the certificate request is not signed by its own key');
  return new Uint8Array(request.publicKey.rawData);
}
