/**
 * Sends what is frozen: the base in whole, or the clusters of the layers over it, from the QEMU that has them open to the exports
 * of the other end. The network never stands between a guest and its disk: what is read here no longer changes.
 */
import type { Clock } from '../../../shared/ports.ts';
import { nodeOf } from './layers.ts';
import { runJob } from './machine.ts';
import { failed } from './qemu-error.ts';
import type { Qmp } from './qmp.ts';

export interface ExportAddress {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** The name that its certificate must carry. */
  readonly serverName: string;
}

export interface Increment {
  /** The layers to send, lowest first; the base is layer 0 and is sent in whole. */
  readonly layers: readonly number[];
  /** By disk. */
  readonly exports: ReadonlyMap<string, ExportAddress>;
  /** The folder of this host's certificates. */
  readonly credentials: string;
}

/** Measured: 182 MB/s over TLS against 120 with the defaults. */
const PACE = { 'max-workers': 64, 'max-chunk': 4 * 1024 * 1024 };

/** All disks one after the other. Throws ERR_FABRIC_FAILED; what arrived by then must not be sealed. */
export async function sendIncrement(qmp: Qmp, { layers, exports, credentials }: Increment, clock: Clock): Promise<void> {
  const tls = { 'qom-type': 'tls-creds-x509', id: 'replication', endpoint: 'client', 'verify-peer': true, dir: credentials };
  await qmp.run('object-del', { id: tls.id }).catch(() => {}); // of an increment that broke off
  await qmp.run('object-add', tls);
  try {
    for (const [disk, address] of exports) await sendDisk(qmp, disk, layers, address, tls.id, clock);
  } finally {
    await qmp.run('object-del', { id: tls.id }).catch(() => {});
  }
}

async function sendDisk(qmp: Qmp, disk: string, layers: readonly number[], to: ExportAddress, tls: string, clock: Clock): Promise<void> {
  const node = `${disk}-export`;
  await qmp.run('blockdev-del', { 'node-name': node }).catch(() => {}); // of an increment that broke off
  const server = { type: 'inet', host: to.host, port: String(to.port) };
  await qmp.run('blockdev-add', {
    driver: 'nbd',
    'node-name': node,
    server,
    export: to.name,
    'tls-creds': tls,
    'tls-hostname': to.serverName,
  });
  try {
    for (const layer of layers) {
      const parts = { device: nodeOf(disk, layer), target: node, sync: layer === 0 ? 'full' : 'top', 'x-perf': PACE };
      await runJob(qmp, clock, `send-${disk}`, 'blockdev-backup', parts);
    }
  } catch (cause) {
    throw failed('OperationFailed', `disk ${disk} could not be sent`, cause);
  } finally {
    // Removing it flushes the other end: only then everything has arrived.
    await qmp.run('blockdev-del', { 'node-name': node });
  }
}
