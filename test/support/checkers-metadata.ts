/**
 * metadata-only: every text that left a site parses under the egress schema and is nothing more than what the schema took,
 * and the canaries planted in host names, storage, subnets and fabric errors are in none of them, raw or encoded.
 */
import { AgentMessage } from '../../shared/protocol/egress.ts';
import type { TraceEvent } from './trace.ts';

/** In everything at a site that must stay there. */
export const CANARY = 'zCANARYz';

const encodings = (() => {
  const bytes = Buffer.from(CANARY);
  // Base64 of a text inside a text depends on where in a group of three it begins, so its inner part is sought at each place.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(shift === 0 ? 0 : shift + 1, -4),
  );
  const percent = [...bytes].map((byte) => `%${byte.toString(16)}`).join('');
  return [CANARY, ...base64, bytes.toString('hex'), percent, JSON.stringify(CANARY).slice(1, -1)];
})();

export function hasCanary(text: string): boolean {
  const lower = text.toLowerCase();
  return encodings.some((form) => text.includes(form) || lower.includes(form.toLowerCase()));
}

export function metadataOnly(trace: readonly TraceEvent[]): string[] {
  return trace.flatMap((event) => {
    if (event.type !== 'toCloud') return [];
    const found: string[] = [];
    if (hasCanary(event.text)) found.push(`a canary left site ${event.site}: ${event.text.slice(0, 200)}`);
    const parsed = AgentMessage.safeParse(JSON.parse(event.text));
    if (!parsed.success) found.push(`a text outside the egress schema left site ${event.site}: ${event.text.slice(0, 200)}`);
    else if (JSON.stringify(parsed.data) !== event.text) found.push(`a text left site ${event.site} that is more than its schema`);
    return found;
  });
}
