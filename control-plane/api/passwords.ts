/**
 * Passwords as scrypt digests (RFC 7914) with a salt for each user. The parameters stand in the text, so they can be raised
 * later without a word to anyone. Checking takes the same time whether or not there is such a user.
 */
import { type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../../shared/ports.ts';

const derive = promisify<string, Uint8Array, number, ScryptOptions, Buffer>(scrypt);

/** 32 MiB and a quarter of a second: what OWASP names for scrypt where many may sign in at once. */
const COST = { log2N: 15, r: 8, p: 3 } as const;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** What a sign-in under an unknown name is checked against; no password has this digest. */
const NOBODY = format(COST, new Uint8Array(SALT_BYTES), new Uint8Array(KEY_BYTES));

interface Cost {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = random.bytes(SALT_BYTES);
  return format(COST, salt, await digest(password, salt, COST));
}

/** `stored` null: there is no such user. */
export async function isPassword(password: string, stored: string | null): Promise<boolean> {
  const [, log2N, r, p, salt = '', key = ''] = (stored ?? NOBODY).split('$');
  const expected = Buffer.from(key, 'base64url');
  const cost = { log2N: Number(log2N), r: Number(r), p: Number(p) };
  const actual = await digest(password, Buffer.from(salt, 'base64url'), cost);
  return stored !== null && actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** People type the same letters in different ways: NFKC makes them the same bytes. */
function digest(password: string, salt: Uint8Array, { log2N, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** log2N;
  return derive(password.normalize('NFKC'), salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r });
}

function format({ log2N, r, p }: Cost, salt: Uint8Array, key: Uint8Array): string {
  const [saltText, keyText] = [salt, key].map((bytes) => Buffer.from(bytes).toString('base64url'));
  return `scrypt$${log2N}$${r}$${p}$${saltText}$${keyText}`;
}
