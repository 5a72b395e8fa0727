/**
 * The first look at a control plane, before anything is told to it: a TLS handshake, no more. It passes when the
 * server's certificate fits the address and leads to the authority whose digest the registration key carries. A proxy
 * that opens TLS cannot show that: it may have the authority's certificate, and has not its signature on its own.
 */
import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { certificateDigest } from '../../certs/digest.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { bareHost, dial, type OutboundProxy } from './proxy.ts';

const LOOK_MS = 20_000;
const LONGEST_CHAIN = 8;

export interface Look {
  readonly address: string;
  readonly authorityDigest: string;
  readonly proxy: OutboundProxy | null;
  readonly clock: Clock;
}

/** The authority (PEM) to pin. Throws ERR_KEY_FOREIGN, ERR_CONTROL_PLANE_UNREACHABLE, ERR_PROXY_REFUSED. */
export async function lookForAuthority(look: Look): Promise<string> {
  const url = new URL(look.address);
  const host = bareHost(url.hostname);
  const overdue = new AbortController();
  const cancel = look.clock.after(LOOK_MS, () => overdue.abort(new Error(`no handshake within ${LOOK_MS / 1000} s`)));
  try {
    const socket = await dial(host, url.port === '' ? 443 : Number(url.port), look.proxy, overdue.signal);
    const chain = await readChain(socket, host, overdue.signal);
    return findAuthority(chain, host, look.authorityDigest).toString();
  } finally {
    cancel();
  }
}

/** The certificates that the server shows, its own first. Nothing is sent but the handshake. */
function readChain(socket: Socket, host: string, signal: AbortSignal): Promise<X509Certificate[]> {
  return new Promise((resolve, reject) => {
    // The chain is judged below, against the digest: no authority of the system has a say in it.
    const servername = isIP(host) === 0 ? host : '';
    const tls = connect({ socket, servername, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    const fail = (cause: unknown) => {
      socket.destroy();
      tls.destroy();
      reject(new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `no TLS 1.3 handshake with ${host}`, { cause }));
    };
    signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    tls.once('error', fail);
    tls.once('close', () => fail(new Error('the connection was closed')));
    tls.once('secureConnect', () => {
      const chain = listChain(tls.getPeerCertificate(true));
      // A polite end: the other side shall see a finished handshake, not a broken one.
      tls.end(() => {
        tls.destroy();
        resolve(chain);
      });
    });
  });
}

function listChain(peer: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let at = peer; at?.raw !== undefined && chain.length < LONGEST_CHAIN; at = at.issuerCertificate) {
    chain.push(new X509Certificate(at.raw));
    if (at.issuerCertificate === at) break;
  }
  return chain;
}

function findAuthority(chain: readonly X509Certificate[], host: string, digest: string): X509Certificate {
  const foreign = (why: string) =>
    new FarshoreError('ERR_KEY_FOREIGN', `the server at ${host} is not the control plane that made the key: ${why}`);
  const [leaf, ...above] = chain;
  if (leaf === undefined) throw foreign('it shows no certificate');
  let signed = leaf;
  for (const authority of above) {
    if (!authority.ca || !signed.checkIssued(authority) || !signed.verify(authority.publicKey)) break;
    if (certificateDigest(authority) === digest) {
      const fits = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
      if (fits === undefined) throw foreign('its certificate is for another name');
      return authority;
    }
    signed = authority;
  }
  throw foreign('the authority of its certificate is another');
}
