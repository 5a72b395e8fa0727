/** A Linux with a journalled file system is replicated and its site lost: the file system is sound at every point, and holds all that was on the disk by then. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { injectionArguments } from '../../provider-agent/fabric/qemu/address-injection.ts';
import { Console, makeLinuxGuest, readLinuxDisk, whyNoLinuxGuest, writeLinuxDisk } from '../support/linux-guest.ts';
import { cycle, DISK_BYTES, makeQemuPair, type QemuPair } from '../support/qemu-pair.ts';
import { until } from '../support/until.ts';

const skip = await whyNoLinuxGuest();
const BOOT_MS = 120_000;
const mac = '52:54:00:12:34:56';
const addresses = new Map([
  ['reading', '203.0.113.10/24'],
  ['slough', '198.51.100.10/24'],
]);

describe('a Linux is replicated by QEMU', { skip }, () => {
  let pair: QemuPair;
  const consoles = new Map<string, Console>();
  const consoleOf = (site: string) => consoles.get(site) ?? assert.fail(`nothing is known of ${site}`);
  beforeEach(async () => {
    pair = await makeQemuPair({
      disk: (file) => writeLinuxDisk(file, DISK_BYTES),
      definition: async (site, folder) => {
        const told = new Console(join(folder, `${site}.serial`));
        consoles.set(site, told);
        const adapter = { mac, addresses: [addresses.get(site) ?? ''], gateways: [], dns: [] };
        const network = ['-netdev', 'hubport,id=net0,hubid=0', '-device', `virtio-net-pci,netdev=net0,mac=${mac},romfile=`];
        const injected = await injectionArguments('smbios', [adapter], folder);
        const more = [...network, ...injected, ...(await makeLinuxGuest(folder)).arguments, ...told.arguments];
        return { accelerator: 'tcg', memoryMib: 128, bus: 'virtio', address: null, more };
      },
    });
  });
  afterEach(() => pair.close());
  const writes = async (site: string, more: number) => {
    const enough = consoleOf(site).written + more;
    await until(`${site} writes`, () => consoleOf(site).written >= enough, BOOT_MS);
    return consoleOf(site).written;
  };

  it('its site is killed, and it starts from the newest point: with another address, and with every record up to the point', async () => {
    const { reading, slough } = pair;
    const onDisk: number[] = [];
    for (let cycles = 0; cycles < 3; cycles++) {
      onDisk.push(await writes('reading', 15));
      await cycle(reading, slough);
    }
    await writes('reading', 15);
    await reading.kill();
    const lost = consoleOf('reading').written;
    const points = slough.replica?.points ?? [];
    assert.equal(points.length, 3);
    const found = await Promise.all(points.map((point) => readLinuxDisk(slough.replica?.fileAt(point, 'd0') ?? '')));
    for (const [index, { records, wrong, damage }] of found.entries()) {
      assert.deepEqual({ wrong, damage }, { wrong: [], damage: '' });
      assert.ok(records >= (onDisk[index] ?? 0), `point ${index} holds ${records}, of which ${onDisk[index]} were on the disk before it`);
      assert.ok(records < lost, 'and not what came later');
    }

    const newest = points.at(-1);
    assert.ok(newest);
    slough.layers = (await slough.replica?.failOver(newest)) ?? slough.layers;
    await slough.start();
    const records = found.at(-1)?.records ?? 0;
    const last = await writes('slough', records + 10);
    const { lines } = consoleOf('slough');
    for (const line of [
      `ADDRESS 198.51.100.10/24 on ${mac}`,
      'MOUNTED, journal played back',
      `RECORDS ${records} found`,
      `WROTE ${records + 1}`,
    ])
      assert.ok(lines.includes(line), `${line}\n${lines.slice(0, 20).join('\n')}`);
    await slough.stop();
    const end = await readLinuxDisk(slough.layers.fileOf('d0', (await slough.layers.of('d0')).at(-1) ?? 0));
    assert.deepEqual({ wrong: end.wrong, damage: end.damage, all: end.records >= last }, { wrong: [], damage: '', all: true });
  });
});
