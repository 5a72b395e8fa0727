/**
 * When a site opens: what a crash left is brought together. The book says what each VM is to the other end, and its disks are made to fit; the
 * machines say what runs, and the note beside the disks what was promised there. Nothing is decided here that was not decided before.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { VmRef } from '../../../shared/ids.ts';
import type { Book, Machinery } from '../site/machinery.ts';
import { noteOf, type VmRecord } from '../site/vm-record.ts';
import type { Homes } from './homes.ts';
import type { HostSide } from './host-side.ts';
import { Lineage } from './lineage.ts';
import type { Machines } from './machines.ts';
import { pidIn } from './programs.ts';
import type { ReplicaDisks } from './replica-disks.ts';
import { bringIn, type VmImages } from './vm-images.ts';

export interface ReconcilerParts {
  readonly homes: Homes;
  readonly machines: Machines;
  readonly images: VmImages;
  readonly host: HostSide;
  readonly book: Book;
  readonly machinery: Machinery;
}

export class Reconciler {
  readonly #parts: ReconcilerParts;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Gives those of which it could not be done, as when a machine hangs or a file is damaged: they hold up nobody else. */
  async run(): Promise<VmRef[]> {
    const { book, host } = this.#parts;
    const left: VmRef[] = [];
    const vms = [...book.vms.changedSince(0), ...book.vms.testCopies()];
    await this.#endHelpers();
    await this.#removeUnknownCopies(vms);
    for (const { ref } of vms) await this.settle(ref).catch(() => left.push(ref));
    await host.open(book);
    return left;
  }

  async settle(ref: VmRef): Promise<void> {
    await this.#settleNote(ref);
    const vm = this.#parts.book.vms.find(ref);
    if (vm === null) return;
    await this.#settleDisks(vm);
    await this.#settlePower(vm);
  }

  /** Programs of the last life that had disks open, for an end that no longer knows of them. */
  async #endHelpers(): Promise<void> {
    for (const folder of await this.#parts.homes.folders()) {
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        const files = entry.isDirectory()
          ? (await readdir(join(folder, entry.name))).map((name) => join(folder, entry.name, name))
          : [join(folder, entry.name)];
        for (const file of files) if (/(qcow2|storage)\.pid$/.test(file)) await endHelper(file);
      }
    }
  }

  /** Of a drill whose book never heard of them. */
  async #removeUnknownCopies(vms: readonly VmRecord[]): Promise<void> {
    const { homes, machines } = this.#parts;
    const known = new Set(vms.map(({ ref }) => homes.folderOf(ref)));
    for (const folder of await homes.folders()) {
      const note = known.has(folder) ? null : await homes.noteIn(folder).catch(() => null);
      if (note?.isTestCopy !== true) continue;
      await machines.endAt(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #settleNote(ref: VmRef): Promise<void> {
    const { homes, book } = this.#parts;
    const vm = book.vms.find(ref);
    const note = await homes.noteIn(homes.folderOf(ref));
    if (vm === null || note === null) return;
    if (note.epoch > vm.epoch) book.vms.put({ ...vm, epoch: note.epoch });
    const failover = noteOf(vm);
    // A failover that the book does not know is none: its disks are put back below.
    if (note.failover?.commandId !== failover?.commandId) await homes.writeNote(vm, { epoch: Math.max(note.epoch, vm.epoch), failover });
  }

  async #settleDisks(vm: VmRecord): Promise<void> {
    const { homes, machines, images, book, machinery } = this.#parts;
    const { mode, state } = vm.replication;
    const own = images(vm.ref);
    if (mode === 'none' && own.length > 0 && !(await homes.isThere(vm.ref)) && vm.testCopy === undefined) {
      await bringIn(homes, vm.ref, own);
      if (vm.power === 'running') await machinery.start(vm);
      return;
    }
    const replica = await homes.replicaOf(vm);
    if (replica === null) return;
    if (mode === 'primary') return replica.failoverPoint === null ? this.#goesOnAsPrimary(vm, replica) : machinery.becomePrimary(vm);
    if (mode === 'none') return machinery.endReplication(vm);
    const over = vm.replication.replica?.failover ?? null;
    if (over !== null) {
      if (replica.failoverPoint === null) await machinery.failOver(vm, over.recoveryPoint);
      if (state === 'failedOver') await machinery.commit(vm);
      return;
    }
    if (replica.failoverPoint !== null) {
      await machines.switchOff(vm);
      await replica.takeBack();
    }
    const there = new Set(replica.points.map(({ id }) => id));
    book.points.retain(vm.ref, there);
  }

  /** The other end had asked for its place, and did not hear that it has it: it asks again. */
  async #goesOnAsPrimary(vm: VmRecord, { newest, base }: ReplicaDisks): Promise<void> {
    const { homes } = this.#parts;
    if (newest === null) return;
    await Lineage.begin(homes.folderOf(vm.ref), { id: newest.id, at: newest.at, layer: newest.layer }, base ?? 0);
    await homes.endReplica(vm);
  }

  async #settlePower(vm: VmRecord): Promise<void> {
    const { machines, book } = this.#parts;
    const isRunning = (await machines.find(vm)) !== null;
    if (isRunning !== (vm.power === 'running')) book.foundPower(vm.ref, isRunning ? 'running' : 'off');
  }
}

async function endHelper(pidFile: string): Promise<void> {
  const pid = await pidIn(pidFile);
  if (pid !== null) process.kill(pid, 'SIGKILL');
  await rm(pidFile, { force: true });
}
