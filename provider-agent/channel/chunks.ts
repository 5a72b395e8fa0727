/** Cuts lists so that each message stays within the limits of the channel, in number and in bytes. */
import { limits } from '../../shared/protocol/limits.ts';

export function* chunks<T>(items: Iterable<T>, most: number = limits.vmsPerMessage): Generator<T[]> {
  let chunk: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (chunk.length > 0 && (chunk.length >= most || bytes + size > limits.listBytes)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(item);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
