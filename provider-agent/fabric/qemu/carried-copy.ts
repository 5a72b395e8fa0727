/**
 * A first copy that people carry: an image of each disk that stands on nothing else, and a manifest that is written when all of them are
 * on the disk. What is taken in was carried by anybody: every image is held against its sum in the manifest, and none may name a file of this host.
 */

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { writeFileDurably } from '../../../certs/key-files.ts';
import type { Clock } from '../../../shared/ports.ts';
import { FabricError } from '../fabric-error.ts';
import { cannotBeWritten, holdsNone, refuseOfAnother, subfolderToRead, subfolderToWrite } from '../site/carried-folder.ts';
import { SentPoint } from '../site/replication-frames.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { syncFile } from './durable-file.ts';
import type { Homes } from './homes.ts';
import { nodeOf } from './layers.ts';
import { Lineage } from './lineage.ts';
import { runJob } from './machine.ts';
import { createImage } from './programs.ts';
import type { DiskDefinition } from './replica-disks.ts';
import type { StorageDaemon } from './storage-daemon.ts';

const MANIFEST = 'first-copy.json';
/** How long nothing may move before the folder counts as gone. */
const STALLED_MS = 60_000;

const Manifest = z.strictObject({
  point: SentPoint,
  /** The layer of the primary that the images end with: the first increment begins above it. */
  layer: z.int().min(0),
  disks: z
    .array(
      z.strictObject({
        name: z.string().regex(/^d\d+$/),
        sizeBytes: z.int().min(0),
        fileBytes: z.int().min(0),
        sha256: z.hex().length(64),
      }),
    )
    .max(260),
});
type Manifest = z.infer<typeof Manifest>;

/** Where the copy of that VM is to stand: nothing in it counts from now on, until it is whole. */
export async function clearCarried(vm: VmRecord, folder: string, disks: readonly DiskDefinition[]): Promise<string> {
  const own = subfolderToWrite(vm, folder);
  try {
    for (const file of [MANIFEST, ...disks.map(({ name }) => imageOf(name))]) await rm(join(own, file), { force: true });
    return own;
  } catch (cause) {
    throw cannotBeWritten(folder, cause);
  }
}

/** Writes what the daemon has frozen up to that layer. */
export async function writeCarried(
  { qmp }: StorageDaemon,
  own: string,
  disks: readonly DiskDefinition[],
  { point, layer }: Pick<Manifest, 'point' | 'layer'>,
  clock: Clock,
): Promise<void> {
  const written: Manifest['disks'] = [];
  for (const { name, sizeBytes } of disks) {
    const [file, node] = [join(own, imageOf(name)), `${name}-carried`];
    await createImage(file, sizeBytes);
    const image = {
      driver: 'qcow2',
      'node-name': node,
      file: { driver: 'file', filename: file },
      discard: 'unmap',
      'detect-zeroes': 'unmap',
    };
    await qmp.run('blockdev-add', image);
    await runJob(qmp, clock, `carry-${name}`, 'blockdev-backup', { device: nodeOf(name, layer), target: node, sync: 'full' }, STALLED_MS);
    await qmp.run('blockdev-del', { 'node-name': node }, STALLED_MS);
    await syncFile(file);
    written.push({ name, sizeBytes, fileBytes: (await stat(file)).size, sha256: await sumOf(file) });
  }
  // A daemon that was ended meanwhile says so here: the VM may be gone.
  await qmp.run('query-jobs');
  await writeFileDurably(join(own, MANIFEST), `${JSON.stringify({ point, layer, disks: written }, null, 1)}\n`);
}

