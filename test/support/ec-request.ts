/** A certificate request of a given curve: what our own agent would never send. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

export async function ecRequest(namedCurve: 'P-256' | 'P-384' | 'P-521'): Promise<string> {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']);
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return (await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=other curve', keys, signingAlgorithm })).toString('pem');
}
