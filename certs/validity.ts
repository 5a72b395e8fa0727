/** What every certificate of ours has in common: a random serial number, and a start a little in the past. */
import type { Random } from '../shared/ports.ts';

/** Certificate and private key, both PEM; the key is PKCS#8. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const DAY = 86_400_000;
/** A peer whose clock is a few minutes behind must not find a fresh certificate "not yet valid". */
const BACKDATED = 5 * 60_000;

export function validFor(days: number, now: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now - BACKDATED), notAfter: new Date(now + days * DAY) };
}

/** 127 random bits in lower-case hex, positive and without a leading zero byte, so that every reader prints it alike. */
export function makeSerial(random: Random): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
