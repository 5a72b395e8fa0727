/**
 * The listener for agents: TLS 1.3 only, a client certificate of our own authority, no resumption, and on it nothing but the
 * WebSocket at `/agent`. Nobody is heard before the certificate was verified and held against the store; sizes, times and
 * numbers are limited before anything is read. A revocation counts at once: list, store and open connections.
 */
import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import type { Authority } from '../../certs/authority.ts';
import { agentIdIn } from '../../shared/certificate-names.ts';
import { errorCodes, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, VaultId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import { limits } from '../../shared/protocol/limits.ts';
import type { Store } from '../store/store.ts';
import type { Hub, Presented } from './hub.ts';
import type { Link, LinkEvents } from './link.ts';

export interface ListenerParts {
  readonly hub: Hub;
  readonly store: Pick<Store, 'sites'>;
  readonly authority: Authority;
  /** Certificate chain and key of this listener, PEM. */
  readonly server: { readonly certificate: string; readonly key: string };
  readonly clock: Clock;
  readonly log: Log;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Sockets at once; 20,000 when not said. */
  readonly connectionsMost?: number;
}

const PATH = '/agent';
const HANDSHAKE_WITHIN_MS = 10_000;
const HEADER_BYTES_MOST = 8 * 1024;
const CLOSE_WITHIN_MS = 1_000;
/** How long a peer that was told to go may stay; the typings of ws do not know the option yet. */
const closing = { closeTimeout: CLOSE_WITHIN_MS };

export class AgentListener {
  readonly #parts: ListenerParts;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  /** The lists of revoked certificates, one after the other: an older one must not come after a newer. */
  #lists: Promise<void> = Promise.resolve();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytes,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
    ...closing,
  });

  /** Resolves when it listens, with every certificate refused that was revoked until now. */
  static async start(parts: ListenerParts): Promise<AgentListener> {
    const listener = new AgentListener(parts, await secureContext(parts));
    listener.#server.listen(parts.port, parts.host);
    await once(listener.#server, 'listening');
    return listener;
  }

  private constructor(parts: ListenerParts, context: SecureContextOptions) {
    this.#parts = parts;
    this.#server = createServer({
      ...context,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_WITHIN_MS,
      maxHeaderSize: HEADER_BYTES_MOST,
      headersTimeout: HANDSHAKE_WITHIN_MS,
      requestTimeout: HANDSHAKE_WITHIN_MS,
      keepAliveTimeout: 1,
    });
    this.#server.maxConnections = parts.connectionsMost ?? 20_000;
    this.#server.on('connection', (socket: Duplex) => this.#track(socket));
    this.#server.on('tlsClientError', (error) => parts.log.warn({ err: error }, 'TLS handshake of an agent failed'));
    this.#server.on('request', (_request, response) => void response.writeHead(404, { connection: 'close' }).end());
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Durable when it resolves, and the agent is off. False when there is no such agent in the vault. */
  async revoke(vaultId: VaultId, agentId: AgentId): Promise<boolean> {
    const { hub, store, clock } = this.#parts;
    if (!(await store.sites.revokeAgent(vaultId, agentId, clock.now()))) return false;
    hub.cutOff(agentId);
    const listed = this.#lists.then(async () => this.#server.setSecureContext(await secureContext(this.#parts)));
    this.#lists = listed.catch(() => {});
    await listed;
    return true;
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    this.#parts.hub.close();
    const closed = once(this.#server, 'close');
    this.#server.close();
    // What was said last may still leave; whoever does not hang up by then is hung up on.
    const cancel = this.#parts.clock.after(CLOSE_WITHIN_MS, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    cancel();
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { hub, log } = this.#parts;
    const ignore = () => {};
    socket.on('error', ignore);
    try {
      if (request.url !== PATH) throw new FarshoreError('ERR_NOT_FOUND', 'agents speak at /agent');
      const agent = await hub.admit(presentedBy(request.socket as TLSSocket));
      if (socket.destroyed) return;
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        socket.off('error', ignore);
        connect(webSocket, (link) => hub.join(agent, link));
      });
    } catch (thrown) {
      const error = toFarshoreError(thrown);
      log.warn({ err: error }, 'agent was not admitted');
      socket.end(`HTTP/1.1 ${errorCodes[error.code].http} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${error.code}\n`);
    }
  }
}

async function secureContext({ authority, server, store, clock }: ListenerParts): Promise<SecureContextOptions> {
  const now = clock.now();
  return {
    cert: server.certificate,
    key: server.key,
    ca: authority.certificate,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // A resumed session would not show its certificate to the list of revoked ones again.
    secureOptions: constants.SSL_OP_NO_TICKET,
    crl: await authority.revocationList(await store.sites.revokedCertificates(now), now),
  };
}

/** Throws ERR_CERTIFICATE_UNKNOWN for a certificate that names no agent. */
function presentedBy(socket: TLSSocket): Presented {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const agentId = agentIdIn(certificate?.subjectAltName);
  if (certificate === undefined || agentId === null) throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'the certificate names no agent');
  return { agentId, spki: certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('base64') };
}

function connect(socket: WebSocket, join: (link: Link) => LinkEvents): void {
  let failure: string | null = null;
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  const events = join({
    send: (text) => {
      if (isOpen()) socket.send(text);
    },
    ping: () => {
      if (isOpen()) socket.ping();
    },
    get waitingBytes() {
      return socket.bufferedAmount;
    },
    close: (code, reason) => {
      if (isOpen()) socket.close(code, reason);
      else socket.terminate();
    },
  });
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) {
      events.closed('a binary message came');
      socket.terminate();
      return;
    }
    events.received(data.toString());
  });
  socket.on('ping', () => events.heard());
  socket.on('pong', () => events.heard());
  socket.on('error', (error) => {
    failure = error.message;
  });
  socket.on('close', (code) => events.closed(failure ?? `closed by the agent, code ${code}`));
}
