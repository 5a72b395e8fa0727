/** Whether a port takes a connection; false for whatever kept it from that. */
import { connect } from 'node:net';

export function takesConnection(host: string, port: number, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: limitMs });
    const end = (hasConnected: boolean) => {
      socket.destroy();
      resolve(hasConnected);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
