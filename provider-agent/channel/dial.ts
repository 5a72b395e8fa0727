/**
 * Carries a session over a WebSocket: outbound, mutual TLS 1.3 only, trusting the authority pinned at registration
 * alone, through a proxy by CONNECT where there is one. What comes in is held to the limits of the channel before it
 * is put together.
 */
import type { Agent } from 'node:http';
import { WebSocket } from 'ws';
import { ERROR_CODES, errorCodes } from '../../shared/errors.ts';
import { limits } from '../../shared/protocol/limits.ts';
import type { Dial, Link, LinkEvents } from './link.ts';

/** Asked anew at every dial, so that a renewed certificate is used by the next. */
export interface WayOut {
  /** `wss://host:port/agent`. */
  readonly channel: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
  /** Null for a direct way. */
  readonly proxy: Agent | null;
}

/** The way through a proxy, `http://user:password@host:port`; loaded only where there is one. */
export async function wayThroughProxy(proxy: string | null): Promise<Agent | null> {
  if (proxy === null) return null;
  const { HttpsProxyAgent } = await import('https-proxy-agent');
  return new HttpsProxyAgent(proxy, { keepAlive: false });
}

/** A refusal is one of our codes. */
const REFUSAL_MOST = 100;

export function dialWebSocket(wayOut: () => WayOut): Dial {
  return (events) => {
    const socket = openSocket(wayOut());
    let isEnded = false;
    const end = (reason: string) => {
      if (isEnded) return;
      isEnded = true;
      socket.terminate();
      events.closed(reason);
    };
    listen(socket, events, end);
    return toLink(socket, end);
  };
}

function openSocket({ channel, certificatePem, keyPem, authorityPem, proxy }: WayOut): WebSocket {
  return new WebSocket(channel, {
    cert: certificatePem,
    key: keyPem,
    ca: authorityPem,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    followRedirects: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytes,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
    ...(proxy !== null && { agent: proxy }),
  });
}

function listen(socket: WebSocket, events: LinkEvents, end: (reason: string) => void): void {
  let failure: string | null = null;
  socket.on('open', () => events.opened());
  socket.on('pong', () => events.answered());
  socket.on('ping', () => events.heard());
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) return end('a binary message came');
    events.received(data.toString());
  });
  socket.on('error', (error) => {
    failure ??= error.message;
  });
  socket.on('unexpected-response', (_request, response) => {
    let told = '';
    response.setEncoding('latin1').on('data', (text: string) => {
      told = (told + text).slice(0, REFUSAL_MOST);
    });
    response.on('close', () => end(refusalOf(response.statusCode ?? 0, told)));
  });
  socket.on('close', (code) => end(failure ?? `closed by the other end, code ${code}`));
}

/** In the words of our own table: what stands there may come from anybody on the way. */
function refusalOf(status: number, told: string): string {
  const code = ERROR_CODES.find((known) => known === told.trim());
  return code === undefined ? `refused with status ${status}` : `refused: ${code}: ${errorCodes[code].cause} ${errorCodes[code].remedy}`;
}

function toLink(socket: WebSocket, end: (reason: string) => void): Link {
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  return {
    send: (text) => {
      if (isOpen()) socket.send(text);
    },
    ping: () => {
      if (isOpen()) socket.ping();
    },
    get waitingBytes() {
      return socket.bufferedAmount;
    },
    close: end,
  };
}
