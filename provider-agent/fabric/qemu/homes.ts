/**
 * Where the machines of a site lie: a folder for each VM and each test copy, with its disks, what it has in common with the other end,
 * and its note. Names of folders are short, since the path of a socket is.
 */

import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '../../../certs/key-files.ts';
import { CloudId, CommandId, VmId, type VmRef } from '../../../shared/ids.ts';
import type { VmNote } from '../site/machinery.ts';
import type { VmRecord } from '../site/vm-record.ts';
import { Layers } from './layers.ts';
import { type DiskDefinition, ReplicaDisks } from './replica-disks.ts';

const Point = z.strictObject({ id: z.uuid(), at: z.int().min(0), kind: z.enum(['crashConsistent', 'applicationConsistent']) });
const NoteFile = z.strictObject({
  /** For people, and to know a folder by that the book does not. */
  name: z.string(),
  cloudId: CloudId,
  vmId: VmId,
  isTestCopy: z.boolean(),
  epoch: z.int().min(0),
  failover: z.strictObject({ commandId: CommandId, recoveryPoint: Point }).nullable(),
});
export type NoteFile = z.infer<typeof NoteFile>;

export class Homes {
  readonly root: string;
  readonly #replicas = new Map<string, ReplicaDisks>();

  constructor(root: string) {
    this.root = root;
  }

  folderOf({ cloudId, vmId }: VmRef): string {
    return join(this.root, createHash('sha256').update(`${cloudId} ${vmId}`).digest('hex').slice(0, 12));
  }

  async folders(): Promise<string[]> {
    const names = await readdir(this.root).catch(() => []);
    return names.filter((name) => /^[0-9a-f]{12}$/.test(name)).map((name) => join(this.root, name));
  }

  async isThere(ref: VmRef): Promise<boolean> {
    return exists(this.folderOf(ref));
  }

  disksOf(vm: VmRecord): DiskDefinition[] {
    return vm.disks.map(({ sizeBytes }, index) => ({ name: `d${index}`, sizeBytes }));
  }

  /** A test copy has its disks in its folder alone: they take no room of their own in the book. */
  async diskNames(vm: VmRecord): Promise<string[]> {
    if (vm.testCopy === undefined) return this.disksOf(vm).map(({ name }) => name);
    return (await readdir(this.folderOf(vm.ref)).catch(() => [])).filter((name) => /^d\d+$/.test(name)).toSorted();
  }

  /** Its disks as they are written to. */
  async layersOf(vm: VmRecord): Promise<Layers> {
    const replica = await this.replicaOf(vm);
    const over = replica?.failoverPoint ?? null;
    if (replica !== null && over !== null) return replica.failOver(over);
    return new Layers(this.folderOf(vm.ref), await this.diskNames(vm), { isCopy: vm.testCopy !== undefined });
  }

  /** Null where the folder is not that of a replica. There is one of each, since opening it throws away what is not complete. */
  async replicaOf(vm: VmRecord): Promise<ReplicaDisks | null> {
    const folder = this.folderOf(vm.ref);
    const known = this.#replicas.get(folder);
    if (known !== undefined) return known;
    if (!(await ReplicaDisks.isIn(folder))) return null;
    return this.#keep(folder, await ReplicaDisks.open(folder, this.disksOf(vm)));
  }

  /** Nothing of what was there before. */
  async makeReplica(vm: VmRecord): Promise<ReplicaDisks> {
    const folder = this.folderOf(vm.ref);
    for (const { name } of this.disksOf(vm)) await rm(join(folder, name), { recursive: true, force: true });
    await this.endReplica(vm);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return this.#keep(folder, await ReplicaDisks.make(folder, this.disksOf(vm)));
  }

  async adopt(vm: VmRecord, point: { readonly id: string; readonly at: number; readonly layer: number }): Promise<ReplicaDisks> {
    const folder = this.folderOf(vm.ref);
    return this.#keep(folder, await ReplicaDisks.adopt(folder, this.disksOf(vm), { ...point, kind: 'crashConsistent' }));
  }

  /** What its disks hold stays. */
  async endReplica(vm: VmRecord): Promise<void> {
    const folder = this.folderOf(vm.ref);
    this.#replicas.delete(folder);
    await ReplicaDisks.end(folder);
  }

  async remove(vm: VmRecord): Promise<void> {
    this.#replicas.delete(this.folderOf(vm.ref));
    await rm(this.folderOf(vm.ref), { recursive: true, force: true });
  }

  async writeNote({ ref, name, testCopy }: VmRecord, { epoch, failover }: VmNote): Promise<void> {
    const folder = this.folderOf(ref);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const note: NoteFile = { name, ...ref, isTestCopy: testCopy !== undefined, epoch, failover };
    await writeFileDurably(join(folder, 'note.json'), `${JSON.stringify(note, null, 1)}\n`);
  }

  /** Throws where it is damaged: what it says must not be guessed. */
  async noteIn(folder: string): Promise<NoteFile | null> {
    const text = await readFile(join(folder, 'note.json'), 'utf8').catch(() => null);
    return text === null ? null : NoteFile.parse(JSON.parse(text));
  }

  #keep(folder: string, replica: ReplicaDisks): ReplicaDisks {
    this.#replicas.set(folder, replica);
    return replica;
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
