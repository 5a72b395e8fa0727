/** One real TLS handshake on the loopback: what each side saw of the other, or why it refused. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer, type PeerCertificate, type TLSSocket, type TlsOptions } from 'node:tls';

export interface Handshake {
  /** The certificate the server accepted; null when it refused. */
  readonly serverSaw: PeerCertificate | null;
  readonly clientSaw: PeerCertificate | null;
  readonly serverError: Error | string | null;
  readonly clientError: Error | null;
  readonly protocol: string | null;
}

export async function shakeHands(serverOptions: TlsOptions, clientOptions: ConnectionOptions): Promise<Handshake> {
  const server = createServer({ rejectUnauthorized: true, ...serverOptions });
  const served = new Promise<{ socket: TLSSocket | null; error: Error | string | null }>((resolve) => {
    server.once('secureConnection', (socket) => resolve({ socket, error: null }));
    // The event only says "socket hang up"; the reason, such as CERT_REVOKED, is kept with the socket.
    server.once('tlsClientError', (error, socket) =>
      resolve({ socket: null, error: (socket.authorizationError ?? error) as Error | string }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ...clientOptions });
  const dialled = new Promise<Error | null>((resolve) => {
    client.once('secureConnect', () => resolve(null));
    client.once('error', resolve);
  });
  const [serverSide, clientError] = await Promise.all([served, dialled]);
  const result = {
    serverSaw: peerOf(serverSide.socket),
    clientSaw: clientError === null ? peerOf(client) : null,
    serverError: serverSide.error,
    clientError,
    protocol: client.getProtocol(),
  };
  client.on('error', () => {});
  serverSide.socket?.on('error', () => {}).destroy();
  client.destroy();
  server.close();
  await once(server, 'close');
  return result;
}

function peerOf(socket: TLSSocket | null): PeerCertificate | null {
  const peer = socket?.getPeerCertificate(true);
  return peer && Object.keys(peer).length > 0 ? peer : null;
}
