/** The machines of a site that run. They outlive the agent, and what it finds of them is the truth: one whose process has gone is off. */
import { z } from 'zod';
import type { VmRef } from '../../../shared/ids.ts';
import type { Clock } from '../../../shared/ports.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { takesConnection } from '../takes-connection.ts';
import type { Homes } from './homes.ts';
import type { HostSide } from './host-side.ts';
import { Layers } from './layers.ts';
import { Lineage } from './lineage.ts';
import { Machine } from './machine.ts';
import { MachineTraits } from './machine-traits.ts';
import { failed } from './qemu-error.ts';

const MIB = 1024 * 1024;
const SERIAL_BYTES = 65_536;
const ANSWER_MS = 2_000;
/** Time for QEMU to write what it holds; then it is killed. */
const QUIT_MS = 30_000;
const PRESS_EVERY_MS = 5_000;

export interface MachinesParts {
  readonly homes: Homes;
  readonly host: HostSide;
  readonly accelerator: 'kvm' | 'tcg';
  readonly clock: Clock;
  /** Its process has ended, whoever ended it. */
  onEnded(ref: VmRef): void;
}

export class Machines {
  readonly #parts: MachinesParts;
  readonly #known = new Map<string, Machine>();
  /** Folders of those whose guest has said what it says when it is up. */
  readonly #heard = new Set<string>();
  #isClosed = false;

  constructor(parts: MachinesParts) {
    this.#parts = parts;
  }

  /** Null where it does not run. */
  async find(vm: VmRecord): Promise<Machine | null> {
    const { homes, clock } = this.#parts;
    const folder = homes.folderOf(vm.ref);
    const known = this.#known.get(folder);
    if (known !== undefined) return known;
    const found = await Machine.find(folder, await homes.layersOf(vm), clock);
    return found === null ? null : this.#watch(vm, found);
  }

  /** On its highest layer, with a new one over what has left for the other end: that must not change any more. */
  async start(vm: VmRecord): Promise<void> {
    if ((await this.find(vm)) !== null) return;
    const { homes, host, accelerator, clock } = this.#parts;
    const folder = homes.folderOf(vm.ref);
    const layers = await homes.layersOf(vm);
    const top = await layers.level();
    const left = (await Lineage.read(folder)).highest;
    if (left !== null && top <= left) await layers.add(top, top + 1);
    const { bus } = MachineTraits.parse(vm.traits ?? {});
    const serial = ['-chardev', `ringbuf,id=serial,size=${SERIAL_BYTES}`, '-device', 'isa-serial,chardev=serial'];
    const more = ['-smp', String(vm.cores), ...serial, ...(await host.equip(vm, folder))];
    const memoryMib = Math.max(1, Math.floor(vm.memoryBytes / MIB));
    this.#heard.delete(folder);
    this.#watch(vm, await Machine.start(folder, layers, { accelerator, memoryMib, bus, address: null, more }, clock));
  }

  /** Throws where it still runs when its time is over; it goes on then. */
  async shutDown(vm: VmRecord): Promise<void> {
    const machine = await this.find(vm);
    if (machine === null) return;
    const { shutDown, shutDownSeconds } = MachineTraits.parse(vm.traits ?? {});
    if (shutDown === 'stop') {
      await machine.qmp.run('stop');
      return this.switchOff(vm);
    }
    const { clock, host } = this.#parts;
    const ended = machine.ended();
    // A guest that is just starting does not hear the button, and hears it later.
    for (let left = shutDownSeconds * 1000; left > 0; left -= PRESS_EVERY_MS) {
      await machine.qmp.run('system_powerdown').catch(() => {});
      if (await within(Math.min(left, PRESS_EVERY_MS), ended, clock)) return host.release(vm);
    }
    throw failed('OperationTimeout', `the guest of '${vm.name}' did not shut itself down within ${shutDownSeconds} s`);
  }

  async switchOff(vm: VmRecord): Promise<void> {
    const machine = await this.find(vm);
    if (machine !== null && !(await within(QUIT_MS, machine.quit(), this.#parts.clock))) await machine.kill();
    await this.#parts.host.release(vm);
  }

  async guestAnswers(vm: VmRecord): Promise<boolean> {
    const { answers } = MachineTraits.parse(vm.traits ?? {});
    const machine = await this.find(vm);
    if (machine === null) return false;
    if (answers === 'running') return machine.isRunning();
    if ('says' in answers) return this.#hasSaid(vm, machine, answers.says);
    const addresses = vm.adapters.flatMap(({ connected }) => connected?.address ?? []);
    for (const address of addresses) if (await takesConnection(address, answers.port, ANSWER_MS)) return true;
    return false;
  }

  /** A machine that the book does not know. */
  async endAt(folder: string): Promise<void> {
    await (await Machine.find(folder, new Layers(folder, []), this.#parts.clock))?.kill();
  }

  close(): void {
    this.#isClosed = true;
    for (const machine of this.#known.values()) machine.qmp.close();
    this.#known.clear();
  }

  async #hasSaid(vm: VmRecord, machine: Machine, text: string): Promise<boolean> {
    const folder = this.#parts.homes.folderOf(vm.ref);
    if (this.#heard.has(folder)) return true;
    const said = z.string().parse(await machine.qmp.run('ringbuf-read', { device: 'serial', size: SERIAL_BYTES, format: 'base64' }));
    const isHeard = Buffer.from(said, 'base64').toString('latin1').includes(text);
    if (isHeard) this.#heard.add(folder);
    return isHeard;
  }

  #watch({ ref }: VmRecord, machine: Machine): Machine {
    const folder = this.#parts.homes.folderOf(ref);
    this.#known.set(folder, machine);
    machine.qmp.onClosed = () => {
      if (this.#known.get(folder) === machine) this.#known.delete(folder);
      if (!this.#isClosed) this.#parts.onEnded(ref);
    };
    return machine;
  }
}

/** False: not within the time; what was waited for goes on. */
async function within(limitMs: number, what: Promise<unknown>, clock: Clock): Promise<boolean> {
  let cancel = () => {};
  const limit = new Promise<boolean>((resolve) => {
    cancel = clock.after(limitMs, () => resolve(false));
  });
  try {
    return await Promise.race([what.then(() => true), limit]);
  } finally {
    cancel();
  }
}
