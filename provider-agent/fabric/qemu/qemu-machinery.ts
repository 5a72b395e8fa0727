/** The machinery of a site of real machines: what the rules of a site decide (site/machinery.ts) is done to QEMU, its disks and its host. */
import type { JobId, NetworkId, VmRef } from '../../../shared/ids.ts';
import { Lanes } from '../../../shared/lanes.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import type { NetworkExposure, RecoveryPoint } from '../fabric.ts';
import { cannotBeWritten } from '../site/carried-folder.ts';
import type { AskMachinery, Book, Machinery, VmNote } from '../site/machinery.ts';
import type { SentPoint } from '../site/replication-frames.ts';
import type { ReplicationSource } from '../site/replication-transport.ts';
import type { TestCopyRecord, Traits, VmRecord } from '../site/vm-record.ts';
import { clearCarried, takeInCarried, writeCarried } from './carried-copy.ts';
import { lockFolder } from './folder-lock.ts';
import type { Homes } from './homes.ts';
import { HostIdentity } from './host-identity.ts';
import type { HostSide } from './host-side.ts';
import { Lineage } from './lineage.ts';
import { Machines } from './machines.ts';
import { failed } from './qemu-error.ts';
import { Receiver } from './receiver.ts';
import { Reconciler } from './reconcile.ts';
import { Sender } from './sender.ts';
import { makeTestDisks } from './test-disks.ts';
import type { VmImages } from './vm-images.ts';

export interface QemuMachineryParts {
  readonly homes: Homes;
  readonly hostName: string;
  readonly serverName: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly listen: { readonly host: string; readonly ports: { readonly from: number; readonly to: number } };
  readonly images: VmImages;
  readonly host: HostSide;
  readonly clock: Clock;
  readonly random: Random;
}

interface Life {
  readonly book: Book;
  readonly sender: Sender;
  readonly receiver: Receiver;
}

export class QemuMachinery implements Machinery {
  readonly #parts: QemuMachineryParts;
  readonly #homes: Homes;
  readonly #machines: Machines;
  readonly #lanes = new Lanes();
  readonly #prunings = new Set<Promise<void>>();
  /** What a crash left of them could not be brought together yet: that comes before anything else is done to them. */
  readonly #unsettled = new Map<string, VmRef>();
  #life: Life | null = null;
  #reconciler: Reconciler | null = null;
  #unlock = () => {};

  constructor(parts: QemuMachineryParts) {
    this.#parts = parts;
    const { homes, host, accelerator, clock } = parts;
    this.#homes = homes;
    this.#machines = new Machines({ homes, host, accelerator, clock, onEnded: (ref) => void this.#lookAt(ref) });
  }

  takesMs = () => 0;
  copyMs = () => 0;
  guestStartMs = () => 0;

  async open(book: Book): Promise<void> {
    const { homes, hostName, serverName, listen, images, host, clock, random } = this.#parts;
    this.#unlock = lockFolder(homes.root);
    const machines = this.#machines;
    const identity = new HostIdentity(homes.root, hostName);
    const sender = new Sender({ homes, machines, identity, book, clock });
    const receiver = new Receiver({ homes, identity, book, clock, random, listen, serverName });
    this.#reconciler = new Reconciler({ homes, machines, images, host, book, machinery: this });
    for (const ref of await this.#reconciler.run()) this.#unsettled.set(turnOf(ref), ref);
    this.#life = { book, sender, receiver };
  }

  async close(): Promise<void> {
    await this.#life?.sender.close();
    await this.#life?.receiver.close();
    await Promise.all(this.#prunings);
    this.#machines.close();
    this.#unlock();
  }

  inTurn<T>(subject: Partial<VmRef>, work: () => Promise<T>): Promise<T> {
    const turn = turnOf(subject);
    return this.#lanes.run(turn, async () => {
      await this.#settle(turn);
      return work();
    });
  }

