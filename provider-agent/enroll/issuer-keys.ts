/** The issuer keys pinned at registration. A command counts only when one of them signed it. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Verifier } from '../../shared/protocol/envelope.ts';

export class IssuerKeys implements Verifier {
  readonly #keys = new Map<string, KeyObject>();

  /** Takes SPKI PEMs; another kind of key than Ed25519 is a TypeError. */
  constructor(pems: readonly string[]) {
    for (const pem of pems) {
      const key = createPublicKey(pem);
      if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('an issuer key is an Ed25519 key');
      const spki = key.export({ type: 'spki', format: 'der' });
      this.#keys.set(createHash('sha256').update(spki).digest('hex').slice(0, 16), key);
    }
  }

  verify(issuer: string, bytes: Uint8Array, signature: string): boolean {
    const key = this.#keys.get(issuer);
    return key !== undefined && verify(null, bytes, key, Buffer.from(signature, 'base64url'));
  }
}
