/** First copies of real machines that people carry: what is in the folder, what is refused of it, what comes after it, and what a fault half way leaves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { readGuestDisk, whyNoQemu } from '../support/qemu-guest.ts';
import { act, QemuProtection } from '../support/qemu-protection.ts';
import { diskAt, GUEST_DISK_BYTES, QemuTestSite } from '../support/qemu-site.ts';
import { RealPair } from '../support/real-pair.ts';
import { until } from '../support/until.ts';

const skip = await whyNoQemu();
const LIMIT_MS = 120_000;
const Points = z.object({ points: z.array(z.object({ id: z.string(), layer: z.int() })) });
const pointsIn = (home: string) => Points.parse(JSON.parse(readFileSync(join(home, 'points.json'), 'utf8'))).points;
const folderFor = () => mkdtempSync(join(tmpdir(), 'farshore-carried-'));
const isWritingOn = (home: string, since: number) => until('the guest writes on', () => diskAt(home).last > since + 5, LIMIT_MS);
const noSpace = /No space left/;

describe('a first copy of a real machine that is carried', { skip }, () => {
  let two: QemuProtection;
  let [folder, folders]: [string, string[]] = ['', []];
  /** How often the primary has tried to send. */
  let tries = 0;

  before(async () => {
    two = await QemuProtection.make(['web', 'db'], {
      reading: {
        machinery: (real) =>
          new Proxy(real, {
            get(target, name) {
              const value: unknown = Reflect.get(target, name);
              if (typeof value !== 'function') return value;
              return (...args: unknown[]) => {
                if (name === 'carry') tries++;
                return value.apply(target, args);
              };
            },
          }),
      },
    });
    folders = [folderFor(), folderFor()];
    folder = folders[0] ?? '';
    for (const vm of ['web', 'db']) await two.enable(vm);
  });
  after(async () => {
    await two?.end();
    for (const each of folders) rmSync(each, { recursive: true, force: true });
  });

  const own = (of = folder) => join(of, readdirSync(of).find((entry) => entry.startsWith('web_')) ?? 'nothing');
  const exports = (to: string) =>
    two.fabricAt('reading').startInitialReplication(two.refAt('reading', 'web'), { how: 'export', folder: to }, act());
  const imports = (from: string) => two.fabricAt('slough').importInitialReplication(two.refAt('slough', 'web'), from, act());

  it('a folder that cannot be written is refused, and the machine goes on', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const bad of [file, join(folder, 'nowhere')])
      await assert.rejects(exports(bad), { code: 'ERR_FIRST_COPY_FOLDER', message: /cannot be written/ });
    rmSync(file);
    assert.equal(await two.stateAt('reading', 'web'), 'primary readyForInitialReplication');
  });

  it('a folder that is full half way keeps nothing that looks like a copy', {
    skip: process.getuid?.() !== 0 && 'only root can make a small file system',
  }, async () => {
    const small = folders[1] ?? '';
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'farshore-test', small]);
    try {
      await assert.rejects(exports(small), { code: 'ERR_FIRST_COPY_FOLDER', message: noSpace });
      assert.deepEqual(readdirSync(own(small)), []);
    } finally {
      execFileSync('umount', [small]);
    }
    const home = two.homeAt('reading', 'web');
    await isWritingOn(home, diskAt(home).last);
    assert.equal(await two.stateAt('reading', 'web'), 'primary readyForInitialReplication');
  });

  it('is written while the machine runs: images that stand alone and take what they hold, the manifest last', async () => {
    await exports(folder);
    assert.deepEqual(readdirSync(own()).toSorted(), ['d0.qcow2', 'first-copy.json']);
    const image = join(own(), 'd0.qcow2');
    const { last, missing } = readGuestDisk(image);
    assert.deepEqual([missing, last > 0], [[], true]);
    assert.ok(statSync(image).size < GUEST_DISK_BYTES / 4, 'what is empty takes no room');
    assert.equal(await two.stateAt('reading', 'web'), 'primary waitingForInitialReplication');
  });

  it('nothing is frozen for an end that has not taken it in', async () => {
    const layers = () => readdirSync(join(two.homeAt('reading', 'web'), 'd0')).toSorted();
    const exported = layers();
    const before = tries;
    await until('the primary has tried to send', () => tries > before, LIMIT_MS);
    assert.deepEqual(layers(), exported);
  });

  const forged = (copy: string, change: (manifest: { disks: Record<string, unknown>[] }) => void) => {
    const file = join(copy, 'first-copy.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as { disks: Record<string, unknown>[] };
    change(manifest);
    writeFileSync(file, JSON.stringify(manifest));
  };
  const refused: Record<string, [RegExp, (copy: string) => void]> = {
    'it was torn before it was whole': [/is written when a copy is whole/, (copy) => rmSync(join(copy, 'first-copy.json'))],
    'its manifest is no manifest': [/first-copy\.json is damaged/, (copy) => writeFileSync(join(copy, 'first-copy.json'), '{')],
    'an image was left behind': [/d0\.qcow2 is missing/, (copy) => rmSync(join(copy, 'd0.qcow2'))],
    'an image is short': [/it was not carried whole/, (copy) => truncateSync(join(copy, 'd0.qcow2'), 70_000)],
    'a byte of an image is another': [
      /its sum is another/,
      (copy) => {
        const image = readFileSync(join(copy, 'd0.qcow2'));
        image.writeUInt8(image.readUInt8(image.length - 1) ^ 1, image.length - 1);
        writeFileSync(join(copy, 'd0.qcow2'), image);
      },
    ],
    'it is of another size': [
      /its disks are others/,
      (copy) => forged(copy, ({ disks }) => Object.assign(disks[0] ?? {}, { sizeBytes: 512 })),
    ],
    'an image names a file of this host, and its sum was forged': [
      /that stands alone/,
      (copy) => {
        const image = join(copy, 'd0.qcow2');
        execFileSync('qemu-img', ['rebase', '-u', '-F', 'raw', '-b', '/etc/hostname', image]);
        const sha256 = createHash('sha256').update(readFileSync(image)).digest('hex');
        forged(copy, ({ disks }) => Object.assign(disks[0] ?? {}, { sha256, fileBytes: statSync(image).size }));
      },
    ],
    'there is nothing': [/first-copy\.json/, (copy) => rmSync(copy, { recursive: true })],
  };
  for (const [name, [message, spoil]] of Object.entries(refused)) {
    it(`is refused where ${name}, and the replica goes on waiting`, async () => {
      const spoilt = folderFor();
      folders.push(spoilt);
      cpSync(folder, spoilt, { recursive: true });
      spoil(own(spoilt));
      await assert.rejects(imports(spoilt), { code: 'ERR_FIRST_COPY_FOLDER', message });
      assert.equal(await two.stateAt('slough', 'web'), 'replica waitingForInitialReplication');
      const home = two.homeAt('slough', 'web');
      assert.equal(existsSync(join(home, 'd0')), false, 'nothing of it is left');
    });
  }

  it('is of one VM: another does not take it', async () => {
    const [other] = folders.slice(-1);
    renameSync(own(), own().replace('web_', 'other_'));
    const taken = two.refAt('slough', 'db');
    const mine = join(other ?? '', `db_${taken.vmId}`);
    cpSync(join(folder, readdirSync(folder)[0] ?? ''), mine, { recursive: true });
    await assert.rejects(two.fabricAt('slough').importInitialReplication(taken, other ?? '', act()), {
      code: 'ERR_FIRST_COPY_FOLDER',
      message: /of another VM/,
    });
  });

  it('is taken in, and what was written since follows without another copy', async () => {
    await imports(folder);
    const home = two.homeAt('slough', 'web');
    const [first] = pointsIn(home);
    const [sent, taken] = [diskAt(two.homeAt('reading', 'web'), first?.layer), diskAt(home, first?.layer)];
    assert.deepEqual([taken.missing, taken.last], [[], sent.last]);
    const base = statSync(join(home, 'd0', 'base.qcow2')).ino;
    await until('an increment has arrived', () => pointsIn(home).length > 1, LIMIT_MS);
    await until('the primary knows', async () => (await two.stateAt('reading', 'web')) === 'primary replicating', LIMIT_MS);
    const newest = pointsIn(home).at(-1);
    assert.equal(statSync(join(home, 'd0', 'base.qcow2')).ino, base);
    const arrived = diskAt(home, newest?.layer);
    assert.deepEqual([arrived.missing, arrived.last > taken.last], [[], true]);
    assert.ok(statSync(join(home, 'd0', `layer-${newest?.layer}.qcow2`)).size < GUEST_DISK_BYTES / 2, 'only what changed');
  });
});

