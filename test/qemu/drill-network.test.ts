/** A drill with real machines: its copy of a VM and production do not reach each other, looked at from hosts on both networks. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { injectionArguments } from '../../provider-agent/fabric/qemu/address-injection.ts';
import { Layers } from '../../provider-agent/fabric/qemu/layers.ts';
import { Machine, type MachineDefinition } from '../../provider-agent/fabric/qemu/machine.ts';
import { HostNetworks, macOf, type TapOwner } from '../../provider-agent/fabric/qemu/networks.ts';
import { JobId } from '../../shared/ids.ts';
import { systemClock as clock } from '../../shared/system-ports.ts';
import { Console, type LinuxGuest, makeLinuxGuest, whyNoLinuxGuest, writeLinuxDisk } from '../support/linux-guest.ts';
import { attachHost, devices, fetchFrom, ip, isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../support/own-network.ts';
import { cycle, DISK_BYTES, makeQemuPair, type QemuPair } from '../support/qemu-pair.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoLinuxGuest()) || (await whyNoOwnNetwork());
const BOOT_MS = 120_000;
const drill = JobId.parse(uuidOf('a drill'));
const web = uuidOf('web');
/** The bridge of production is an address of its host too, which routes: the worst neighbour that a drill can have. */
const [host, client, production, copy, visitor] = ['203.0.113.1', '203.0.113.50', '203.0.113.10', '203.0.113.20', '203.0.113.60'];
const ofWeb: TapOwner = { kind: 'vm', id: web };
const ofCopy: TapOwner = { kind: 'copy', id: web };

describe('the test copy of a drill', { skip }, () => {
  if (!isInOwnNetwork) return void it('in network namespaces of their own', () => runInOwnNetwork(import.meta.filename));
  const networks = new HostNetworks('Slough');
  let root: string;
  let linux: LinuxGuest;
  let pair: QemuPair;
  let server: Server;
  let running: Machine;
  let bridge: string;
  let devicesBefore: string[];
  const said = (name: string) => new Console(join(root, `${name}.serial`));

  const definition = async (name: string, owner: TapOwner, on: string, address: string, probes: readonly string[]) => {
    const mac = macOf(web, 0);
    const adapter = { mac, addresses: [`${address}/24`], gateways: [host], dns: [] };
    const [option = '', settings = ''] = await injectionArguments('smbios', [adapter], root);
    const injected = [option, `${settings},value=farshore.probe=${probes.join(',,')}`];
    const plugged = await networks.plug(owner, 0, { way: { bridge: on }, mac, model: 'virtio-net-pci' });
    const more = [...plugged, ...injected, ...linux.arguments, ...said(name).arguments];
    return { accelerator: 'tcg', memoryMib: 128, bus: 'virtio', address: null, more } satisfies MachineDefinition;
  };

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'fd-'));
    linux = await makeLinuxGuest(root);
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    ip('link', 'add', 'name', 'br0', 'type', 'bridge');
    ip('address', 'add', `${host}/24`, 'dev', 'br0');
    ip('link', 'set', 'dev', 'br0', 'up');
    attachHost('client', 'br0', `${client}/24`);
    server = createServer((_, answer) => answer.end('the host')).listen(80, '0.0.0.0');
    pair = await makeQemuPair({
      disk: (file) => writeLinuxDisk(file, DISK_BYTES),
      definition: () => definition('production', ofWeb, 'br0', production, [client]),
    });
    await until('production serves', () => said('production').says('SERVES'), BOOT_MS);
    devicesBefore = devices();
  });
  after(async () => {
    server?.close();
    await pair?.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('production is reached on its network, and reaches it', async () => {
    assert.notEqual(await fetchFrom('client', `http://${production}/last`), null);
    assert.equal(await fetchFrom('client', `http://${host}/`), 'the host');
    await until('production reaches the client', () => said('production').says(`REACHES ${client}`), BOOT_MS);
  });

  it('it starts from the newest recovery point, on a network of the drill', async () => {
    const point = await cycle(pair.reading, pair.slough);
    bridge = await networks.makeDrill(drill);
    const folder = join(root, 'copy');
    mkdirSync(join(folder, 'd0'), { recursive: true });
    const from = pair.slough.replica?.fileAt(point, 'd0') ?? '';
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', from, join(folder, 'd0', 'base.qcow2')]);
    const settings = await definition('copy', ofCopy, bridge, copy, [client, production, host]);
    running = await Machine.start(folder, new Layers(folder, ['d0']), settings, clock);
    await until('the copy serves', () => said('copy').says('SERVES'), BOOT_MS);
    assert.ok(said('copy').says(/^RECORDS [1-9]\d* found$/), 'it holds what production wrote');
    assert.deepEqual(await networks.exposure(bridge), { leadsOut: false, otherVms: 0 });
  });

  it('it lives, and is reached by who is on its network; that one reaches neither production nor the host', async () => {
    const cable = attachHost('visitor', bridge, `${visitor}/24`);
    assert.notEqual(await fetchFrom('visitor', `http://${copy}/last`), null);
    assert.equal(await fetchFrom('visitor', `http://${production}/last`), null);
    assert.equal(await fetchFrom('visitor', `http://${host}/`), null);
    assert.doesNotMatch(ip('-netns', 'visitor', 'neighbour', 'show', host), /lladdr/, 'the host does not even say that it is there');
    assert.equal((await networks.exposure(bridge))?.leadsOut, true, 'a visitor is a way out');
    ip('link', 'delete', 'dev', cable);
    assert.equal((await networks.exposure(bridge))?.leadsOut, false);
  });

  it('it reaches neither production, nor a host of its network, nor the host that both stand on', async () => {
    const probes = [client, production, host];
    await until('it has tried', () => probes.every((each) => said('copy').says(`REACHES NOT ${each}`)), BOOT_MS);
    for (const each of probes) assert.equal(said('copy').says(`REACHES ${each}`), false, each);
  });

  it('it is not reached from the network of production', async () => {
    assert.equal(await fetchFrom('client', `http://${copy}/last`), null);
  });

  it('production goes on writing, and replication goes on', async () => {
    const { written } = said('production');
    await until('production writes', () => said('production').written > written + 5, BOOT_MS);
    await cycle(pair.reading, pair.slough);
    assert.equal(pair.slough.replica?.points.length, 2);
    assert.notEqual(await fetchFrom('client', `http://${production}/last`), null);
  });

  it('nothing of it is left after it is cleaned up', async () => {
    await running.quit();
    await networks.unplug(ofCopy);
    await networks.removeDrill(drill);
    assert.deepEqual(devices(), devicesBefore);
    assert.deepEqual(await networks.drills(), []);
  });
});
