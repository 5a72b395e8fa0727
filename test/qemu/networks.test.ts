/** Bridges and taps as the kernel has them: whose each is, what leads out, and what is left after a crash. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HostNetworks, macOf, type TapOwner } from '../../provider-agent/fabric/qemu/networks.ts';
import { JobId } from '../../shared/ids.ts';
import { attachHost, devices, ip, isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../support/own-network.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';

const skip = await whyNoOwnNetwork();
const drill = JobId.parse(uuidOf('a drill'));
const production: TapOwner = { kind: 'vm', id: uuidOf('web') };
const copy: TapOwner = { kind: 'copy', id: uuidOf('web') };
const on = (bridge: string) => ({ way: { bridge }, mac: macOf(uuidOf('web'), 0), model: 'virtio-net-pci' }) as const;

/** As udev does on most systems; here over the one of the machine, in the mounts of the test alone. */
function openTunToAll(): void {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-tun-'));
  execFileSync('mknod', ['-m', '0666', join(folder, 'tun'), 'c', '10', '200']);
  execFileSync('mount', ['--bind', join(folder, 'tun'), '/dev/net/tun']);
  rmSync(folder, { recursive: true });
}

describe('networks of a host', { skip }, () => {
  if (!isInOwnNetwork) return void it('in network namespaces of their own', () => runInOwnNetwork(import.meta.filename));
  const slough = new HostNetworks('Slough');
  beforeEach(() => ip('link', 'add', 'name', 'br0', 'type', 'bridge'));
  afterEach(() => {
    for (const name of devices()) if (name !== 'lo') ip('link', 'delete', 'dev', name);
  });

  it('an adapter is a tap on the bridge of its network, and is made once', async () => {
    const once = await slough.plug(production, 0, on('br0'));
    assert.deepEqual(await slough.plug(production, 0, on('br0')), once);
    assert.match(once.join(' '), /^-netdev tap,id=net0,ifname=ft\w{13},script=no,downscript=no -device virtio-net-pci,.*mac=52:54:00:/);
    await slough.plug(production, 1, on('br0'));
    assert.equal(devices().length, 4);
    await slough.unplug(production);
    assert.deepEqual(devices(), ['br0', 'lo']);
  });

  it('an adapter goes to another bridge with its network', async () => {
    await slough.plug(production, 0, on('br0'));
    const bridge = await slough.makeDrill(drill);
    await slough.plug(production, 0, on(bridge));
    assert.deepEqual([(await slough.exposure('br0'))?.otherVms, (await slough.exposure(bridge))?.otherVms], [0, 1]);
  });

  it('an adapter that leads nowhere, or out through QEMU, needs nothing of the host', async () => {
    const [nowhere, out] = [
      await slough.plug(production, 0, { ...on('br0'), way: 'none' }),
      await slough.plug(production, 1, { ...on('br0'), way: 'user' }),
    ];
    assert.deepEqual([nowhere[1], out[1]], ['hubport,id=net0,hubid=0', 'user,id=net1']);
    assert.deepEqual(devices(), ['br0', 'lo']);
  });

  it('a bridge that is not there is told by name', async () => {
    await assert.rejects(slough.plug(production, 0, on('br7')), /no bridge br7/);
    assert.equal(await slough.exposure('br7'), null);
    assert.deepEqual(devices(), ['br0', 'lo']);
  });

  it('the network of a drill is found by what the kernel says, also by an agent that starts anew', async () => {
    const bridge = await slough.makeDrill(drill);
    await slough.plug(copy, 0, on(bridge));
    const found = await new HostNetworks('Slough').drills();
    assert.deepEqual(found, [{ drill, bridge, taps: [{ name: found[0]?.taps[0]?.name, owner: copy }] }]);
    assert.deepEqual(await new HostNetworks('Reading').drills(), [], 'another site on the same host does not know it');
  });

  it('it leads nowhere, and carries no other VM', async () => {
    const bridge = await slough.makeDrill(drill);
    await slough.plug(copy, 0, on(bridge));
    assert.deepEqual(await slough.exposure(bridge), { leadsOut: false, otherVms: 0 });
    await slough.plug(production, 0, on(bridge));
    assert.deepEqual(await slough.exposure(bridge), { leadsOut: false, otherVms: 1 });
  });

  const openings = {
    'a port that is no VM': (bridge: string) => void attachHost('visitor', bridge, '192.0.2.9/24'),
    'an address of the host': (bridge: string) => void ip('address', 'add', '192.0.2.1/24', 'dev', bridge),
    'routing by the host': (bridge: string) => writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/forwarding`, '1'),
    'routing by the host, of all its devices': () => writeFileSync('/proc/sys/net/ipv4/ip_forward', '1'),
    'answers of the host': (bridge: string) => writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/arp_ignore`, '0'),
    'packets of one address that come by broadcast': (bridge: string) =>
      writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/drop_unicast_in_l2_multicast`, '0'),
    'IPv6 of the host': (bridge: string) => writeFileSync(`/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`, '0'),
  };
  for (const [name, open] of Object.entries(openings)) {
    it(`a way out is seen: ${name}`, async () => {
      const bridge = await slough.makeDrill(drill);
      assert.equal((await slough.exposure(bridge))?.leadsOut, false);
      open(bridge);
      assert.equal((await slough.exposure(bridge))?.leadsOut, true);
      writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
    });
  }

  it('a bridge of production leads out even where nothing is plugged into it: its host would answer', async () => {
    ip('link', 'set', 'dev', 'br0', 'up');
    assert.equal((await slough.exposure('br0'))?.leadsOut, true);
  });

  it('the network of a drill is removed when nothing is connected to it, and removing it again is nothing', async () => {
    const bridge = await slough.makeDrill(drill);
    await slough.plug(copy, 0, on(bridge));
    await assert.rejects(slough.removeDrill(drill), { code: 'ERR_CONFLICT' });
    await slough.unplug(copy);
    await slough.removeDrill(drill);
    await slough.removeDrill(drill);
    assert.deepEqual(devices(), ['br0', 'lo']);
  });

  it('making it again mends what a crash left half-made', async () => {
    const bridge = await slough.makeDrill(drill);
    ip('link', 'delete', 'dev', bridge);
    ip('link', 'add', 'name', bridge, 'type', 'bridge');
    assert.deepEqual(await slough.drills(), [], 'what is not marked does not count');
    assert.equal(await slough.makeDrill(drill), bridge);
    assert.equal((await slough.exposure(bridge))?.leadsOut, false);
  });

  it('what nobody needs after a crash is swept, and nothing else', async () => {
    const bridge = await slough.makeDrill(drill);
    const half = await slough.makeDrill(JobId.parse(uuidOf('another drill')));
    ip('link', 'delete', 'dev', half);
    ip('link', 'add', 'name', half, 'type', 'bridge');
    await slough.plug(copy, 0, on(bridge));
    await slough.plug(production, 0, on('br0'));
    await new HostNetworks('Reading').plug(copy, 0, on('br0'));
    ip('tuntap', 'add', 'dev', 'tap-of-others', 'mode', 'tap');
    const before = devices();
    const swept = await slough.sweep((owner) => owner.kind === 'vm');
    assert.equal(swept.length, 2);
    assert.ok(swept.includes(half));
    assert.deepEqual(
      devices(),
      before.filter((name) => !swept.includes(name)),
    );
    assert.deepEqual((await slough.drills())[0]?.taps, []);
  });

  it('a user who is not root needs CAP_NET_ADMIN, and QEMU gets none of it', async () => {
    openTunToAll();
    const script = `
      import { HostNetworks } from ${JSON.stringify(new URL('../../provider-agent/fabric/qemu/networks.ts', import.meta.url).href)};
      import { withoutRights } from ${JSON.stringify(new URL('../../provider-agent/fabric/qemu/programs.ts', import.meta.url).href)};
      const networks = new HostNetworks('Slough');
      const bridge = await networks.makeDrill(${JSON.stringify(drill)});
      const args = await networks.plug(${JSON.stringify(copy)}, 0, { ...${JSON.stringify(on('br0'))}, way: { bridge } });
      const machine = ['-machine', 'pc', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-S'];
      console.log(JSON.stringify({ bridge, command: withoutRights('qemu-system-x86_64', [...machine, ...args]) }));
    `;
    const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps', '+net_admin', '--ambient-caps', '+net_admin'];
    const told = execFileSync('setpriv', [...asNobody, process.execPath, '--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
    });
    const { bridge, command } = JSON.parse(told) as { bridge: string; command: [string, ...string[]] };
    assert.deepEqual(await slough.exposure(bridge), { leadsOut: false, otherVms: 0 });
    const machine = spawn('setpriv', [...asNobody, ...command], { stdio: 'inherit' });
    const rights = () => /^CapEff:\s*(\w+)$/m.exec(readFileSync(`/proc/${machine.pid}/status`, 'utf8'))?.[1];
    const carrier = () => JSON.parse(ip('-json', 'link', 'show', 'master', bridge)) as { flags: string[] }[];
    await until('QEMU has opened the tap', () => carrier().some(({ flags }) => flags.includes('LOWER_UP')), 20_000);
    assert.equal(rights(), '0000000000000000');
    machine.kill('SIGKILL');
  });
});
