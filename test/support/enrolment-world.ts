/**
 * An enrolment server as sites meet it: a real HTTPS listener with its authority and routes, over a store in memory that
 * keeps the promises of its port. Counts what arrives, in requests and in bytes after the handshake.
 */

import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import express from 'express';
import { Authority, type ListenerNames, makeAuthority } from '../../certs/authority.ts';
import type { KeyPair } from '../../certs/validity.ts';
import { Enrolment } from '../../control-plane/channel/enrolment.ts';
import { enrolmentRoutes } from '../../control-plane/channel/enrolment-routes.ts';
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import type {
  EnrolledAgent,
  EnrolmentStore,
  NewAgent,
  RegistrationKeyRow,
  RenewedCertificate,
} from '../../control-plane/store/enrolment-store.ts';
import { hashSecret, newSecret } from '../../control-plane/store/secrets.ts';
import { type AgentId, SiteId, VaultId } from '../../shared/ids.ts';
import { formatRegistrationKey, REGISTRATION_KEY_HOURS } from '../../shared/protocol/registration.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { ManualClock } from './manual-clock.ts';

export class MemoryEnrolmentStore implements EnrolmentStore {
  readonly keys = new Map<string, RegistrationKeyRow>();
  readonly agents = new Map<AgentId, EnrolledAgent>();
  readonly jtis = new Set<string>();

  async findKey(secretHash: string) {
    return this.keys.get(secretHash) ?? null;
  }

  async register(secretHash: string, agent: NewAgent, now: number) {
    const key = this.keys.get(secretHash);
    if (key === undefined) return 'unknown';
    if (key.usedAt !== null) return 'used';
    if (key.expiresAt <= now) return 'expired';
    this.keys.set(secretHash, { ...key, usedAt: now });
    this.agents.set(agent.agentId, { ...agent, revokedAt: null });
    return 'registered';
  }

  async findAgent(agentId: AgentId) {
    return this.agents.get(agentId) ?? null;
  }

  async storeRenewal({ agentId, jti, serial, notAfter }: RenewedCertificate) {
    const agent = this.agents.get(agentId);
    if (agent === undefined || agent.revokedAt !== null) return 'revoked';
    if (this.jtis.has(jti)) return 'replayed';
    this.jtis.add(jti);
    this.agents.set(agentId, { ...agent, certificateSerial: serial, certificateNotAfter: notAfter });
    return 'stored';
  }
}

export class EnrolmentWorld {
  readonly clock = new ManualClock(Date.now());
  readonly store = new MemoryEnrolmentStore();
  readonly siteId = SiteId.parse(systemRandom.uuid());
  readonly vaultId = VaultId.parse(systemRandom.uuid());
  readonly issuer = new IssuerKey(makeIssuerKey());
  readonly authority: Authority;
  readonly enrolment: Enrolment;
  #listener: Listener | null = null;

  private constructor(authority: Authority) {
    this.authority = authority;
    this.enrolment = new Enrolment({
      store: this.store,
      authority,
      channel: 'wss://127.0.0.1:1/agent',
      issuerKeys: () => [this.issuer.publicPem],
      clock: this.clock,
      random: systemRandom,
    });
  }

  static async open(options: { perMinute?: number } = {}): Promise<EnrolmentWorld> {
    const authority = await Authority.open(await makeAuthority(Date.now(), systemRandom), systemRandom);
    const world = new EnrolmentWorld(authority);
    await world.listen(0, options);
    return world;
  }

  async listen(port: number, options: { perMinute?: number } = {}): Promise<void> {
    const names: ListenerNames = { dnsNames: ['localhost'], addresses: ['127.0.0.1'] };
    const pair = await this.authority.issueServer(names, Date.now());
    this.#listener = await startListener(pair, express().use(enrolmentRoutes(this.enrolment, options)), port);
  }

  get listener(): Listener {
    if (this.#listener === null) throw new Error('the listener is closed');
    return this.#listener;
  }

  get address(): string {
    return `https://127.0.0.1:${this.listener.port}`;
  }

  /** A registration key for the site, kept by the store; `authorityDigest` and `address` may be wrong on purpose. */
  makeKey(changes: { address?: string; authorityDigest?: string; stored?: boolean; hours?: number } = {}): string {
    const secret = newSecret(systemRandom);
    const now = this.clock.now();
    const row = {
      vaultId: this.vaultId,
      siteId: this.siteId,
      secretHash: hashSecret(secret),
      createdAt: now,
      expiresAt: now + (changes.hours ?? REGISTRATION_KEY_HOURS.default) * 3_600_000,
      usedAt: null,
    };
    if (changes.stored !== false) this.store.keys.set(row.secretHash, row);
    const { address = this.address, authorityDigest = this.authority.digest } = changes;
    return formatRegistrationKey({ v: 1, address, authorityDigest, secret });
  }

  usedKeys(): number {
    return [...this.store.keys.values()].filter((key) => key.usedAt !== null).length;
  }

  revoke(agentId: AgentId): void {
    const agent = this.store.agents.get(agentId);
    if (agent) this.store.agents.set(agentId, { ...agent, revokedAt: this.clock.now() });
  }

  close(): Promise<void> {
    return this.listener.close();
  }
}

export interface Listener {
  readonly port: number;
  readonly requests: () => number;
  close(): Promise<void>;
}

/** An HTTPS listener that speaks TLS 1.3 only and counts requests. */
export async function startListener(pair: KeyPair, app: express.Express, port = 0): Promise<Listener> {
  let requests = 0;
  const server = createServer({ cert: pair.certificate, key: pair.key, minVersion: 'TLSv1.3' });
  server.on('request', (request, response) => {
    requests++;
    app(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests: () => requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Sink {
  readonly port: number;
  readonly connections: () => number;
  readonly handshakes: () => number;
  /** Bytes that clients sent inside TLS: not one may come from an agent that was shown a foreign certificate. */
  readonly bytes: () => number;
  close(): Promise<void>;
}

/** A TLS server that never answers and counts what it is told. */
export async function startSink(pair: KeyPair): Promise<Sink> {
  let connections = 0;
  let handshakes = 0;
  let bytes = 0;
  const sockets = new Set<TLSSocket>();
  const server = createTlsServer({ cert: pair.certificate, key: pair.key }, (socket) => {
    handshakes++;
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (data: Buffer) => {
      bytes += data.length;
      socket.destroy();
    });
  });
  server.on('connection', () => {
    connections++;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    handshakes: () => handshakes,
    bytes: () => bytes,
    async close() {
      // What was sent arrives before the end does: count it too.
      await Promise.all([...sockets].filter((socket) => !socket.destroyed).map((socket) => once(socket, 'close')));
      server.close();
      await once(server, 'close');
    },
  };
}
