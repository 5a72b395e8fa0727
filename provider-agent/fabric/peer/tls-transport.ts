/**
 * Replicas from site to site over mutual TLS 1.3. The name asked for in the handshake is the pairing, so one listener
 * serves pairings of several vaults, each with its own certificate and root. Frames and what waits for an answer are
 * limited on both sides; no session outlives its connection, so a certificate withdrawn is withdrawn.
 */
import { constants } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import type { z } from 'zod';
import { type ErrorCode, FarshoreError } from '../../../shared/errors.ts';
import { PairingId } from '../../../shared/ids.ts';
import type { Clock } from '../../../shared/ports.ts';
import type { HostsPreparation } from '../fabric.ts';
import { readFrames, writeFrame } from './frame-stream.ts';
import { answerFrame, parseFrame, requestFrame } from './frames.ts';
import { openIdentity, provenSite } from './host-identity.ts';
import type { Peer, PeerTransport, ReceiveFromPeer } from './peer-transport.ts';

const CONNECT_MS = 5_000;
const ANSWER_MS = 15_000;
const MAX_CONNECTIONS = 256;
const MAX_WAITING = 10_000;
const NAME_SUFFIX = '.pairing.farshore.internal';

interface Connection<Answer> {
  readonly socket: TLSSocket;
  readonly waiting: Map<number, { resolve: (answer: Answer) => void; reject: (reason: unknown) => void; cancelTimer: () => void }>;
  nextId: number;
}

export class TlsTransport<Request, Answer> implements PeerTransport<Request, Answer> {
  readonly #clock: Clock;
  readonly #requestFrame;
  readonly #answerFrame;
  #identities = new Map<PairingId, SecureContext>();
  #server: Server | null = null;
  readonly #incoming = new Set<TLSSocket>();
  readonly #outgoing = new Map<string, Promise<Connection<Answer>>>();
  readonly #sockets = new Set<TLSSocket>();

  constructor(clock: Clock, schemas: { readonly request: z.ZodType<Request>; readonly answer: z.ZodType<Answer> }) {
    this.#clock = clock;
    this.#requestFrame = requestFrame(schemas.request);
    this.#answerFrame = answerFrame(schemas.answer);
  }

