/**
 * What either end of the agent channel accepts at most. Each treats the other as hostile: a message over a limit
 * ends the connection with ERR_MESSAGE_INVALID and is counted.
 */
export const limits = {
  /** Bytes of one WebSocket message; larger lists are sent in several. */
  messageBytes: 256 * 1024,
  /** Bytes of the lists in one message; the rest is left for what stands round them. */
  listBytes: 192 * 1024,
  /** Brackets inside brackets in one message. */
  depth: 12,
  /** Messages a second, on average, and how many may come at once. */
  messagesPerSecond: 500,
  messagesAtOnce: 5_000,
  /** Bytes a second that the control plane takes from one agent, on average, and how many may come at once: a full report of a large site. */
  bytesPerSecond: 4 * 1024 * 1024,
  bytesAtOnce: 64 * 1024 * 1024,
  /** VMs named in one inventory or replication message. */
  vmsPerMessage: 500,
  /** Scripts that a site may have. */
  scriptsPerMessage: 500,
  /** Commands that the control plane keeps open at one agent. */
  openCommands: 20_000,
} as const;

/** True when no bracket of the JSON text is nested deeper than `depth`; reads the text once, builds nothing. */
export function isWithinDepth(text: string, depth: number = limits.depth): boolean {
  let open = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++open > depth) return false;
    } else if (c === 0x7d || c === 0x5d) open--;
  }
  return true;
}

/** A token bucket on a clock that the caller reads: `take` says whether so much more may pass now. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(now: number, perSecond: number = limits.messagesPerSecond, burst: number = limits.messagesAtOnce) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: number, tokens: number = 1): boolean {
    // A clock that was set back gives nothing, and takes nothing away either.
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + seconds * this.#perSecond);
    this.#at = now;
    if (this.#tokens < tokens) return false;
    this.#tokens -= tokens;
    return true;
  }
}
