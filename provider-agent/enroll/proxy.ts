/** The way through a proxy: CONNECT, so that the proxy sees an address and sealed bytes, and credentials only here. */
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { FarshoreError } from '../../shared/errors.ts';

export interface OutboundProxy {
  readonly host: string;
  readonly port: number;
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

/** Reads `http://user:password@host:port`. Throws ERR_REQUEST_INVALID, which never repeats the text. */
export function parseProxy(text: string): OutboundProxy {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 'http:' || url.hostname === '') {
    throw new FarshoreError('ERR_REQUEST_INVALID', 'the address of the proxy is not of the form http://[user:password@]host:port');
  }
  const credentials =
    url.username === '' ? null : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  const port = url.port === '' ? 80 : Number(url.port);
  return { host: bareHost(url.hostname), port, credentials };
}

/** A host without the brackets that a URL puts round an IPv6 address. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');

/** An open TCP way to the target, through the proxy when there is one. Rejects with the signal's reason when it aborts. */
export function dial(host: string, port: number, proxy: OutboundProxy | null, signal: AbortSignal): Promise<Socket> {
  return proxy === null ? dialDirectly(host, port, signal) : dialThrough(proxy, host, port, signal);
}

function dialDirectly(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => resolve(socket));
    socket.once('error', (cause) => {
      reject(new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `no connection to ${host}:${port}`, { cause }));
    });
  });
}

function dialThrough(proxy: OutboundProxy, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const headers: Record<string, string> = { Host: target };
  if (proxy.credentials !== null) {
    const { username, password } = proxy.credentials;
    headers['Proxy-Authorization'] = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  return new Promise((resolve, reject) => {
    const connecting = request({ host: proxy.host, port: proxy.port, method: 'CONNECT', path: target, headers, agent: false, signal });
    const refuse = (message: string, cause?: unknown) => reject(new FarshoreError('ERR_PROXY_REFUSED', message, { cause }));
    connecting.once('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket as Socket);
      socket.destroy();
      refuse(`the proxy ${proxy.host}:${proxy.port} answered ${answer.statusCode} to the request for ${target}`);
    });
    connecting.once('error', (cause) => refuse(`no connection to the proxy ${proxy.host}:${proxy.port}`, cause));
    connecting.end();
  });
}
