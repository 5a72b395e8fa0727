/** A real machine is replicated by QEMU's own engine, over TLS: every point holds all that was written before it, whatever breaks. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sendIncrement } from '../../provider-agent/fabric/qemu/increment.ts';
import { Layers } from '../../provider-agent/fabric/qemu/layers.ts';
import { ReplicaDisks } from '../../provider-agent/fabric/qemu/replica-disks.ts';
import { StorageDaemon } from '../../provider-agent/fabric/qemu/storage-daemon.ts';
import { systemClock as clock } from '../../shared/system-ports.ts';
import { readGuestDisk, whyNoQemu } from '../support/qemu-guest.ts';
import { cycle, disks, makeQemuPair, type QemuPair, type QemuSide, sendRest } from '../support/qemu-pair.ts';

const skip = await whyNoQemu();

describe('a machine is replicated by QEMU', { skip }, () => {
  let pair: QemuPair;
  let reading: QemuSide;
  let slough: QemuSide;
  beforeEach(async () => {
    pair = await makeQemuPair();
    ({ reading, slough } = pair);
  });
  afterEach(() => pair.close());
  const pointsAt = ({ replica }: QemuSide) => (replica?.points ?? []).map((point) => readGuestDisk(replica?.fileAt(point, 'd0') ?? ''));
  const diskOf = async ({ layers }: QemuSide) => readGuestDisk(layers.fileOf('d0', (await layers.of('d0')).at(-1) ?? 0));

  it('every point holds what was written before it, and production goes on', async () => {
    for (let cycles = 0; cycles < 4; cycles++) {
      await reading.records(6);
      await cycle(reading, slough);
    }
    const points = pointsAt(slough);
    assert.equal(points.length, 4);
    for (const [index, point] of points.entries()) {
      assert.deepEqual(point.missing, []);
      assert.ok(index === 0 || point.last > (points[index - 1]?.last ?? 0), 'each point is newer than the one before');
    }
    assert.equal(await reading.machine?.isRunning(), true);
    assert.equal((await reading.layers.of('d0')).length, 1, 'what was sent is in the base');
  });

  it('the machine is killed: the disk goes on from its layers, and the next increment carries the rest', async () => {
    await cycle(reading, slough);
    await reading.records(5);
    await reading.kill();
    await reading.start();
    await reading.records(10);
    await cycle(reading, slough);
    const [first, last] = pointsAt(slough);
    assert.deepEqual([last?.missing, last?.starts], [[], 2]);
    assert.ok((last?.last ?? 0) > (first?.last ?? 0));
  });

  it('the other end dies before an increment is sealed: the guest does not feel it, and the next one carries both', async () => {
    await reading.records(5);
    await cycle(reading, slough);
    let died = 0;
    await reading.records(5);
    const dying = cycle(reading, slough, {
      async after(exports) {
        for (const one of exports.values()) await one.kill();
        died++;
      },
    });
    await assert.rejects(dying, { code: 'ERR_FABRIC_FAILED' });
    assert.equal(died, 1);
    assert.equal((await slough.reopenReplica()).points.length, 1, 'what was not sealed is no point');
    await reading.records(5);
    await cycle(reading, slough);
    const last = pointsAt(slough).at(-1);
    assert.deepEqual([last?.missing, last?.starts], [[], 1]);
  });

  it('old points are merged, and those that are left hold what they held', async () => {
    for (let cycles = 0; cycles < 4; cycles++) {
      await reading.records(4);
      await cycle(reading, slough);
    }
    const before = pointsAt(slough);
    await slough.replica?.prune(2);
    assert.deepEqual(pointsAt(slough), before.slice(-2));
    await reading.records(4);
    await cycle(reading, slough);
    await slough.reopenReplica();
    const after = pointsAt(slough);
    assert.deepEqual([after.length, after.at(-1)?.missing], [3, []]);
  });

  it('a host with a certificate of the vault that is not the sender is turned away', async () => {
    const layer = (await reading.machine?.freeze()) ?? 0;
    const { exports, addresses } = await slough.receive(layer, 'CN=another-host.test');
    const { machine, credentials } = reading;
    assert.ok(machine);
    const daemon = await StorageDaemon.open(reading.folder, reading.layers, clock, layer);
    await assert.rejects(sendIncrement(daemon, { layers: [0], exports: addresses, credentials }, clock), { code: 'ERR_FABRIC_FAILED' });
    await daemon.close();
    assert.match([...exports.values()].map((one) => one.said).join(''), /denied|authoriz|not permitted/i);
    for (const one of exports.values()) await one.kill();
    assert.equal(await machine.isRunning(), true);
  });

  it('a failover that was planned loses nothing, and nor does the way back; what goes over the line is what changed', async () => {
    await reading.records(5);
    await cycle(reading, slough);
    await reading.records(5);
    await reading.stop();
    const source = await diskOf(reading);
    const point = await sendRest(reading, slough);
    slough.layers = (await slough.replica?.failOver(point)) ?? slough.layers;
    assert.equal((await diskOf(slough)).last, source.last);
    await slough.start();
    await slough.records(8);
    await slough.replica?.commit();

    slough.replica = null;
    reading.replica = await ReplicaDisks.adopt(reading.folder, disks, point);
    reading.layers = new Layers(reading.folder, ['d0']);
    await cycle(slough, reading);
    assert.equal(reading.replica.points.length, 2, 'the former primary takes increments, and no full copy');
    await slough.records(5);
    await slough.stop();
    const there = await diskOf(slough);
    const back = await sendRest(slough, reading);
    reading.layers = await reading.replica.failOver(back);
    assert.equal((await diskOf(reading)).last, there.last);
    await reading.start();
    await reading.records(6);
    await reading.stop();
    const end = await diskOf(reading);
    assert.deepEqual([end.missing, end.starts], [[], 3]);
  });

  it('the site of the primary is killed: what had not left it is dropped when it is back, and it takes increments', async () => {
    await reading.records(5);
    const point = await cycle(reading, slough);
    await reading.records(6);
    await reading.kill();
    const lost = await diskOf(reading);
    slough.layers = (await slough.replica?.failOver(point)) ?? slough.layers;
    const found = await diskOf(slough);
    assert.deepEqual(found.missing, []);
    assert.ok(found.last < lost.last, 'what was written after the point is not there');
    await slough.start();
    await slough.records(8);
    await slough.replica?.commit();

    slough.replica = null;
    reading.replica = await ReplicaDisks.adopt(reading.folder, disks, point);
    await cycle(slough, reading);
    const reversed = pointsAt(reading).at(-1);
    assert.deepEqual([reversed?.missing, reversed?.starts], [[], 2]);
  });

  it('a failover to an older point is taken back, and another point is taken', async () => {
    for (let cycles = 0; cycles < 3; cycles++) {
      await reading.records(5);
      await cycle(reading, slough);
    }
    const { replica } = slough;
    const [oldest, , newest] = replica?.points ?? [];
    assert.ok(replica && oldest && newest);
    const [first, , last] = pointsAt(slough);
    slough.layers = await replica.failOver(oldest);
    await slough.start();
    await slough.records(5);
    await slough.stop();
    assert.ok((await diskOf(slough)).last > (first?.last ?? 0));
    await replica.takeBack();
    assert.deepEqual(
      pointsAt(slough).map((each) => each.last),
      [first?.last, pointsAt(slough)[1]?.last, last?.last],
    );
    slough.layers = await replica.failOver(newest);
    assert.equal((await diskOf(slough)).last, last?.last);
  });
});
