/** What a host lacks for a site of real machines is told at its start, all at once, by name and with a remedy; looked at with the real programs. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { requireAll, requirements, type SiteNeeds } from '../../provider-agent/fabric/qemu/requirements.ts';
import type { CheckFinding } from '../../provider-agent/fabric/site-check.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { until } from '../support/until.ts';

const skip = await whyNoQemu();
const PATH = process.env.PATH ?? '';

describe('what a host lacks for QEMU', { skip }, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fr-'));
    chmodSync(folder, 0o755);
  });
  afterEach(() => {
    process.env.PATH = PATH;
    rmSync(folder, { recursive: true });
  });
  const make = (name: string, ...options: string[]) => {
    execFileSync('qemu-img', ['create', '-q', '-f', ...options, join(folder, name), '1M']);
    return join(folder, name);
  };
  const needs = (more: Partial<SiteNeeds> = {}): SiteNeeds => ({
    folder: join(folder, 'machines'),
    accelerator: 'tcg',
    images: [],
    bridges: [],
    seeds: [],
    ...more,
  });
  const image = (file: string, format: 'raw' | 'qcow2' = 'qcow2') => ({ vm: 'web', file, format, field: 'vms[0].disks[0].image' });
  const missing = async (of: SiteNeeds): Promise<CheckFinding[]> =>
    (await Promise.all(requirements(of).map(({ run }) => run()))).flat().filter(({ state }) => state === 'missing');
  const told = async (of: SiteNeeds) => (await missing(of)).map(({ check, subject, found }) => `${check} ${subject}: ${found}`);
  /** Programs of QEMU that are other than the real ones. */
  const inPlaceOf = (programs: Readonly<Record<string, string>>) => {
    mkdirSync(join(folder, 'bin'));
    for (const [name, script] of Object.entries(programs))
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = `${join(folder, 'bin')}:${PATH}`;
  };

  it('nothing, where all is there; and nothing is changed by looking', async () => {
    const file = make('disk', 'qcow2');
    const before = readFileSync(file);
    await requireAll(needs({ images: [image(file)], seeds: ['web'] }));
    assert.deepEqual(readFileSync(file), before);
    assert.deepEqual(readdirSync(folder), ['disk']);
  });

  it('programs that are missing', async () => {
    process.env.PATH = folder;
    assert.deepEqual(await told(needs()), [
      'qemu.programs qemu-system-x86_64: qemu-system-x86_64 is missing',
      'qemu.programs qemu-img: qemu-img is missing',
      'qemu.programs qemu-nbd: qemu-nbd is missing',
      'qemu.programs qemu-storage-daemon: qemu-storage-daemon is missing',
    ]);
    assert.match((await missing(needs()))[0]?.remedy ?? '', /apt-get install/);
  });

  it('a version that is too old', async () => {
    inPlaceOf({ 'qemu-nbd': 'echo "qemu-nbd 4.2.1 (Debian 1:4.2-3)"' });
    assert.deepEqual(await told(needs()), ['qemu.programs qemu-nbd: qemu-nbd is of version 4.2.1']);
  });

  it('QEMU without TLS, and without disks made of folders', async () => {
    const version = execFileSync('qemu-img', ['--version'], { encoding: 'utf8' }).split('\n')[0];
    inPlaceOf({
      'qemu-img': `[ "$1" = --version ] && exec echo "${version}"\n[ "$1" = --help ] && exec echo 'Supported formats: qcow2 raw'\necho 'TLS credentials support requires GNUTLS' >&2; exit 1`,
    });
    const found = await told(needs({ seeds: ['web', 'db'] }));
    assert.match(found[0] ?? '', /^qemu\.tls qemu-img: .*GNUTLS/);
    assert.deepEqual(found.slice(1), ['qemu.seed web, db: no vvfat']);
  });

  it('an image that another process has open, and which one', async () => {
    const file = make('disk', 'qcow2');
    const bare = ['-accel', 'tcg', '-machine', 'pc', '-nodefaults', '-display', 'none', '-S'];
    const machine = spawn('qemu-system-x86_64', [...bare, '-drive', `file=${file},format=qcow2,if=ide`]);
    const isOpen = () =>
      readdirSync(`/proc/${machine.pid}/fd`).some(
        (fd) => execFileSync('readlink', ['-m', `/proc/${machine.pid}/fd/${fd}`], { encoding: 'utf8' }).trim() === file,
      );
    try {
      await until('it has the image', isOpen, 20_000);
      await until('and has locked it', async () => (await missing(needs({ images: [image(file)] }))).length > 0, 20_000);
      const [found] = await missing(needs({ images: [image(file)] }));
      assert.equal(found?.subject, `vms[0].disks[0].image, a disk of 'web': ${file}`);
      assert.match(found?.found ?? '', new RegExp(`^in use by qemu-system-x86 \\(${machine.pid}\\)$`));
    } finally {
      machine.kill('SIGKILL');
    }
  });

  const bad: Record<string, { make: () => string; format?: 'raw'; found: RegExp; remedy: RegExp }> = {
    'that is not there': { make: () => join(folder, 'none'), found: /^is not there$/, remedy: /^Name the image/ },
    'of a format that is not taken': {
      make: () => make('disk', 'vmdk'),
      found: /^of the format vmdk$/,
      remedy: /qemu-img convert -O qcow2/,
    },
    'of another format than is said': { make: () => make('disk', 'raw'), found: /^of the format raw$/, remedy: /format: raw/ },
    'that is said to be raw, and is not': {
      make: () => make('disk', 'qcow2'),
      format: 'raw',
      found: /^of the format qcow2$/,
      remedy: /format: qcow2/,
    },
    'that is encrypted': {
      make: () =>
        make('disk', 'qcow2', '--object', 'secret,id=s,data=x', '-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10'),
      found: /^encrypted$/,
      remedy: /without encryption/,
    },
    'that QEMU has marked as damaged': { make: () => damaged(make('disk', 'qcow2')), found: /^damaged$/, remedy: /qemu-img check/ },
  };
  for (const [name, { make: made, format, found, remedy }] of Object.entries(bad)) {
    it(`an image ${name}`, async () => {
      const [first, ...more] = await missing(needs({ images: [image(made(), format)] }));
      assert.match(first?.found ?? '', found);
      assert.match(first?.remedy ?? '', remedy);
      assert.deepEqual(more, []);
    });
  }

  it('a folder whose sockets would have too long a path', async () => {
    const long = join(folder, 'a'.repeat(90));
    const [found] = await missing(needs({ folder: long }));
    assert.match(`${found?.subject} ${found?.found} ${found?.cause}`, /^folder .*aaa.* a Unix socket takes 107\./);
    assert.equal(existsSync(long), false);
  });

  it('room: on a file system that has none', async () => {
    const [found] = await missing(needs({ folder: '/proc/machines' }));
    assert.match(found?.found ?? '', /^0 MiB are free, 256 are wanted$/);
  });

  it('KVM, bridges and taps', async () => {
    const devices = { kvm: join(folder, 'kvm'), tun: join(folder, 'tun') };
    const bridges = [{ network: 'LAN', bridge: 'no-such-bridge', field: 'networks[0].bridge' }];
    assert.deepEqual(await told(needs({ accelerator: 'kvm', bridges, devices })), [
      `qemu.accelerator host.accelerator: ${devices.kvm}: ENOENT`,
      "qemu.networks networks[0].bridge, of the network 'LAN': no bridge no-such-bridge",
      `qemu.networks ${devices.tun}: ENOENT`,
    ]);
  });

  it('rights, of a user who has none', { skip: process.getuid?.() !== 0 && 'only root can become another user' }, () => {
    const file = make('disk', 'qcow2');
    const devices = { kvm: join(folder, 'kvm'), tun: join(folder, 'tun') };
    for (const each of [file, devices.kvm, devices.tun]) writeFileSync(each, '', { mode: 0o600, flag: 'a' });
    chmodSync(file, 0o600);
    const bridges = [{ network: 'LAN', bridge: 'no-such-bridge', field: 'networks[0].bridge' }];
    const module = new URL('../../provider-agent/fabric/qemu/requirements.ts', import.meta.url).href;
    const script = `
      import { requireAll } from ${JSON.stringify(module)};
      await requireAll(${JSON.stringify(needs({ accelerator: 'kvm', images: [image(file)], bridges, devices }))}).catch((error) => console.log(error.message));
    `;
    const asNobody = [
      '--reuid',
      '65534',
      '--regid',
      '65534',
      '--clear-groups',
      process.execPath,
      '--input-type=module-typescript',
      '-e',
      script,
    ];
    const said = execFileSync('setpriv', asNobody, { encoding: 'utf8', cwd: '/' });
    for (const part of [
      /kvm: EACCES.*usermod -aG kvm/,
      /cannot be read/,
      /CAP_NET_ADMIN: the agent has not got it.*AmbientCapabilities/,
      /tun: EACCES/,
    ])
      assert.match(said, part);
  });

  it('all of it at once, each with what to do', async () => {
    const images = [image(join(folder, 'none')), { ...image(make('disk', 'vmdk')), field: 'vms[1].disks[0].image', vm: 'db' }];
    const devices = { kvm: join(folder, 'kvm'), tun: '/dev/null' };
    await assert.rejects(
      requireAll(needs({ accelerator: 'kvm', images, devices, folder: '/proc/machines' })),
      (error: Error & { problems: { allowed?: string }[] }) => {
        assert.equal(error.problems.length, 4);
        for (const { allowed } of error.problems) assert.ok(allowed);
        assert.match(error.message, /kvm: ENOENT.*'web'.*is not there.*'db'.*vmdk.*0 MiB are free/s);
        return true;
      },
    );
  });
});

/** Sets the mark that QEMU sets when it finds the image inconsistent. */
function damaged(file: string): string {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(79) | 2, 79);
  writeFileSync(file, bytes);
  return file;
}
