/** A cable between a sender and a server that does something when so many bytes have gone through it: real connections are cut or hang. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export class Cable {
  readonly port: number;
  readonly #sockets: Set<Socket>;

  private constructor(port: number, sockets: Set<Socket>) {
    this.port = port;
    this.#sockets = sockets;
  }

  /** `at` bytes towards the port call `happens`, once. */
  static async to(port: number, at: number, happens: (cable: Cable) => void): Promise<Cable> {
    const sockets = new Set<Socket>();
    let passed = 0;
    const server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(one);
        one.on('error', () => other.destroy()).on('close', () => other.destroy());
        one.pipe(other);
      }
      near.on('data', ({ length }) => {
        const isBefore = passed < at;
        passed += length;
        if (isBefore && passed >= at) happens(cable);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    const cable = new Cable((server.address() as AddressInfo).port, sockets);
    return cable;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The connections stay, and nothing goes through any more. */
  hang(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }
}
