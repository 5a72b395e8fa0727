/**
 * A real HTTP proxy that only knows CONNECT, with Basic credentials where they are given. `divertTo` makes it the kind
 * that opens TLS: whatever was asked for, the tunnel ends at a port of its own, all of them or those from `divertFrom` on.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ConnectProxy {
  /** `http://[user:password@]127.0.0.1:port`. */
  readonly url: string;
  /** `host:port` of every tunnel that was opened. */
  readonly opened: readonly string[];
  /** How often somebody was sent away for his credentials. */
  readonly refused: () => number;
  close(): Promise<void>;
}

export async function startConnectProxy(
  options: { credentials?: string; divertTo?: number; divertFrom?: number } = {},
): Promise<ConnectProxy> {
  const opened: string[] = [];
  const sockets = new Set<Duplex>();
  let refused = 0;
  const expected = options.credentials && `Basic ${Buffer.from(options.credentials).toString('base64')}`;
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', (request, client: Duplex, head) => {
    track(sockets, client);
    if (expected !== undefined && request.headers['proxy-authorization'] !== expected) {
      refused++;
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const [host, port] = (request.url ?? '').split(':');
    opened.push(request.url ?? '');
    const diverted = options.divertTo !== undefined && opened.length > (options.divertFrom ?? 0);
    const target = diverted ? connect(options.divertTo ?? 0, '127.0.0.1') : connect(Number(port), host);
    track(sockets, target);
    target.once('connect', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      if (head.length > 0) target.write(head);
      client.pipe(target).pipe(client);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.credentials ? `${options.credentials}@` : ''}127.0.0.1:${port}`,
    opened,
    refused: () => refused,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function track(sockets: Set<Duplex>, socket: Duplex | Socket): void {
  sockets.add(socket);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
}
