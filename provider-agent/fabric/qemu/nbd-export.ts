/**
 * Where the increment of one disk arrives: a qemu-nbd process for one file and one sender, over TLS with a certificate on both ends. The
 * export has a name that only the sender was told, and the sender's certificate must carry the subject that it told on its
 * proven connection: neither another host of the vault nor an export of another replica is reached by it.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { type Clock, pause } from '../../../shared/ports.ts';
import { type Helper, startHelper } from './programs.ts';
import { failed } from './qemu-error.ts';

const READY_MS = 10_000;
const LOOK_EVERY_MS = 10;
const CLOSED_WITHIN_MS = 60_000;

export interface ExportOrder {
  readonly file: string;
  /** Known to the sender alone; letters and digits. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The folder of the host's certificates (credentials.ts). */
  readonly credentials: string;
  /** The subject of the sender's certificate. */
  readonly sender: string;
}

export class NbdExport {
  readonly #child: ChildProcess;
  readonly #said: () => string;
  readonly #clock: Clock;

  private constructor({ child, said }: Helper, clock: Clock) {
    this.#child = child;
    this.#said = said;
    this.#clock = clock;
  }

  /** Resolves when it listens. Throws ERR_FABRIC_FAILED with what qemu-nbd said, as when the port is taken. */
  static async open(order: ExportOrder, clock: Clock): Promise<NbdExport> {
    const pidFile = `${order.file}.pid`;
    await rm(pidFile, { force: true });
    const helper = startHelper('qemu-nbd', argumentsOf(order, pidFile));
    const opened = new NbdExport(helper, clock);
    const until = clock.now() + READY_MS;
    try {
      await once(helper.child, 'spawn');
      // It writes the file when it listens.
      while ((await readFile(pidFile, 'utf8').catch(() => '')) === '') {
        if (!opened.isRunning) throw new Error(opened.said);
        if (clock.now() > until) throw new Error('it does not listen in time');
        await pause(clock, LOOK_EVERY_MS);
      }
      return opened;
    } catch (cause) {
      helper.child.kill('SIGKILL');
      throw failed('OperationFailed', `qemu-nbd for ${order.file}`, cause);
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it said on its error output; why a sender was turned away stands only here. */
  get said(): string {
    return this.#said();
  }

  /** Everything that came is in the file when it resolves. Throws ERR_FABRIC_FAILED when it ended otherwise: nothing may be sealed then. */
  async close(): Promise<void> {
    if (this.isRunning) {
      this.#child.kill('SIGTERM');
      const cancel = this.#clock.after(CLOSED_WITHIN_MS, () => this.#child.kill('SIGKILL'));
      await once(this.#child, 'exit');
      cancel();
    }
    if (this.#child.exitCode !== 0) throw failed('OperationFailed', 'qemu-nbd did not end by itself', new Error(this.said));
  }

  /** What came is thrown away. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

function argumentsOf({ file, name, host, port, credentials, sender }: ExportOrder, pidFile: string): string[] {
  return [
    // A comma in a value is written twice.
    ['--object', `tls-creds-x509,id=tls,endpoint=server,verify-peer=on,dir=${credentials.replaceAll(',', ',,')}`],
    ['--object', `authz-simple,id=sender,identity=${sender.replaceAll(',', ',,')}`, '--tls-creds', 'tls', '--tls-authz', 'sender'],
    ['--persistent', '--shared', '1', '--discard', 'unmap', '--detect-zeroes', 'unmap', '--pid-file', pidFile],
    ['--bind', host, '--port', String(port), '--export-name', name, '--format', 'qcow2', file],
  ].flat();
}
