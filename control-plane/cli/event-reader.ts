/** Server-Sent Events from a stream of bytes, one by one. Fails when the stream stays silent past three heartbeats. */
import type { Readable } from 'node:stream';
import { type EventName, eventData } from '../../shared/api/events.ts';
import type { Clock } from '../../shared/ports.ts';

export interface ServerEvent {
  readonly name: EventName;
  readonly id: number | null;
  readonly data: unknown;
}

const SILENT_MS = 45_000;

/** Null where nothing has happened for a while and the server only says that it is there. */
export async function* readEvents(stream: Readable, clock: Clock): AsyncGenerator<ServerEvent | null> {
  let silence = () => {};
  const listen = () => {
    silence();
    silence = clock.after(SILENT_MS, () => stream.destroy(new Error('the event stream is silent')));
  };
  listen();
  let rest = '';
  try {
    for await (const part of stream.setEncoding('utf8')) {
      listen();
      const blocks = (rest + String(part)).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parse(block);
        if (event !== null || block.startsWith(':')) yield event;
      }
    }
  } finally {
    silence();
    stream.destroy();
  }
}

/** Null for a comment, or an event that a newer server has. */
function parse(block: string): ServerEvent | null {
  const fields = new Map(
    block.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()] as const;
    }),
  );
  const name = fields.get('event');
  if (name === undefined || !isEventName(name)) return null;
  const id = fields.get('id');
  return { name, id: id === undefined ? null : Number(id), data: JSON.parse(fields.get('data') ?? 'null') };
}

function isEventName(name: string): name is EventName {
  return Object.hasOwn(eventData, name);
}
