/** `farshore-agent egress`: what left the site, as it stands in the ledger. Reads the files only; any agent may run. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export interface EgressView {
  /** Files of the ledger, oldest first. */
  readonly files: readonly string[];
  /** `2026-11-23`, or null for all days. */
  readonly day: string | null;
  /** Only so many lines, the newest; null for all. */
  readonly last: number | null;
}

/** The lines asked for, oldest first. */
export async function* readEgress({ files, day, last }: EgressView): AsyncGenerator<string> {
  const chosen = files.filter((file) => day === null || file.includes(`egress-${day}`));
  const tail: string[] = [];
  for (const file of chosen) {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (last === null) {
        yield line;
        continue;
      }
      tail.push(line);
      if (tail.length > last) tail.shift();
    }
  }
  yield* tail;
}

export interface EgressTotal {
  readonly type: string;
  readonly messages: number;
  readonly bytes: number;
}

/** How much of each type of message. A line cut off by a crash counts as `torn`. */
export async function totalEgress(lines: AsyncIterable<string>): Promise<EgressTotal[]> {
  const totals = new Map<string, EgressTotal>();
  for await (const line of lines) {
    const type = typeOf(line);
    const before = totals.get(type) ?? { type, messages: 0, bytes: 0 };
    totals.set(type, { type, messages: before.messages + 1, bytes: before.bytes + Buffer.byteLength(line) });
  }
  return [...totals.values()].sort((a, b) => b.bytes - a.bytes);
}

function typeOf(line: string): string {
  try {
    return String((JSON.parse(line) as { message: { type: unknown } }).message.type);
  } catch {
    return 'torn';
  }
}
