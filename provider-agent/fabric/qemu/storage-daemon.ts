/** QEMU's storage daemon: has the disks of a VM open that does not run, for reading alone, so that what is still to be sent can be. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../shared/ports.ts';
import type { Layers } from './layers.ts';
import { withoutRights } from './programs.ts';
import { failed } from './qemu-error.ts';
import { Qmp } from './qmp.ts';

const READY_MS = 10_000;
const LAST_WORDS_BYTES = 4_096;

export class StorageDaemon {
  readonly qmp: Qmp;
  readonly #child: ChildProcess;

  private constructor(qmp: Qmp, child: ChildProcess) {
    this.qmp = qmp;
    this.#child = child;
  }

  /** Throws ERR_FABRIC_FAILED with what it said, as when the VM runs: QEMU has locked its disks then. */
  static async open(folder: string, layers: Layers, clock: Clock): Promise<StorageDaemon> {
    const socket = join(folder, 'storage');
    await rm(socket, { force: true });
    const top = await layers.level();
    const nodes = (await Promise.all(layers.disks.map((disk) => layers.nodes(disk, top, false)))).flat();
    const blockdevs = nodes.flatMap((node) => ['--blockdev', JSON.stringify(node)]);
    const monitor = [
      '--chardev',
      `socket,id=monitor,path=${socket.replaceAll(',', ',,')},server=on,wait=off`,
      '--monitor',
      'chardev=monitor',
    ];
    const [program, ...args] = withoutRights('qemu-storage-daemon', [...blockdevs, ...monitor]);
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-LAST_WORDS_BYTES);
    });
    const ended = once(child, 'exit').then(() => {
      throw failed('OperationFailed', `qemu-storage-daemon: ${said.trim()}`);
    });
    try {
      return new StorageDaemon(await Promise.race([Qmp.open(socket, clock, READY_MS), ended]), child);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      ended.catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.qmp.run('quit').catch(() => {});
    this.qmp.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
