/**
 * Brings an increment of a VM to the other end: freezes its disks, asks for room there, and has QEMU send what is missing. The network
 * reads only from what is frozen, so nothing that goes wrong here can reach the guest; what did not arrive is sent with the next one.
 */
import type { VmRef } from '../../../shared/ids.ts';
import { Lanes, Slots } from '../../../shared/lanes.ts';
import type { Clock } from '../../../shared/ports.ts';
import { splitAddress } from '../peer/tls-transport.ts';
import type { AskMachinery, Book } from '../site/machinery.ts';
import type { SentPoint } from '../site/replication-frames.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { type CarrierOrder, Held, Room } from './carrier-frames.ts';
import type { Homes } from './homes.ts';
import type { HostIdentity } from './host-identity.ts';
import { sendIncrement } from './increment.ts';
import { Lineage } from './lineage.ts';
import type { Machine } from './machine.ts';
import type { Machines } from './machines.ts';
import { failed } from './qemu-error.ts';
import { StorageDaemon } from './storage-daemon.ts';

/** Increments at once: each takes a process at the other end and two cores are soon busy with encryption. */
const AT_ONCE = 4;
/** Frozen layers that nobody took pile up to so many; then the last one is sent as it is. */
const UNSENT_MOST = 4;

export interface SenderParts {
  readonly homes: Homes;
  readonly machines: Machines;
  readonly identity: HostIdentity;
  readonly book: Pick<Book, 'preparations'>;
  readonly clock: Clock;
}

interface Frozen {
  readonly layer: number;
  readonly at: number;
}

export class Sender {
  readonly #parts: SenderParts;
  readonly #lanes = new Lanes();
  readonly #slots = new Slots(AT_ONCE);
  readonly #daemons = new Map<string, StorageDaemon>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  async carry(vm: VmRecord, point: SentPoint, ask: AskMachinery): Promise<SentPoint> {
    return this.#lanes.run(this.#parts.homes.folderOf(vm.ref), () => this.#slots.run(() => this.#carry(vm, point, ask)));
  }

  /**
   * Freezes what the disks hold, for a first copy that is carried otherwise: from here on the other end may have it. Freezing it again
   * and again is no harm, since the layers pile up only so far.
   */
  async freezeFor(vm: VmRecord, point: SentPoint, work: (daemon: StorageDaemon, what: Frozen) => Promise<void>): Promise<void> {
    const { homes, machines } = this.#parts;
    const folder = homes.folderOf(vm.ref);
    await this.#lanes.run(folder, async () => {
      const lineage = await Lineage.read(folder);
      const machine = await machines.find(vm);
      const frozen = machine === null ? null : await this.#freeze(machine, lineage, null);
      await this.#withDaemon(vm, frozen, async (daemon, what) => {
        await lineage.add({ id: point.id, at: what.at, layer: what.layer });
        await work(daemon, what);
      });
    });
  }

  /** Nothing of ours has the disks of the VM open meanwhile, but its machine. An increment that was under way comes with the next one. */
  async apart<T>(ref: VmRef, work: () => Promise<T>): Promise<T> {
    const folder = this.#parts.homes.folderOf(ref);
    await this.#daemons.get(folder)?.close();
    return this.#lanes.run(`disks ${folder}`, work);
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons.values()) await daemon.close();
  }

  async #carry(vm: VmRecord, point: SentPoint, ask: AskMachinery): Promise<SentPoint> {
    const { homes, machines } = this.#parts;
    const folder = homes.folderOf(vm.ref);
    const lineage = await Lineage.read(folder);
    const say = (order: CarrierOrder) => ask(order);
    // Nobody freezes for an end that is not there: layers would pile up.
    const { layer: held } = Held.parse(await say({ ask: 'held', shared: [...lineage.points] }));
    if (held === null && vm.replication.state === 'waitingForInitialReplication')
      throw failed('InvalidOperation', `the first copy of '${vm.name}' has not been taken in at the other end yet`);
    const machine = await machines.find(vm);
    const frozen = machine === null ? null : await this.#freeze(machine, lineage, held);
    const sent = await this.#withDaemon(vm, frozen, (daemon, what) => this.#send(vm, point, say, daemon, what));
    if (machine !== null && held !== null) {
      await (await Lineage.read(folder)).merges(held);
      // What could not be merged is with the next increment; the point has arrived.
      await machine.merge(held).catch(() => {});
    }
    return sent;
  }

  async #freeze(machine: Machine, lineage: Lineage, held: number | null): Promise<Frozen> {
    const unsent = lineage.points.filter(({ layer }) => layer > (held ?? -1));
    const last = unsent.at(-1);
    if (unsent.length >= UNSENT_MOST && last !== undefined && last.layer < (await machine.activeLayer())) return last;
    const at = this.#parts.clock.now();
    return { layer: await machine.freeze(), at };
  }

  async #send(
    vm: VmRecord,
    point: SentPoint,
    say: (order: CarrierOrder) => Promise<unknown>,
    daemon: StorageDaemon,
    { layer, at }: Frozen,
  ): Promise<SentPoint> {
    const { homes, identity, book, clock } = this.#parts;
    const { primary } = vm.replication;
    if (primary === null) throw failed('InvalidOperation', `'${vm.name}' is no primary`);
    const folder = homes.folderOf(vm.ref);
    const lineage = await Lineage.read(folder);
    const shared = [...lineage.points];
    const credentials = await identity.under(primary.pairingId, vm.ref.cloudId, book);
    // A daemon that was ended says so here, before anything is promised of its disks.
    await daemon.qmp.run('query-jobs');
    await lineage.add({ id: point.id, at, layer });
    const order = { ask: 'receive', shared, pointId: point.id, layer, isFirst: point.isFirst, sender: credentials.subject } as const;
    const room = Room.parse(await say(order));
    if (room.exports.length > 0) {
      const layers = await homes.layersOf(vm);
      const [disk = ''] = layers.disks;
      const missing = (await layers.of(disk)).filter((each) => each <= layer && each > (room.layer ?? 0));
      const { host } = splitAddress(primary.target.address);
      const exports = new Map(
        room.exports.map(({ disk: name, port, name: exported }) => [name, { host, port, name: exported, serverName: room.serverName }]),
      );
      await sendIncrement(
        daemon,
        { layers: [...(room.layer === null ? [0] : []), ...missing], exports, credentials: credentials.folder },
        clock,
      );
    }
    return { ...point, at };
  }

  /** `frozen` null: the VM does not run, and all that it holds is. */
  async #withDaemon<T>(vm: VmRecord, frozen: Frozen | null, work: (daemon: StorageDaemon, what: Frozen) => Promise<T>): Promise<T> {
    const { homes, machines, clock } = this.#parts;
    const folder = homes.folderOf(vm.ref);
    return this.#lanes.run(`disks ${folder}`, async () => {
      if (frozen === null && (await machines.find(vm)) !== null) throw failed('InvalidOperation', `'${vm.name}' was started meanwhile`);
      const layers = await homes.layersOf(vm);
      const what = frozen ?? { at: clock.now(), layer: await layers.level() };
      const daemon = await StorageDaemon.open(folder, layers, clock, frozen?.layer);
      this.#daemons.set(folder, daemon);
      try {
        return await Promise.race([work(daemon, what), daemon.ended]);
      } finally {
        this.#daemons.delete(folder);
        await daemon.close();
      }
    });
  }
}