/** The replica holds that point from now on. It may be repeated. */
export async function takeInCarried(homes: Homes, vm: VmRecord, folder: string): Promise<SentPoint> {
  const { own, manifest } = await readManifest(vm, folder, homes.disksOf(vm));
  const { point, layer } = manifest;
  // Taken in by an agent that died before it could write that down.
  if ((await homes.replicaOf(vm))?.newest?.id === point.id) return point;
  const replica = await homes.makeReplica(vm);
  await Lineage.end(homes.folderOf(vm.ref));
  try {
    const files = await replica.begin(layer);
    for (const disk of manifest.disks) await copyImage(join(own, imageOf(disk.name)), files.get(disk.name) ?? '', disk);
    await replica.seal({ id: point.id, at: point.at, kind: point.kind, layer });
    return point;
  } catch (cause) {
    // The room that it took is given back; nothing of it counts in any case.
    await homes.makeReplica(vm).catch(() => {});
    throw cause instanceof FabricError ? cause : holdsNone(folder, vm, cause);
  }
}

async function readManifest(vm: VmRecord, folder: string, expected: readonly DiskDefinition[]) {
  const own = subfolderToRead(vm, folder);
  try {
    const text = await readFile(join(own, MANIFEST), 'utf8').catch(() => {
      throw new Error(`there is no ${MANIFEST}, which is written when a copy is whole`);
    });
    const parsed = Manifest.safeParse(parseJson(text));
    if (!parsed.success) throw new Error(`its ${MANIFEST} is damaged`);
    const manifest = parsed.data;
    refuseOfAnother(vm, manifest.point, folder);
    const [wanted, found] = [expected, manifest.disks].map((disks) =>
      disks.map(({ name, sizeBytes }) => `${name} ${sizeBytes}`).join(', '),
    );
    if (wanted !== found) throw new Error(`its disks are others (name and bytes): ${found} instead of ${wanted}`);
    for (const { name, fileBytes } of manifest.disks) {
      const size = await stat(join(own, imageOf(name))).then(
        (file) => file.size,
        () => null,
      );
      if (size === null) throw new Error(`${imageOf(name)} is missing`);
      if (size !== fileBytes) throw new Error(`${imageOf(name)} has ${size} bytes instead of ${fileBytes}: it was not carried whole`);
    }
    return { own, manifest };
  } catch (cause) {
    throw cause instanceof FabricError ? cause : holdsNone(folder, vm, cause);
  }
}

async function copyImage(from: string, to: string, { name, sizeBytes, sha256 }: Manifest['disks'][number]): Promise<void> {
  const sum = createHash('sha256');
  const reading = createReadStream(from, { highWaterMark: 1024 * 1024 });
  reading.on('data', (chunk) => void sum.update(chunk));
  await pipeline(reading, createWriteStream(to, { mode: 0o600 }));
  if (sum.digest('hex') !== sha256) throw new Error(`${imageOf(name)} is not what was exported: its sum is another`);
  await refuseUnlessAlone(to, name, sizeBytes);
}

/**
 * An image can name other files: below it, or for its data. A manifest is as easily forged as an image, and what it names would be read here
 * with the rights of the agent. By the head of the format, since programs that open the image open those files too.
 */
async function refuseUnlessAlone(file: string, name: string, sizeBytes: number): Promise<void> {
  const head = Buffer.alloc(104);
  const handle = await open(file, 'r');
  try {
    await handle.read(head, 0, head.length, 0);
  } finally {
    await handle.close();
  }
  const isPlain = head.toString('latin1', 0, 4) === 'QFI\xfb' && head.readUInt32BE(4) === 3 && head.readUInt32BE(32) === 0;
  const standsAlone = head.readBigUInt64BE(8) === 0n && head.readBigUInt64BE(72) === 0n;
  if (!isPlain || !standsAlone || head.readBigUInt64BE(24) !== BigInt(sizeBytes))
    throw new Error(`${imageOf(name)} is no qcow2 image of ${sizeBytes} bytes that stands alone`);
}

function imageOf(disk: string): string {
  return `${disk}.qcow2`;
}

async function sumOf(file: string): Promise<string> {
  const sum = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), sum);
  return sum.digest('hex');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
