/**
 * The first copy of a disk to the other site, over TLS, against `qemu-img convert` into the same kind of export in the same run: one warm-up, then
 * both in turns. What it must reach is 0.8 of the rate of the rival.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sendIncrement } from '../../provider-agent/fabric/qemu/increment.ts';
import { mistakesOfPrograms } from '../../provider-agent/fabric/qemu/programs.ts';
import { ReplicaDisks } from '../../provider-agent/fabric/qemu/replica-disks.ts';
import { StorageDaemon } from '../../provider-agent/fabric/qemu/storage-daemon.ts';
import { systemClock as clock } from '../../shared/system-ports.ts';
import { QemuSide } from '../support/qemu-pair.ts';

const MIB = 1024 * 1024;
const DATA_MIB = 256;
const REPEATS = 5;
const LIMIT = 0.8;

const mistakes = await mistakesOfPrograms();
if (mistakes.length > 0) console.log(`not measured: ${mistakes.join('; ')}`);
else await measure();

async function measure(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'fb-'));
  const disks = [{ name: 'd0', sizeBytes: DATA_MIB * MIB }];
  try {
    const [from, to] = [await QemuSide.make(root, 'reading'), await QemuSide.make(root, 'slough')];
    await mkdir(join(from.folder, 'd0'));
    await writeFile(join(root, 'raw'), randomBytes(MIB));
    for (let mib = 1; mib < DATA_MIB; mib++) await writeFile(join(root, 'raw'), randomBytes(MIB), { flag: 'a' });
    const base = join(from.folder, 'd0', 'base.qcow2');
    await promisify(execFile)('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(root, 'raw'), base]);
    const daemon = await StorageDaemon.open(from.folder, from.layers, clock);

    const copy = async (send: (address: { host: string; port: number; name: string; serverName: string }) => Promise<unknown>) => {
      await rm(to.folder, { recursive: true });
      await mkdir(to.folder);
      to.replica = await ReplicaDisks.open(to.folder, disks);
      const { exports, addresses } = await to.receive(0, from.subject);
      const address = addresses.get('d0');
      if (address === undefined) throw new Error('there is no export');
      const began = performance.now();
      await send(address);
      const seconds = (performance.now() - began) / 1000;
      for (const one of exports.values()) await one.close();
      return DATA_MIB / seconds;
    };
    const ours = () =>
      copy((address) => sendIncrement(daemon, { layers: [0], exports: new Map([['d0', address]]), credentials: from.credentials }, clock));
    const theirs = () =>
      copy(({ host, port, name, serverName }) => {
        const tls = `tls-creds-x509,id=tls,endpoint=client,dir=${from.credentials}`;
        const target = `driver=nbd,host=${host},port=${port},export=${name},tls-creds=tls,tls-hostname=${serverName}`;
        // The source is open for reading elsewhere: it is shared.
        return promisify(execFile)('qemu-img', [
          'convert',
          '-U',
          '-n',
          '--object',
          tls,
          '-f',
          'qcow2',
          '--target-image-opts',
          base,
          target,
        ]);
      });
    await ours();
    const [own, rival]: number[][] = [[], []];
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      own?.push(await ours());
      rival?.push(await theirs());
    }
    await daemon.close();
    const [mine, other] = [median(own ?? []), median(rival ?? [])];
    const isMissed = mine / other < LIMIT;
    const rates = `${mine.toFixed(0)} MiB/s against ${other.toFixed(0)} of qemu-img convert`;
    console.log(
      `${isMissed ? 'MISSED: ' : ''}the first copy of ${DATA_MIB} MiB over TLS: ${rates}, ${(mine / other).toFixed(2)} of it (at least ${LIMIT}; median of ${REPEATS})`,
    );
    if (isMissed) process.exitCode = 1;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function median(measured: readonly number[]): number {
  return measured.toSorted((a, b) => a - b)[Math.floor(measured.length / 2)] ?? Number.NaN;
}
