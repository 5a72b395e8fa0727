/**
 * The certificates of a host as QEMU wants them: files of fixed names in a folder that nobody else may read. They come as PKCS#12, as for
 * Windows. Parameters for the key exchange are laid beside them, since QEMU 7.2 makes new ones at each start else, which takes seconds.
 */

import { X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import forge from 'node-forge';
import { writeFileDurably } from '../../../certs/key-files.ts';
import type { HostCertificate } from '../fabric.ts';
import { failed } from './qemu-error.ts';

/** The finite field ffdhe2048 of RFC 7919, appendix A.1, with generator 2. */
const KEY_EXCHANGE = `-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
`;

/** Throws ERR_FABRIC_FAILED when the certificate cannot be opened. */
export async function writeCredentials(folder: string, { host, pfx, passphrase }: HostCertificate, rootPem: string): Promise<void> {
  const { key, chain } = openPfx(host, pfx, passphrase);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // QEMU holds its own certificate against this file alone, without the chain that it sends: the authority of this site is in it too.
  await writeFileDurably(join(folder, 'ca-cert.pem'), `${rootPem.trimEnd()}\n${chain.slice(1).join('')}`);
  await writeFileDurably(join(folder, 'dh-params.pem'), KEY_EXCHANGE);
  for (const end of ['server', 'client']) {
    await writeFileDurably(join(folder, `${end}-key.pem`), key);
    await writeFileDurably(join(folder, `${end}-cert.pem`), chain.join(''));
  }
}

/** The subject of the certificate, as TLS of QEMU compares it. */
export function subjectOf(chainPem: string): string {
  return new X509Certificate(chainPem).subject.split('\n').toReversed().join(',');
}

function openPfx(host: string, pfx: Uint8Array, passphrase: string): { key: string; chain: string[] } {
  try {
    const bags = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(forge.util.createBuffer(Buffer.from(pfx))), passphrase);
    const { pkcs8ShroudedKeyBag = '', certBag = '' } = forge.pki.oids;
    const key = bags.getBags({ bagType: pkcs8ShroudedKeyBag })[pkcs8ShroudedKeyBag]?.[0]?.key;
    const certificates = (bags.getBags({ bagType: certBag })[certBag] ?? []).flatMap(({ cert }) => cert ?? []);
    if (!key || certificates.length === 0) throw new Error('it holds no key with a certificate');
    return { key: forge.pki.privateKeyToPem(key), chain: certificates.map((cert) => forge.pki.certificateToPem(cert)) };
  } catch (cause) {
    throw failed('AccessDenied', `the certificate of ${host} cannot be opened`, cause);
  }
}
