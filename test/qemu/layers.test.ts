/** Disks in layers survive a crash between any two steps of a merge: what they hold is what was written, and the merge is done again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Layers } from '../../provider-agent/fabric/qemu/layers.ts';
import { createImage } from '../../provider-agent/fabric/qemu/programs.ts';
import { ReplicaDisks } from '../../provider-agent/fabric/qemu/replica-disks.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const skip = await whyNoQemu();
const MIB = 1024 * 1024;
const disks = [
  { name: 'd0', sizeBytes: 4 * MIB },
  { name: 'd1', sizeBytes: 4 * MIB },
];
const names = disks.map(({ name }) => name);
/** Which mebibyte a layer writes, and it writes its own number: the first one is written by all of them. */
const written = [0, 1, 2, 3] as const;

describe('disks in layers', { skip }, () => {
  let folder: string;
  let layers: Layers;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fl-'));
    layers = new Layers(folder, names);
    for (const { name, sizeBytes } of disks) {
      mkdirSync(join(folder, name));
      await createImage(layers.fileOf(name, 0), sizeBytes);
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (disk: string, layer: number) => {
    const at = written[layer] ?? 0;
    const commands = [`write -P ${layer + 1} 0 64k`, `write -P ${layer + 1} ${at}M 64k`].flatMap((command) => ['-c', command]);
    execFileSync('qemu-io', ['-f', 'qcow2', ...commands, layers.fileOf(disk, layer)], { stdio: 'pipe' });
  };
  const read = (file: string): number[] => {
    const raw = join(folder, 'raw');
    execFileSync('qemu-img', ['convert', '-U', '-O', 'raw', file, raw]);
    const bytes = readFileSync(raw);
    rmSync(raw);
    return written.map((at) => bytes[at * MIB] ?? -1);
  };
  const topOf = async (disk: string) => read(layers.fileOf(disk, (await layers.of(disk)).at(-1) ?? 0));
  const fill = async (upTo: number) => {
    for (const disk of names) write(disk, 0);
    for (let layer = 1; layer <= upTo; layer++) {
      await layers.add(layer - 1, layer);
      for (const disk of names) write(disk, layer);
    }
  };
  const image = (...args: string[]) => execFileSync('qemu-img', args, { stdio: 'pipe' });

  const rebase = (layer: number) => image('rebase', '-q', '-u', '-F', 'qcow2', '-b', 'base.qcow2', layers.fileOf('d0', layer));
  /** The steps of a merge of layers 1 and 2 below 3, as far as a crash let them come, on the first disk: while the VM is off, and while it runs. */
  const atRest = [
    { name: 'layer 1 is in the base', do: () => image('commit', '-q', '-d', layers.fileOf('d0', 1)) },
    { name: 'layer 2 stands on the base', do: () => rebase(2) },
    { name: 'layer 1 is gone', do: () => rmSync(layers.fileOf('d0', 1)) },
    { name: 'layer 2 is in the base', do: () => image('commit', '-q', '-d', layers.fileOf('d0', 2)) },
    { name: 'layer 3 stands on the base', do: () => rebase(3) },
  ];
  const whileItRuns = [
    { name: 'both are in the base, by QEMU', do: () => image('commit', '-q', '-d', '-b', layers.fileOf('d0', 0), layers.fileOf('d0', 2)) },
    { name: 'layer 3 stands on the base, by QEMU', do: () => rebase(3) },
    { name: 'layer 1 is gone, and layer 2 names it', do: () => rmSync(layers.fileOf('d0', 1)) },
  ];
  const crashes = [atRest, whileItRuns].flatMap((steps) => steps.map((_, index) => steps.slice(0, index + 1)));
  for (const steps of crashes) {
    it(`a crash of a merge after this: ${steps.at(-1)?.name}`, async () => {
      await fill(3);
      for (const step of steps) step.do();
      assert.equal(await layers.level(), 3);
      assert.deepEqual(await topOf('d0'), [4, 2, 3, 4]);
      await layers.mergeAtRest(2);
      for (const disk of names) {
        assert.deepEqual(await layers.of(disk), [3]);
        assert.deepEqual(await topOf(disk), [4, 2, 3, 4]);
        assert.deepEqual(read(layers.fileOf(disk, 0)), [3, 2, 3, 0]);
      }
    });
  }

  it('a new layer that a crash left on one disk only is added to the other', async () => {
    await fill(1);
    await layers.add(1, 2);
    rmSync(layers.fileOf('d1', 2));
    writeFileSync(`${layers.fileOf('d1', 2)}.new`, 'half of it');
    assert.equal(await layers.level(), 2);
    assert.deepEqual(
      [await layers.of('d0'), await layers.of('d1')],
      [
        [1, 2],
        [1, 2],
      ],
    );
    assert.equal(existsSync(`${layers.fileOf('d1', 2)}.new`), false);
    assert.deepEqual(await topOf('d1'), [2, 2, 0, 0]);
  });

  const point = (layer: number) => ({ id: uuidOf(`point ${layer}`), at: layer, kind: 'crashConsistent' as const, layer });
  const replica = async (points: number) => {
    rmSync(join(folder, 'd0'), { recursive: true });
    rmSync(join(folder, 'd1'), { recursive: true });
    const made = await ReplicaDisks.open(folder, disks);
    for (let layer = 0; layer < points; layer++) {
      await made.begin(layer);
      for (const disk of names) write(disk, layer);
      await made.seal(point(layer));
    }
    return made;
  };
  const contents = (of: ReplicaDisks) => of.points.map((each) => names.map((disk) => read(of.fileAt(each, disk))));
  const all = [
    [1, 0, 0, 0],
    [2, 2, 0, 0],
    [3, 2, 3, 0],
    [4, 2, 3, 4],
  ].map((each) => [each, each]);

  it('what was begun and not sealed is no point after a crash, on no disk', async () => {
    const made = await replica(2);
    await made.begin(2);
    write('d0', 2);
    const opened = await ReplicaDisks.open(folder, disks);
    assert.deepEqual(contents(opened), all.slice(0, 2));
    assert.equal(existsSync(layers.fileOf('d0', 2)), false);
    await opened.begin(2);
    for (const disk of names) write(disk, 2);
    await opened.seal(point(2));
    assert.deepEqual(contents(opened), all.slice(0, 3));
  });

  it('a crash after the oldest point was struck from the list: the merge is done again, and the others hold what they held', async () => {
    const made = await replica(4);
    const file = join(folder, 'points.json');
    const before = readFileSync(file, 'utf8');
    await made.prune(3);
    assert.deepEqual(contents(made), all.slice(1));
    // The list as it was between striking the point and the end of the merge, over the files as they are after it.
    const struck = JSON.parse(before) as { points: unknown[] };
    writeFileSync(file, JSON.stringify({ ...struck, points: struck.points.slice(1) }));
    const opened = await ReplicaDisks.open(folder, disks);
    assert.deepEqual(contents(opened), all.slice(1));
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).base, 1);
  });

  it('points between others are dropped, and those that are left hold what they held', async () => {
    const made = await replica(4);
    const keep = new Set([point(0), point(3)].map(({ id }) => id));
    await made.keep(keep);
    assert.deepEqual(contents(made), [all[0], all[3]]);
    assert.deepEqual(await new Layers(folder, names).of('d0'), [3]);
    await made.begin(4);
    await made.seal(point(4));
    await made.keep(new Set([point(4).id]));
    assert.deepEqual(contents(made), [all[3]]);
  });

  it('a crash between raising a layer and striking the point below it leaves all of them as they were', async () => {
    const made = await replica(4);
    for (const disk of names)
      execFileSync('qemu-img', ['rebase', '-q', '-F', 'qcow2', '-b', 'base.qcow2', made.fileAt(point(2), disk)], { stdio: 'pipe' });
    const opened = await ReplicaDisks.open(folder, disks);
    assert.deepEqual(contents(opened), all);
    await opened.keep(new Set([point(0), point(3)].map(({ id }) => id)));
    assert.deepEqual(contents(opened), [all[0], all[3]]);
  });

  it('a point that holds what the one before holds has the same layer, also when that is in the base', async () => {
    const made = await replica(3);
    await made.keep(new Set());
    const again = { ...point(2), id: uuidOf('again'), at: 9 };
    await made.seal(again);
    assert.deepEqual(contents(made), [all[2], all[2]]);
    await made.keep(new Set());
    assert.deepEqual([made.points, contents(made)], [[again], [all[2]]]);
  });

  it('a failover to a point that is not the newest hides the newer ones, and a commit drops them', async () => {
    const made = await replica(4);
    const over = await made.failOver(point(1));
    assert.deepEqual(await over.of('d0'), [1, 4]);
    layers = over;
    write('d0', 4);
    assert.deepEqual(await topOf('d0'), [5, 2, 0, 0]);
    assert.deepEqual(contents(made), all);
    const again = await (await ReplicaDisks.open(folder, disks)).failOver(point(1));
    assert.deepEqual(await again.of('d0'), [1, 4]);
    await assert.rejects(made.failOver(point(2)), /another point/);
    await assert.rejects(made.begin(9), /takes nothing/);
    assert.deepEqual(await made.commit(), point(1));
    assert.deepEqual(await new Layers(folder, names).of('d0'), [1, 4]);
    await over.mergeAtRest(1);
    assert.deepEqual(await topOf('d0'), [5, 2, 0, 0]);
  });
});
