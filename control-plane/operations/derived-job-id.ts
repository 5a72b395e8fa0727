/** Ids of jobs that nobody asks for by hand: who starts the same one twice starts it once. */
import { createHash } from 'node:crypto';
import { JobId } from '../../shared/ids.ts';

/** A UUID of version 8, RFC 9562 section 5.8: its bits follow from the text. */
export function derivedJobId(text: string): JobId {
  const hex = createHash('sha256').update(text).digest('hex');
  return JobId.parse(`${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`);
}