  usePreparations(preparations: readonly HostsPreparation[]): void {
    const identities = new Map<PairingId, SecureContext>();
    // Of a pairing between two clouds of one site there are two, of the same authority: either serves both ends.
    for (const preparation of preparations) identities.set(preparation.pairingId, openIdentity(preparation));
    this.#identities = identities;
    for (const socket of [...this.#incoming, ...this.#sockets]) socket.destroy();
  }

  async listen(at: { host: string; port: number }, receive: ReceiveFromPeer<Request, Answer>): Promise<string> {
    if (this.#server !== null) return addressOf(this.#server, at.host);
    const server = createServer({
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: CONNECT_MS,
      SNICallback: (name, done) => {
        const context = this.#identityFor(name);
        done(context === undefined ? new Error('no such pairing') : null, context);
      },
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('secureConnection', (socket) => this.#serve(socket, receive));
    // A peer that fails the handshake learns no more than that; it is the peer that tells its operator.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at.port, at.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#server = server;
    return addressOf(server, at.host);
  }

  async goDark(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of [...this.#incoming, ...this.#sockets]) socket.destroy();
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async request(peer: Peer, request: Request): Promise<Answer> {
    const connection = await this.#connectionTo(peer);
    if (connection.waiting.size >= MAX_WAITING)
      throw new FarshoreError('ERR_PEER_UNREACHABLE', 'too many replication requests wait for an answer');
    const id = connection.nextId++;
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(ANSWER_MS, () =>
        connection.socket.destroy(new Error(`${peer.address} gave no answer in time`)),
      );
      connection.waiting.set(id, { resolve, reject, cancelTimer });
      writeFrame(connection.socket, JSON.stringify({ id, pairingId: peer.pairingId, request }));
    });
  }

  #identityFor(serverName: string): SecureContext | undefined {
    const pairingId = PairingId.safeParse(serverName.slice(0, -NAME_SUFFIX.length));
    return pairingId.success ? this.#identities.get(pairingId.data) : undefined;
  }

  #serve(socket: TLSSocket, receive: ReceiveFromPeer<Request, Answer>): void {
    this.#incoming.add(socket);
    socket.on('close', () => this.#incoming.delete(socket));
    socket.on('error', () => socket.destroy());
    const name = typeof socket.servername === 'string' ? socket.servername : '';
    const pairingId = PairingId.safeParse(name.slice(0, -NAME_SUFFIX.length));
    const siteId = provenSite(socket.getPeerX509Certificate());
    // One whose handshake ended after the site went dark would hold its listener open.
    const isDark = this.#server === null;
    if (isDark || siteId === null || !pairingId.success || !socket.authorized) return void socket.destroy();
    readFrames(socket, (text) => {
      const frame = parseFrame(this.#requestFrame, text);
      if (frame.pairingId !== pairingId.data)
        throw new FarshoreError('ERR_MESSAGE_INVALID', 'the frame is for another pairing than its connection');
      Promise.resolve(receive({ siteId, pairingId: pairingId.data }, frame.request)).then(
        (answer) => void (socket.destroyed || writeFrame(socket, JSON.stringify({ id: frame.id, answer }))),
        (error: unknown) => socket.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    });
  }

  #connectionTo(peer: Peer): Promise<Connection<Answer>> {
    const key = `${peer.pairingId} ${peer.siteId} ${peer.address}`;
    const open = this.#outgoing.get(key);
    if (open !== undefined) return open;
    const opening = this.#connect(peer, () => this.#outgoing.delete(key));
    this.#outgoing.set(key, opening);
    return opening;
  }

  #connect(peer: Peer, onClosed: () => void): Promise<Connection<Answer>> {
    return new Promise((resolve, reject) => {
      const fail = (code: ErrorCode, message: string, cause?: unknown) => {
        onClosed();
        reject(new FarshoreError(code, message, { cause }));
      };
      const identity = this.#identities.get(peer.pairingId);
      if (identity === undefined) return fail('ERR_NOT_PREPARED', `the hosts here are not prepared for the pairing ${peer.pairingId}`);
      const { host, port } = splitAddress(peer.address);
      const socket = connect({
        host,
        port,
        servername: `${peer.pairingId}${NAME_SUFFIX}`,
        secureContext: identity,
        minVersion: 'TLSv1.3',
        rejectUnauthorized: true,
        // The name in the handshake picks the pairing; who answers is told by the site in its certificate, below.
        checkServerIdentity: () => undefined,
      });
      this.#sockets.add(socket);
      const connection: Connection<Answer> = { socket, waiting: new Map(), nextId: 0 };
      const cancelTimer = this.#clock.after(CONNECT_MS, () => socket.destroy(new Error(`no handshake within ${CONNECT_MS} ms`)));
      let failure: Error | undefined;
      let isConnected = false;
      socket.on('error', (error) => {
        failure = error;
      });
      socket.on('close', () => {
        cancelTimer();
        this.#sockets.delete(socket);
        const code = failure !== undefined && isAboutTrust(failure) ? 'ERR_NOT_PREPARED' : 'ERR_PEER_UNREACHABLE';
        const message = `${peer.address} ${howItEnded(code, isConnected)}`;
        fail(code, message, failure);
        for (const { reject: rejectRequest, cancelTimer: cancel } of connection.waiting.values()) {
          cancel();
          rejectRequest(new FarshoreError(code, message, { cause: failure }));
        }
        connection.waiting.clear();
      });
      socket.on('secureConnect', () => {
        cancelTimer();
        isConnected = true;
        if (provenSite(socket.getPeerX509Certificate()) !== peer.siteId) {
          return void socket.destroy(Object.assign(new Error('the certificate is not that of the site'), { code: 'ERR_TLS_WRONG_SITE' }));
        }
        readFrames(socket, (text) => settle(connection, parseFrame(this.#answerFrame, text)));
        resolve(connection);
      });
    });
  }
}

function settle<Answer>(connection: Connection<Answer>, { id, answer }: { id: number; answer: Answer }): void {
  const waiting = connection.waiting.get(id);
  connection.waiting.delete(id);
  waiting?.cancelTimer();
  waiting?.resolve(answer);
}

function addressOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

function howItEnded(code: ErrorCode, isConnected: boolean): string {
  if (code === 'ERR_NOT_PREPARED') return 'and this site do not accept each other';
  return isConnected ? 'closed the connection: it goes down, or it does not accept the certificate of this site' : 'does not answer';
}

/** A handshake that broke off over certificates, on either side. */
function isAboutTrust(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return /TLS|SSL|CERT|ISSUER|SIGNED|SIGNATURE/.test(code);
}
