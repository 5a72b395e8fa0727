/**
 * The control plane's end of the channel as the network shows it: a real TLS 1.3 listener that asks for a certificate,
 * with a WebSocket behind it, on the loopback. The test speaks for the control plane.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { makeAgentRequest, makeP256Key, readAgentRequest } from '../../certs/agent-request.ts';
import { Authority, makeAuthority } from '../../certs/authority.ts';
import { type WayOut, wayThroughProxy } from '../../provider-agent/channel/dial.ts';
import type { AgentMessage } from '../../shared/protocol/egress.ts';
import { type CloudMessage, encodeCloudMessage, readAgentMessage } from '../../shared/protocol/messages.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { agentId } from './agent-world.ts';
import { until } from './until.ts';

export class AgentServer {
  readonly authority: Authority;
  readonly sockets: WebSocket[] = [];
  readonly received: AgentMessage[] = [];
  /** Serial number of the certificate that each connection showed. */
  readonly serials: string[] = [];
  readonly protocols: (string | null)[] = [];
  heartbeatSeconds = 20;
  /** How far the clock of the control plane is from ours. */
  clockAheadMs = 0;
  readonly #server: Server;

  static async start(options: { answersPings?: boolean } = {}): Promise<AgentServer> {
    const authority = await Authority.open(await makeAuthority(Date.now(), systemRandom), systemRandom);
    const { certificate, key } = await authority.issueServer({ dnsNames: ['localhost'], addresses: ['127.0.0.1'] }, Date.now());
    const tls = {
      cert: certificate,
      key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3' as const,
    };
    const server = new AgentServer(authority, createServer(tls), options.answersPings ?? true);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor(authority: Authority, server: Server, answersPings: boolean) {
    this.authority = authority;
    this.#server = server;
    // As the listener of the control plane answers whoever is no agent.
    server.on('request', (_request, response) => {
      const date = new Date(Date.now() + this.clockAheadMs).toUTCString();
      response.writeHead(404, { connection: 'close', date }).end();
    });
    const webSockets = new WebSocketServer({ server, autoPong: answersPings });
    webSockets.on('connection', (socket, request) => {
      const tls = request.socket as TLSSocket;
      this.sockets.push(socket);
      this.serials.push(tls.getPeerCertificate().serialNumber);
      this.protocols.push(tls.getProtocol());
      socket.on('error', () => {});
      socket.on('message', (data: Buffer) => this.#heard(readAgentMessage(data.toString())));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A way here with a certificate of its own. */
  async wayOut(proxy: string | null = null): Promise<WayOut> {
    const keyPem = await makeP256Key();
    const spki = await readAgentRequest(await makeAgentRequest(keyPem));
    const { certificate } = await this.authority.issueAgent(spki, agentId, Date.now());
    return {
      channel: `wss://127.0.0.1:${this.port}/agent`,
      keyPem,
      certificatePem: certificate,
      authorityPem: this.authority.certificate,
      proxy: await wayThroughProxy(proxy),
    };
  }

  say(message: CloudMessage): void {
    this.sayText(encodeCloudMessage(message));
  }

  sayText(text: string | Buffer): void {
    this.sockets.at(-1)?.send(text);
  }

  async message<T extends AgentMessage['type']>(type: T, count = 1): Promise<Extract<AgentMessage, { type: T }>> {
    const found = () => this.received.filter((message): message is Extract<AgentMessage, { type: T }> => message.type === type);
    await until(`${count} of ${type}`, () => found().length >= count, 10_000);
    return found()[count - 1] as Extract<AgentMessage, { type: T }>;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.sockets) socket.terminate();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #heard(message: AgentMessage): void {
    this.received.push(message);
    if (message.type !== 'hello') return;
    this.say({
      type: 'welcome',
      protocol: 1,
      heartbeatSeconds: this.heartbeatSeconds,
      inventory: 'sendAll',
      tags: [],
      tellDecisions: false,
    });
  }
}
