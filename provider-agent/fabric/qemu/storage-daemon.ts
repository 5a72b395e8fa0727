/**
 * QEMU's storage daemon: has the frozen layers of a VM open, for reading alone, and sends them. The QEMU that runs the guest never speaks to the network
 * about disks: it would stand still, guest and all, while it connects to an end that hangs (measured with 7.2).
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../shared/ports.ts';
import type { Layers } from './layers.ts';
import { startHelper } from './programs.ts';
import { failed } from './qemu-error.ts';
import { Qmp } from './qmp.ts';

const READY_MS = 10_000;

export class StorageDaemon {
  readonly qmp: Qmp;
  /** Rejects when its process is gone. */
  readonly ended: Promise<never>;
  readonly #child: ChildProcess;

  private constructor(qmp: Qmp, child: ChildProcess, ended: Promise<never>) {
    this.qmp = qmp;
    this.#child = child;
    this.ended = ended;
  }

  /**
   * With `upTo` of a VM that runs: what is frozen up to that layer. Else of one that does not, with all its layers; throws
   * ERR_FABRIC_FAILED where it runs all the same: QEMU has locked its disks then.
   */
  static async open(folder: string, layers: Layers, clock: Clock, upTo?: number): Promise<StorageDaemon> {
    const socket = join(folder, 'storage');
    await rm(socket, { force: true });
    const top = upTo ?? (await layers.level());
    const nodes = (await Promise.all(layers.disks.map((disk) => layers.nodes(disk, top, false)))).flat();
    const blockdevs = nodes.flatMap((node) => ['--blockdev', JSON.stringify(node)]);
    const monitor = [
      '--chardev',
      `socket,id=monitor,path=${socket.replaceAll(',', ',,')},server=on,wait=off`,
      '--monitor',
      'chardev=monitor',
      '--pidfile',
      join(folder, 'storage.pid'),
    ];
    const { child, said } = startHelper('qemu-storage-daemon', [...blockdevs, ...monitor]);
    const ended = once(child, 'exit').then(() => {
      throw failed('OperationFailed', `qemu-storage-daemon: ${said()}`);
    });
    try {
      return new StorageDaemon(await Promise.race([Qmp.open(socket, clock, READY_MS), ended]), child, ended);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      ended.catch(() => {});
    }
  }

  /** It only reads, and may hang: what was sent has been flushed at the other end before, or does not count. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    this.qmp.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
