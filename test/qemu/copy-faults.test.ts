/** An increment is hurt on its way by real means: the guest does not feel it, no replica counts as complete that is not, and the next increment carries all. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Cable } from '../support/cable.ts';
import { type GuestSettings, readGuestDisk, whyNoQemu, writeGuestDisk } from '../support/qemu-guest.ts';
import { cycle, DISK_BYTES, type Hurts, makeQemuPair, type QemuPair } from '../support/qemu-pair.ts';

const skip = await whyNoQemu();
/** Each record is a cluster of its own: a few seconds make megabytes. */
const wide: GuestSettings = { ring: 200, stride: 128, ticks: 1, burst: 2 };
const MID_WAY = 512 * 1024;
const STALLED_MS = 3_000;

type Strike = (pair: QemuPair, cable: Cable) => void;

const signal = (file: string, name: NodeJS.Signals) => process.kill(Number(readFileSync(file, 'utf8')), name);
/** Of the first copy a file may be left that names a process of the past. */
const receiverOf = ({ slough: { folder } }: QemuPair) =>
  join(folder, 'd0', readdirSync(join(folder, 'd0')).find((name) => /^layer-.*\.pid$/.test(name)) ?? 'no receiver');
const senderOf = ({ reading }: QemuPair) => join(reading.folder, 'storage.pid');

describe('an increment is hurt on its way', { skip }, () => {
  let pair: QemuPair;
  beforeEach(async () => {
    pair = await makeQemuPair({ disk: (raw) => writeGuestDisk(raw, DISK_BYTES, wide) });
  });
  afterEach(() => pair.close());
  const points = () =>
    (pair.slough.replica?.points ?? []).map((point) => readGuestDisk(pair.slough.replica?.fileAt(point, 'd0') ?? '', wide));

  /** One increment arrives, the next one is hurt, and the one after it carries both. */
  const survives = async (hurts: Hurts, happened: () => number, mended: () => void, said = /./) => {
    const { reading, slough } = pair;
    await reading.records(10);
    await cycle(reading, slough);
    const [before] = points();
    await reading.records(60);
    await assert.rejects(cycle(reading, slough, { stalledMs: STALLED_MS, ...hurts }), { code: 'ERR_FABRIC_FAILED', message: said });
    assert.equal(happened(), 1, 'the fault has happened');
    await reading.records(5);
    await slough.reopenReplica();
    assert.deepEqual(points(), [before], 'what did not arrive whole is no point, and the one before is what it was');
    mended();
    await cycle(reading, slough);
    const last = points().at(-1);
    assert.deepEqual([points().length, last?.missing, last?.starts], [2, [], 1]);
    assert.ok((last?.last ?? 0) >= (before?.last ?? 0) + 60);
  };

  const strikes: Record<string, Strike> = {
    'the connection is cut': (_pair, cable) => cable.cut(),
    'the connection stands, and nothing goes through': (_pair, cable) => cable.hang(),
    'what receives it is killed': (of) => signal(receiverOf(of), 'SIGKILL'),
    'what receives it hangs': (of) => signal(receiverOf(of), 'SIGSTOP'),
    'what sends it is killed': (of) => signal(senderOf(of), 'SIGKILL'),
    'what sends it hangs': (of) => signal(senderOf(of), 'SIGSTOP'),
  };
  for (const [name, strike] of Object.entries(strikes)) {
    it(`${name}, half way`, async () => {
      let happened = 0;
      const before: Hurts['before'] = async (addresses) => {
        for (const [disk, address] of addresses) {
          const cable = await Cable.to(address.port, MID_WAY, (own) => {
            strike(pair, own);
            happened++;
          });
          addresses.set(disk, { ...address, port: cable.port });
        }
      };
      await survives(
        { before },
        () => happened,
        () => {},
      );
    });
  }

  it('what receives it hangs before it is spoken to: the guest goes on writing meanwhile', async () => {
    let happened = 0;
    let wrote = false;
    const before: Hurts['before'] = () => {
      signal(receiverOf(pair), 'SIGSTOP');
      happened++;
      // It would stand still for as long as the sender waits, if its own QEMU were the one to wait.
      void pair.reading.records(20).then(() => {
        wrote = true;
      });
    };
    await survives(
      { before, stalledMs: 10_000 },
      () => happened,
      () => assert.equal(wrote, true),
    );
  });

  it('the disk at the other end is full', { skip: process.getuid?.() !== 0 && 'only root can make a small file system' }, async () => {
    const { folder } = pair.slough;
    const ballast = join(folder, 'ballast');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'farshore-test', folder]);
    try {
      await pair.slough.reopenReplica();
      let happened = 0;
      const room = () => {
        const { bavail, bsize } = statfsSync(folder);
        return bavail * bsize;
      };
      const before = () => {
        writeFileSync(ballast, Buffer.alloc(room() - 512 * 1024));
        happened++;
      };
      await survives(
        { before },
        () => happened,
        () => rmSync(ballast),
        /No space left/,
      );
    } finally {
      await pair.slough.stop();
      execFileSync('umount', [folder]);
    }
  });

  it('the machine itself is killed half way: what is frozen arrives all the same, or not at all', async () => {
    const { reading, slough } = pair;
    await reading.records(10);
    await cycle(reading, slough);
    await reading.records(60);
    let happened = 0;
    const before: Hurts['before'] = async (addresses) => {
      for (const [disk, address] of addresses) {
        const cable = await Cable.to(address.port, MID_WAY, () => {
          signal(join(reading.folder, 'pid'), 'SIGKILL');
          happened++;
        });
        addresses.set(disk, { ...address, port: cable.port });
      }
    };
    // It has arrived; what cannot be done any more is merging it into the base of a machine that is gone.
    await assert.rejects(cycle(reading, slough, { before }), { code: 'ERR_FABRIC_FAILED' });
    assert.equal(happened, 1);
    await slough.reopenReplica();
    for (const { missing } of points()) assert.deepEqual(missing, []);
    await reading.machine?.ended();
    await reading.start();
    await reading.records(20);
    await cycle(reading, slough);
    const last = points().at(-1);
    assert.deepEqual([last?.missing, last?.starts], [[], 2]);
  });
});

describe('ten machines at once', { skip }, () => {
  it('all their increments arrive, and each holds what its machine had written', async () => {
    const pairs = await Promise.all(Array.from({ length: 10 }, () => makeQemuPair()));
    try {
      for (let cycles = 0; cycles < 3; cycles++) {
        await Promise.all(pairs.map(({ reading }) => reading.records(4)));
        await Promise.all(pairs.map(({ reading, slough }) => cycle(reading, slough)));
      }
      for (const { slough } of pairs) {
        const points = slough.replica?.points ?? [];
        assert.equal(points.length, 3);
        const disks = points.map((point) => readGuestDisk(slough.replica?.fileAt(point, 'd0') ?? ''));
        for (const [index, { missing, last }] of disks.entries()) {
          assert.deepEqual(missing, []);
          assert.ok(last > (disks[index - 1]?.last ?? 0));
        }
      }
    } finally {
      for (const pair of pairs) await pair.close();
    }
  });
});
