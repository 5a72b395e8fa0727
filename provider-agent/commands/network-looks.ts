/**
 * How the agent looks at what the fabric does not show: whether a port takes a connection, and what an address answers. It sends
 * nothing but the question, follows no redirect, and reads no answer beyond its status. The certificate of an HTTPS address is not
 * checked: right after a failover names may not lead there yet, and nothing secret is said.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { takesConnection } from '../fabric/takes-connection.ts';

export interface NetworkLooks {
  /** False for whatever kept it from connecting. */
  connects(host: string, port: number, limitMs: number): Promise<boolean>;
  /** Null when there was no answer. */
  httpStatus(url: string, limitMs: number): Promise<number | null>;
}

export const networkLooks: NetworkLooks = {
  connects: takesConnection,

  httpStatus: (url, limitMs) =>
    new Promise((resolve) => {
      const ask = url.startsWith('https:') ? httpsRequest : httpRequest;
      const asked = ask(url, { method: 'GET', agent: false, timeout: limitMs, rejectUnauthorized: false }, (answer) => {
        answer.destroy();
        resolve(answer.statusCode ?? null);
      });
      asked.once('timeout', () => asked.destroy());
      asked.once('error', () => resolve(null));
      asked.once('close', () => resolve(null));
      asked.end();
    }),
};
