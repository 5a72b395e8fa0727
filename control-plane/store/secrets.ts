/** Secrets that are shown once and kept as a hash: of sessions, tokens, the set-up link and registration keys. */
import { createHash } from 'node:crypto';
import type { Random } from '../../shared/ports.ts';

/** 256 random bits in base64url. */
export function newSecret(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('base64url');
}

/** SHA-256, hex. A plain hash is enough for what cannot be guessed. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
