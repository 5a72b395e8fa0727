/** A guest without an agent learns its addresses from its machine: a real Linux says which it took. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parse } from 'yaml';
import { type GuestAdapter, type InjectionWay, injectionArguments } from '../../provider-agent/fabric/qemu/address-injection.ts';
import { Console, makeLinuxGuest, whyNoLinuxGuest } from '../support/linux-guest.ts';
import { until } from '../support/until.ts';

const skip = await whyNoLinuxGuest();
const BOOT_MS = 120_000;
const first: GuestAdapter = {
  mac: '52:54:00:11:22:33',
  addresses: ['203.0.113.10/24', '2001:db8::10/64'],
  gateways: ['203.0.113.1', '2001:db8::1'],
  dns: ['203.0.113.2', '2001:db8::2'],
};
const second: GuestAdapter = { mac: '52:54:00:11:22:44', addresses: ['198.51.100.10/28'], gateways: [], dns: [] };

describe('the arguments of QEMU that tell a guest its addresses', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fi-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const seed = (name: string) => readFileSync(join(folder, 'seed', name), 'utf8');

  it('there are none where all adapters ask DHCP, or the guest keeps what it has', async () => {
    for (const way of ['fwCfg', 'smbios', 'noCloud'] as const)
      assert.deepEqual(await injectionArguments(way, [{ ...first, addresses: [] }], folder), []);
    assert.deepEqual(await injectionArguments('none', [first], folder), []);
    assert.deepEqual(readdirSync(folder), []);
  });

  it('SMBIOS and fw_cfg: a line for each setting, with commas doubled as QEMU wants them', async () => {
    const [, strings = ''] = await injectionArguments('smbios', [first, second], folder);
    assert.match(
      strings,
      /^type=11,value=farshore\.adapter0\.mac=52:54:00:11:22:33,value=farshore\.adapter0\.address=203\.0\.113\.10\/24,,2001:db8::10\/64,/,
    );
    assert.match(strings, /value=farshore\.adapter1\.address=198\.51\.100\.10\/28$/);
    const [, alone = '', , all = ''] = await injectionArguments('fwCfg', [first, second], folder);
    assert.equal(alone, 'name=opt/farshore/address,string=203.0.113.10/24');
    assert.match(all, /\nadapter0\.dns=203\.0\.113\.2,,2001:db8::2\nadapter1\.mac=/);
  });

  it('a seed for cloud-init: each adapter by its MAC address, ways out of both families', async () => {
    await injectionArguments('noCloud', [first, { ...second, addresses: [] }], folder);
    assert.deepEqual(parse(seed('network-config')), {
      version: 2,
      ethernets: {
        adapter0: {
          match: { macaddress: first.mac },
          addresses: first.addresses,
          routes: [
            { to: '0.0.0.0/0', via: '203.0.113.1' },
            { to: '::/0', via: '2001:db8::1' },
          ],
          nameservers: { addresses: first.dns },
        },
        adapter1: { match: { macaddress: second.mac }, dhcp4: true },
      },
    });
    assert.match(seed('user-data'), /^#cloud-config\n/);
  });

  it('a seed has another id exactly when the network is another one', async () => {
    const ids: string[] = [];
    for (const adapter of [first, first, second]) {
      await injectionArguments('noCloud', [adapter], folder);
      ids.push(seed('meta-data'));
    }
    assert.equal(ids[0], ids[1]);
    assert.notEqual(ids[1], ids[2]);
  });
});

describe('a Linux guest takes its addresses', { skip }, () => {
  let folder: string;
  let machine: ChildProcess | null = null;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fi-'));
  });
  afterEach(() => {
    machine?.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const start = async (way: InjectionWay) => {
    const told = new Console(join(folder, 'serial'));
    const common = ['-accel', 'tcg', '-machine', 'pc', '-m', '128', '-nodefaults', '-display', 'none'];
    const disk = ['-blockdev', 'driver=null-co,node-name=d0,size=1048576', '-device', 'virtio-blk-pci,drive=d0'];
    const adapters = [second, first].flatMap(({ mac }, index) => [
      '-netdev',
      `hubport,id=n${index},hubid=${index}`,
      '-device',
      `virtio-net-pci,netdev=n${index},mac=${mac},romfile=`,
    ]);
    const injected = await injectionArguments(way, [first, second], folder);
    const guest = await makeLinuxGuest(folder);
    const all = [...common, ...disk, ...adapters, ...injected, ...guest.arguments, ...told.arguments];
    machine = spawn('qemu-system-x86_64', all, { stdio: 'ignore' });
    return told;
  };

  for (const way of ['smbios', 'fwCfg'] as const) {
    it(`${way}: of both families, on the adapter meant, with gateways and DNS`, async () => {
      const told = await start(way);
      await until('it has got to its disk', () => told.says('NOT MOUNTED'), BOOT_MS);
      const [addresses, others] = [/^ADDRESS/, /^(GATEWAY|DNS)/].map((pattern) => told.lines.filter((line) => pattern.test(line)));
      assert.deepEqual(
        addresses?.toSorted(),
        [first, second].flatMap(({ addresses: own, mac }) => own.map((each) => `ADDRESS ${each} on ${mac}`)).toSorted(),
      );
      assert.deepEqual(others, [...first.gateways.map((each) => `GATEWAY ${each}`), ...first.dns.map((each) => `DNS ${each}`)]);
    });
  }

  it('noCloud: the seed is a disk with a file system that Linux reads', async () => {
    const told = await start('noCloud');
    await until('it has got to its disk', () => told.says('NOT MOUNTED'), BOOT_MS);
    const network = readFileSync(join(folder, 'seed', 'network-config'), 'utf8')
      .trimEnd()
      .split('\n');
    const seen = told.lines.flatMap((line) => (line.startsWith('SEED ') ? line.slice('SEED '.length) : []));
    assert.deepEqual(seen.slice(1), network);
    assert.match(seen[0] ?? '', /^instance-id: farshore-/);
  });
});
