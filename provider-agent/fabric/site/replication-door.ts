/** The receiving end of a site: open while its hosts are prepared to receive and the site is not dark, always at the same address. */
import type { HostsPreparation } from '../fabric.ts';
import { failed } from './refusals.ts';
import type { ReceiveReplication, ReplicationTransport } from './replication-transport.ts';
import type { World } from './world.ts';

const ADDRESS = 'replicationAddress';

export interface ListenAt {
  readonly host: string;
  readonly port: number;
}

export class ReplicationDoor {
  readonly #world: World;
  readonly #transport: ReplicationTransport;
  readonly #receive: ReceiveReplication;
  readonly #listenAt: ListenAt;
  /** Opening and closing follow one another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(world: World, transport: ReplicationTransport, receive: ReceiveReplication, listenAt: ListenAt) {
    this.#world = world;
    this.#transport = transport;
    this.#receive = receive;
    this.#listenAt = listenAt;
  }

  /** Throws when a certificate cannot be opened; then the ones before stay in use. */
  usePreparations(preparations: readonly HostsPreparation[]): void {
    this.#transport.usePreparations(preparations);
    if (preparations.length === 0) this.closeSoon();
  }

  lastAddress(): string | null {
    return this.#world.meta(ADDRESS);
  }

  /** Opens it where it was before, or at the port given, or at the site's own; says where. */
  async open(port: number | null): Promise<string> {
    const before = this.lastAddress();
    const lastPort = before === null ? null : Number(before.slice(before.lastIndexOf(':') + 1));
    if (port !== null && lastPort !== null && port !== lastPort && this.#world.preparations.all().length > 0) {
      throw failed(
        'ERR_FABRIC_FAILED',
        'prepareHosts',
        `The site receives all replicas on one port, ${lastPort}; a second port, ${port}, is not to be had.`,
      );
    }
    if (this.#world.faults.isSiteDark) {
      if (before === null) throw failed('ERR_FABRIC_FAILED', 'prepareHosts', 'The site is dark.');
      return before;
    }
    const at = { host: this.#listenAt.host, port: port ?? (this.#listenAt.port || lastPort || 0) };
    let address = '';
    await this.#after(async () => {
      address = await this.#transport.listen(at, this.#receive).catch((cause) => {
        throw failed(
          'ERR_FABRIC_FAILED',
          'prepareHosts',
          `Replicas cannot be received at ${at.host}:${at.port}; another program may use the port.`,
          cause,
        );
      });
    });
    this.#world.setMeta(ADDRESS, address);
    return address;
  }

  /** Opens it if hosts are prepared to receive. */
  async reopen(): Promise<void> {
    if (this.#world.preparations.all().length > 0) await this.open(null);
  }

  closeSoon(): void {
    void this.close();
  }

  close(): Promise<void> {
    return this.#after(() => this.#transport.goDark());
  }

  #after(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
