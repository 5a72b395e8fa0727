/** Frames on a byte stream: four bytes of length, then that much UTF-8. A frame past the limit ends the stream. */
import type { Duplex } from 'node:stream';
import { MAX_FRAME_BYTES } from './frames.ts';

const HEADER_BYTES = 4;

export function writeFrame(stream: Duplex, text: string): void {
  const body = Buffer.from(text, 'utf8');
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  stream.write(Buffer.concat([header, body]));
}

/** Calls back for each whole frame; a callback that throws, and a frame too long, destroy the stream. */
export function readFrames(stream: Duplex, onFrame: (text: string) => void): void {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    try {
      while (waitingBytes >= HEADER_BYTES) {
        if ((waiting[0]?.length ?? 0) < HEADER_BYTES) waiting = [Buffer.concat(waiting)];
        const length = waiting[0]?.readUInt32BE() ?? 0;
        if (length > MAX_FRAME_BYTES) throw new RangeError('a replication frame is too long');
        if (waitingBytes < HEADER_BYTES + length) return;
        const all = Buffer.concat(waiting);
        waiting = [all.subarray(HEADER_BYTES + length)];
        waitingBytes -= HEADER_BYTES + length;
        onFrame(all.toString('utf8', HEADER_BYTES, HEADER_BYTES + length));
      }
    } catch (thrown) {
      stream.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  });
}