  async #settle(turn: string): Promise<void> {
    const left = this.#unsettled.get(turn);
    if (left === undefined) return;
    await this.#reconciler?.settle(left).catch((cause: unknown) => {
      throw failed('OperationFailed', 'what the last life of the agent left of that VM could not be brought together', cause);
    });
    this.#unsettled.delete(turn);
  }

  traitsForReplica({ traits }: VmRecord): Traits {
    return traits ?? {};
  }

  async start(vm: VmRecord): Promise<void> {
    await this.#apart(vm, () => this.#machines.start(vm));
  }

  shutDown(vm: VmRecord): Promise<void> {
    return this.#machines.shutDown(vm);
  }

  switchOff(vm: VmRecord): Promise<void> {
    return this.#machines.switchOff(vm);
  }

  guestAnswers(vm: VmRecord): Promise<boolean> {
    return this.#machines.guestAnswers(vm);
  }

  async remove(vm: VmRecord): Promise<void> {
    await this.#machines.switchOff(vm);
    await this.#life?.receiver.interrupt(vm);
    await this.#apart(vm, () => this.#homes.remove(vm));
  }

  writeNote(vm: VmRecord, note: VmNote): Promise<void> {
    return this.#homes.writeNote(vm, note);
  }

  async failOver(vm: VmRecord, { id }: RecoveryPoint): Promise<void> {
    await this.#life?.receiver.interrupt(vm);
    const replica = await this.#homes.replicaOf(vm);
    const point = replica?.points.find((each) => each.id === id);
    if (replica === null || point === undefined)
      throw failed('ObjectNotFound', `the disks of '${vm.name}' do not hold that recovery point`);
    await replica.failOver(point);
  }

  async takeBack(vm: VmRecord): Promise<void> {
    const replica = await this.#homes.replicaOf(vm);
    if (replica === null)
      throw failed('InvalidOperation', `'${vm.name}' sends to the other end already: its failover cannot be taken back`);
    await replica.takeBack();
  }

  async commit(vm: VmRecord): Promise<void> {
    const replica = await this.#homes.replicaOf(vm);
    if (replica !== null && replica.failoverPoint !== null) await replica.commit();
  }

  async becomePrimary(vm: VmRecord): Promise<void> {
    const replica = await this.#homes.replicaOf(vm);
    if (replica === null) return;
    await this.commit(vm);
    const point = replica.failoverPoint;
    if (point === null) throw failed('InvalidOperation', `the disks of '${vm.name}' were not failed over`);
    const { id, at, layer } = point;
    await Lineage.begin(this.#homes.folderOf(vm.ref), { id, at, layer }, replica.base ?? 0);
    await this.#homes.endReplica(vm);
  }

  /** Where the point is not known yet, the first increment says it: until then the disks are left as they are. */
  becomeReplica(vm: VmRecord, pointId: string | null): Promise<void> {
    return this.#apart(vm, () => this.#adopt(vm, pointId));
  }

  async #adopt(vm: VmRecord, pointId: string | null): Promise<void> {
    if (pointId === null || (await this.#homes.replicaOf(vm))?.newest?.id === pointId) return;
    const folder = this.#homes.folderOf(vm.ref);
    const point = (await Lineage.read(folder)).points.find(({ id }) => id === pointId);
    if (point === undefined) throw failed('ObjectNotFound', `the disks of '${vm.name}' do not hold the point that it was prepared with`);
    await this.#homes.adopt(vm, point);
    await Lineage.end(folder);
  }

  async endReplication(vm: VmRecord): Promise<void> {
    await this.#apart(vm, () => Lineage.end(this.#homes.folderOf(vm.ref)));
    await this.#life?.receiver.interrupt(vm);
    const replica = await this.#homes.replicaOf(vm);
    if (replica === null) return;
    await this.commit(vm);
    if (replica.failoverPoint === null) await replica.dropUnfinished();
    await this.#homes.endReplica(vm);
  }

  async makeTestCopy(copy: TestCopyRecord, vm: VmRecord): Promise<void> {
    const replica = await this.#homes.replicaOf(vm);
    const point = replica?.points.find(({ id }) => id === copy.testCopy.point.id);
    if (replica === null || point === undefined)
      throw failed('ObjectNotFound', `the disks of '${vm.name}' do not hold that recovery point`);
    await this.#homes.writeNote(copy, { epoch: 0, failover: null });
    const files = this.#homes.disksOf(vm).map(({ name }) => ({ disk: name, file: replica.fileAt(point, name) }));
    await makeTestDisks(this.#homes.folderOf(copy.ref), files);
  }

  makeDrillNetwork(drill: JobId): Promise<void> {
    return this.#parts.host.makeDrillNetwork(drill);
  }

  removeDrillNetwork(drill: JobId): Promise<void> {
    return this.#parts.host.removeDrillNetwork(drill);
  }

  exposure(network: NetworkId, booked: NetworkExposure): Promise<NetworkExposure> {
    return this.#parts.host.exposure(network, booked);
  }

  async carry(vm: VmRecord, point: SentPoint, ask: AskMachinery): Promise<SentPoint> {
    // Outside of its turn where it is due by itself; within one it is settled.
    if (this.#unsettled.has(turnOf(vm.ref))) await this.inTurn(vm.ref, () => Promise.resolve());
    return this.#begun.sender.carry(vm, point, ask);
  }

  async exportFirstCopy(vm: VmRecord, point: SentPoint, folder: string): Promise<void> {
    const disks = this.#homes.disksOf(vm);
    const own = await clearCarried(vm, folder, disks);
    try {
      await this.#begun.sender.freezeFor(vm, point, (daemon, { layer, at }) =>
        writeCarried(daemon, own, disks, { point: { ...point, at }, layer }, this.#parts.clock),
      );
    } catch (cause) {
      await clearCarried(vm, folder, disks).catch(() => {});
      throw cannotBeWritten(folder, cause);
    }
  }

  async importFirstCopy(vm: VmRecord, folder: string): Promise<SentPoint> {
    await this.#begun.receiver.interrupt(vm);
    return takeInCarried(this.#homes, vm, folder);
  }

  answer(vm: VmRecord, source: ReplicationSource, message: unknown): Promise<unknown> {
    return this.#begun.receiver.answer(vm, source, message);
  }

  async seal(vm: VmRecord, point: SentPoint, kept: readonly RecoveryPoint[]): Promise<void> {
    const { receiver } = this.#begun;
    await receiver.seal(vm, point);
    // The sender does not wait for it; what comes next for this VM does.
    const pruning = this.inTurn(vm.ref, () => receiver.prune(vm, kept)).finally(() => this.#prunings.delete(pruning));
    this.#prunings.add(pruning);
  }

  #apart<T>({ ref }: VmRecord, work: () => Promise<T>): Promise<T> {
    return this.#life === null ? work() : this.#life.sender.apart(ref, work);
  }

  get #begun(): Life {
    if (this.#life === null) throw failed('InvalidOperation', 'the site is not open');
    return this.#life;
  }

  /** After what was being done to it, which says itself what became of it. */
  async #lookAt(ref: VmRef): Promise<void> {
    await this.inTurn(ref, async () => {
      const vm = this.#life?.book.vms.find(ref);
      if (vm?.power === 'running' && (await this.#machines.find(vm)) === null) this.#life?.book.foundPower(ref, 'off');
    }).catch(() => {});
  }
}

function turnOf({ cloudId, vmId }: Partial<VmRef>): string {
  return `${cloudId ?? ''} ${vmId ?? ''}`;
}