/** So much that nobody can know beforehand, so that it takes a while. */
const BALLAST_BYTES = 96 * 1024 * 1024;

describe('an agent that is killed while a first copy is carried', { skip }, () => {
  let sites: Record<'reading' | 'slough', QemuTestSite>;
  let pair: RealPair;
  const folder = folderFor();

  before(async () => {
    sites = { reading: QemuTestSite.write('reading', 'Gold', ['web']), slough: QemuTestSite.write('slough', 'Silver') };
    appendFileSync(join(sites.reading.folder, 'web.raw'), randomBytes(BALLAST_BYTES));
    pair = await RealPair.makeWith((part) => `fabric: { kind: qemu, site: ${sites[part].file} }\n`);
  });
  after(async () => {
    await pair?.close();
    for (const site of Object.values(sites ?? {})) await site.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0);
  /** Killed when half of what the file is to hold is in it; what stands beside it does not exist then. */
  const killedHalfWay = async (site: 'reading' | 'slough', request: object, file: () => string, isWhole: () => boolean) => {
    const job = await pair.begin(request);
    await until('half of it is written', () => sizeOf(file()) > BALLAST_BYTES / 2, LIMIT_MS);
    await pair.kill(site);
    assert.deepEqual([isWhole(), sizeOf(file()) > 0], [false, true], 'it was killed half way');
    await pair.start(site);
    const { state } = await pair.untilEnded(job, LIMIT_MS);
    assert.equal(state, 'succeeded', JSON.stringify(await pair.get(`/jobs/${job}`), null, 1));
  };

  it('exports it again, takes it in again, and replicates then', async () => {
    const { pairing, vms } = await pair.pairSites();
    const own = () => join(folder, readdirSync(folder)[0] ?? 'nothing');
    const protect = { kind: 'protect', pairing, vms, firstCopy: { how: 'export', folder } };
    await killedHalfWay(
      'reading',
      protect,
      () => join(own(), 'd0.qcow2'),
      () => existsSync(join(own(), 'first-copy.json')),
    );
    const { protectedVms } = await pair.get<{ protectedVms: { id: string; vmId: string }[] }>('/protected-vms');
    const [vm] = protectedVms;
    const home = sites.slough.homeOf(vm?.vmId ?? '');
    const carried = `${folder}-carried`;
    renameSync(folder, carried);
    try {
      const taken = { kind: 'importFirstCopy', target: { vms: [vm?.id] }, folder: carried };
      await killedHalfWay(
        'slough',
        taken,
        () => join(home, 'd0', 'base.qcow2'),
        () => pointsIn(home).length > 0,
      );
      await until('an increment has arrived', () => pointsIn(home).length > 1, LIMIT_MS);
      for (const { layer } of pointsIn(home)) assert.deepEqual(diskAt(home, layer).missing, []);
    } finally {
      rmSync(carried, { recursive: true, force: true });
    }
  });
});
