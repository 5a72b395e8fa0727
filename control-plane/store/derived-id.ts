/** Ids that follow from a text: whoever makes the same one twice makes it once. */
import { createHash } from 'node:crypto';

/** A UUID of version 8, RFC 9562 section 5.8. */
export function derivedId(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
