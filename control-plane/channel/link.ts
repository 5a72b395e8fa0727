/**
 * The wire under a session, as a port: text messages both ways, and a way to learn that the peer is gone. `listener.ts`
 * makes one of a WebSocket; a test world makes one of two functions. The agent's counterpart is its own `link.ts`.
 */
export interface Link {
  send(text: string): void;
  /** Asks for a sign of life. */
  ping(): void;
  /** Bytes handed to `send` that have not left this machine. */
  readonly waitingBytes: number;
  /** Ends it now, telling the peer why as far as it still listens; `closed` may or may not follow. */
  close(code: CloseCode, reason: string): void;
}

/** What a session wants to be told by its link. */
export interface LinkEvents {
  received(text: string): void;
  /** The peer gave a sign of life: a message or the answer to a ping. */
  heard(): void;
  /** It is gone; nothing follows. */
  closed(reason: string): void;
}

/** RFC 6455 section 7.4: 1001 and 1008 are common ones, from 4000 on they are ours. */
export const closeCodes = {
  /** The control plane stops. */
  goingAway: 1001,
  /** A message broke a limit or the form. */
  violation: 1008,
  /** A newer connection of the site has taken over. */
  replaced: 4001,
  revoked: 4002,
  protocolVersion: 4003,
  /** No hello came in time, or no sign of life. */
  silent: 4004,
} as const;
export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];
