/**
 * Takes increments of replicas: finds what the replica shares with its primary, makes room over that, and turns what has arrived into a
 * recovery point when the primary says that it is whole. What was not sealed does not exist.
 */
import type { Clock, Random } from '../../../shared/ports.ts';
import type { RecoveryPoint } from '../fabric.ts';
import type { Book } from '../site/machinery.ts';
import type { SentPoint } from '../site/replication-frames.ts';
import type { ReplicationSource } from '../site/replication-transport.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { CarrierOrder, type Held, type ReceiveOrder, type Room } from './carrier-frames.ts';
import type { Homes } from './homes.ts';
import type { HostIdentity } from './host-identity.ts';
import { Lineage, type SharedPoint } from './lineage.ts';
import { NbdExport } from './nbd-export.ts';
import { failed } from './qemu-error.ts';
import type { ReplicaDisks } from './replica-disks.ts';

export interface ReceiverParts {
  readonly homes: Homes;
  readonly identity: HostIdentity;
  readonly book: Pick<Book, 'preparations'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Where senders connect to. */
  readonly listen: { readonly host: string; readonly ports: { readonly from: number; readonly to: number } };
  /** The name in the certificates of this host. */
  readonly serverName: string;
}

interface Receiving {
  readonly pointId: string;
  readonly layer: number;
  readonly exports: readonly NbdExport[];
  readonly ports: readonly number[];
}

export class Receiver {
  readonly #parts: ReceiverParts;
  readonly #receiving = new Map<string, Receiving>();
  readonly #taken = new Set<number>();

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
  }

  async answer(vm: VmRecord, source: ReplicationSource, message: unknown): Promise<typeof Held._output | typeof Room._output> {
    const order = CarrierOrder.parse(message);
    if (order.ask === 'receive') return this.#receive(vm, source, order);
    const common = await this.#common(vm, order.shared);
    return { layer: common?.layer ?? null };
  }

  /** To be called in the turn of the VM; senders are gone when it resolves. */
  async seal(vm: VmRecord, { id, at, kind }: SentPoint): Promise<void> {
    const folder = this.#parts.homes.folderOf(vm.ref);
    const receiving = this.#receiving.get(folder);
    const replica = await this.#parts.homes.replicaOf(vm);
    if (replica === null || receiving?.pointId !== id)
      throw failed('InvalidOperation', `nothing has arrived here for that point of '${vm.name}'`);
    try {
      for (const one of receiving.exports) await one.close();
      await replica.seal({ id, at, kind, layer: receiving.layer });
    } finally {
      await this.interrupt(vm);
    }
  }

  async prune(vm: VmRecord, kept: readonly RecoveryPoint[]): Promise<void> {
    const replica = await this.#parts.homes.replicaOf(vm);
    // A point that a test copy stands on is locked, and goes with a later one.
    await replica?.keep(new Set(kept.map(({ id }) => id))).catch(() => {});
  }

  /** What was on its way is thrown away. */
  async interrupt(vm: Pick<VmRecord, 'ref'>): Promise<void> {
    const folder = this.#parts.homes.folderOf(vm.ref);
    const receiving = this.#receiving.get(folder);
    this.#receiving.delete(folder);
    for (const one of receiving?.exports ?? []) await one.kill();
    for (const port of receiving?.ports ?? []) this.#taken.delete(port);
  }

  async close(): Promise<void> {
    for (const { exports } of this.#receiving.values()) for (const one of exports) await one.kill();
    this.#receiving.clear();
  }

  async #receive(vm: VmRecord, source: ReplicationSource, order: ReceiveOrder): Promise<typeof Room._output> {
    const { homes, identity, book, serverName } = this.#parts;
    await this.interrupt(vm);
    const common = await this.#common(vm, order.shared);
    const replica = await this.#replicaFor(vm, order, common);
    const folder = homes.folderOf(vm.ref);
    const layer = common?.layer ?? null;
    if (layer === order.layer) {
      this.#receiving.set(folder, { pointId: order.pointId, layer, exports: [], ports: [] });
      return { layer, serverName, exports: [] };
    }
    const credentials = await identity.under(source.pairingId, vm.ref.cloudId, book);
    const exports: NbdExport[] = [];
    const told: { disk: string; port: number; name: string }[] = [];
    try {
      for (const [disk, file] of await replica.begin(order.layer)) {
        const { opened, port, name } = await this.#open(file, credentials.folder, order.sender);
        exports.push(opened);
        told.push({ disk, port, name });
      }
    } catch (error) {
      for (const one of exports) await one.kill();
      for (const { port } of told) this.#taken.delete(port);
      throw error;
    }
    this.#receiving.set(folder, { pointId: order.pointId, layer: order.layer, exports, ports: told.map(({ port }) => port) });
    return { layer, serverName, exports: told };
  }

  /** The newest state that both ends hold; null where they share none. */
  async #common(vm: VmRecord, shared: readonly SharedPoint[]): Promise<SharedPoint | null> {
    const { homes } = this.#parts;
    const replica = await homes.replicaOf(vm);
    if (replica !== null) {
      const { newest } = replica;
      return shared.find(({ id, layer }) => id === newest?.id && layer === newest.layer) ?? null;
    }
    // A former primary: it goes back to what it has carried there itself.
    const own = (await Lineage.read(homes.folderOf(vm.ref))).points;
    return shared.findLast(({ id, layer }) => own.some((each) => each.id === id && each.layer === layer)) ?? null;
  }

  async #replicaFor(vm: VmRecord, { isFirst }: ReceiveOrder, common: SharedPoint | null): Promise<ReplicaDisks> {
    const { homes } = this.#parts;
    const replica = await homes.replicaOf(vm);
    if (replica !== null && (common !== null || replica.newest === null)) return replica;
    if (replica === null && common !== null) {
      const adopted = await homes.adopt(vm, common);
      await Lineage.end(homes.folderOf(vm.ref));
      return adopted;
    }
    if (!isFirst)
      throw failed('InvalidOperation', `the replica '${vm.name}' shares nothing with that primary: it needs a resynchronization`);
    await Lineage.end(homes.folderOf(vm.ref));
    return homes.makeReplica(vm);
  }

  async #open(file: string, credentials: string, sender: string) {
    const { clock, random, listen } = this.#parts;
    let refusal: unknown;
    for (let port = listen.ports.from; port <= listen.ports.to; port++) {
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      const name = random.uuid();
      try {
        return { opened: await NbdExport.open({ file, name, host: listen.host, port, credentials, sender }, clock), port, name };
      } catch (error) {
        this.#taken.delete(port);
        refusal = error;
        if (!String(error).includes('in use')) throw error;
      }
    }
    throw failed('OperationFailed', `no port from ${listen.ports.from} to ${listen.ports.to} is free to receive on`, refusal);
  }
}
