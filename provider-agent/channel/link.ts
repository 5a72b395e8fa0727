/**
 * The wire under a session, as a port: text messages both ways, and a way to learn that the peer is gone. `dial.ts`
 * makes one of a WebSocket; a test world makes one of two functions.
 */
export interface LinkEvents {
  opened(): void;
  received(text: string): void;
  /** The peer gave a sign of life. */
  heard(): void;
  /** ... which is the answer to a ping. */
  answered(): void;
  /** Once and last, also for a link that never opened. */
  closed(reason: string): void;
}

export interface Link {
  send(text: string): void;
  /** Asks for a sign of life. */
  ping(): void;
  /** Bytes handed to `send` that have not left this machine. */
  readonly waitingBytes: number;
  /** Ends it now; `closed` follows. */
  close(reason: string): void;
}

/** Begins to connect and returns at once; every event comes later. */
export type Dial = (events: LinkEvents) => Link;
