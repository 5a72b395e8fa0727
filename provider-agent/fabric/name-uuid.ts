/** Ids from names (RFC 9562, version 5), so that a site file needs no ids and the same file gives the same ids everywhere. */
import { createHash } from 'node:crypto';

/** Our own namespace, a random UUID chosen once. */
const NAMESPACE = Buffer.from('5b0f7c5a4e0d4a5c9d0d6a3a1f6f2b7e', 'hex');

export function nameUuid(...names: readonly string[]): string {
  const digest = createHash('sha1').update(NAMESPACE).update(names.join('\u0000')).digest();
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = digest.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
