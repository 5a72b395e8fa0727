/** Cuts the output of a process into lines. A line that does not end is kept up to a limit and no further. */
import type { Readable } from 'node:stream';

export interface LineReaderPorts {
  readonly onLine: (line: string) => void;
  /** Called once; nothing is read after it. */
  readonly onTooLong: () => void;
  readonly longestBytes: number;
}

export function readLines(stream: Readable, { onLine, onTooLong, longestBytes }: LineReaderPorts): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  const keep = (part: Buffer) => {
    parts.push(part);
    bytes += part.length;
  };
  const read = (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0 && bytes + end - from <= longestBytes; end = chunk.indexOf(10, from)) {
      keep(chunk.subarray(from, end));
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      bytes = 0;
      from = end + 1;
      onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
    keep(chunk.subarray(from));
    if (bytes <= longestBytes) return;
    stream.off('data', read).resume();
    parts = [];
    onTooLong();
  };
  stream.on('data', read);
}
