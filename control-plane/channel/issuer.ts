/**
 * The issuer key of a vault: it signs every command that leaves for an agent. Agents pin its public half at
 * registration, so whoever takes over the channel still cannot order anything. Ed25519 (RFC 8032).
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Signer } from '../../shared/protocol/envelope.ts';

/** A new issuer key, PKCS#8 PEM. */
export function makeIssuerKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export class IssuerKey implements Signer {
  readonly issuer: string;
  /** SPKI PEM: what agents pin. */
  readonly publicPem: string;
  readonly #key: KeyObject;

  constructor(privatePem: string) {
    this.#key = createPrivateKey(privatePem);
    if (this.#key.asymmetricKeyType !== 'ed25519') throw new TypeError('an issuer key is an Ed25519 key');
    const publicKey = createPublicKey(this.#key);
    this.publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    this.issuer = createHash('sha256').update(spki).digest('hex').slice(0, 16);
  }

  sign(bytes: Uint8Array): string {
    return sign(null, bytes, this.#key).toString('base64url');
  }
}
