/**
 * What a site of real machines needs of its host, looked at before anything is begun, all at once: programs, TLS, the accelerator, images, room, paths of
 * sockets, rights to networks. The same checks are those of `farshore-agent check`. They read, and change nothing.
 */
import { access, constants, readdir, readFile, readlink, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { FarshoreError } from '../../../shared/errors.ts';
import type { CheckFinding, SiteCheck } from '../site-check.ts';
import { bridgesOfHost } from './networks.ts';
import { lacksOfPrograms, runProgram } from './programs.ts';

export interface SiteImage {
  readonly vm: string;
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  /** Where the site file names it: `vms[2].disks[0].image`. */
  readonly field: string;
}

export interface SiteNeeds {
  /** Where the folders of the machines lie. */
  readonly folder: string;
  readonly accelerator: 'kvm' | 'tcg';
  /** Those that are still to be copied into it. */
  readonly images: readonly SiteImage[];
  readonly bridges: readonly { readonly network: string; readonly bridge: string; readonly field: string }[];
  /** VMs whose guests read a seed disk (address-injection.ts). */
  readonly seeds: readonly string[];
  /** Left out: those of the host. */
  readonly devices?: { readonly kvm: string; readonly tun: string };
}

/** What a site needs beside its images to take its first increments. */
const ROOM_BYTES = 256 * 1024 * 1024;
/** Of a Unix socket, in bytes. */
const PATH_MOST = 107;
/** The longest path of a socket in the folder of the machines (machine.ts, storage-daemon.ts). */
const LONGEST_NAME = '/0123456789ab/storage';
const CAP_NET_ADMIN = 12n;
const hostDevices = { kvm: '/dev/kvm', tun: '/dev/net/tun' };

export function requirements(needs: SiteNeeds): SiteCheck[] {
  return [
    { name: 'qemu.programs', run: () => checkPrograms() },
    { name: 'qemu.tls', run: () => checkTls() },
    { name: 'qemu.accelerator', run: () => checkAccelerator(needs) },
    { name: 'qemu.paths', run: () => Promise.resolve([checkPaths(needs)]) },
    { name: 'qemu.images', run: () => Promise.all(needs.images.map((image) => checkImage(image))) },
    { name: 'qemu.room', run: () => checkRoom(needs) },
    { name: 'qemu.networks', run: () => checkNetworks(needs) },
    { name: 'qemu.seed', run: () => checkSeeds(needs) },
  ];
}

/** Throws ERR_FABRIC_FAILED with everything that is missing. */
export async function requireAll(needs: SiteNeeds): Promise<void> {
  const found = (await Promise.all(requirements(needs).map(({ run }) => run()))).flat();
  const missing = found.filter(({ state }) => state === 'missing');
  if (missing.length === 0) return;
  const problems = missing.map(({ subject, found: there, cause, remedy }) => ({
    message: [subject, there, cause].filter(Boolean).join(': '),
    ...(remedy === undefined ? {} : { allowed: remedy }),
  }));
  const lines = problems.map(({ message, allowed }) => `- ${message}${allowed === undefined ? '' : `. Remedy: ${allowed}`}`);
  throw new FarshoreError('ERR_FABRIC_FAILED', `the host lacks what the site needs:\n${lines.join('\n')}`, { problems });
}

async function checkPrograms(): Promise<CheckFinding[]> {
  const lacks = await lacksOfPrograms();
  const check = 'qemu.programs';
  if (lacks.length === 0) {
    const version = await runProgram('qemu-system-x86_64', ['--version']);
    return [{ check, subject: 'QEMU', state: 'ok', found: version.split('\n')[0] ?? '' }];
  }
  return lacks.map(({ program, found, remedy }) =>
    missing(check, program, found, 'Machines and their disks are run and copied by it.', remedy),
  );
}

/** QEMU makes the object before it looks at the image, and says why it cannot. */
async function checkTls(): Promise<CheckFinding[]> {
  const object = ['--object', 'tls-creds-x509,id=tls,endpoint=client,dir=/nonexistent'];
  const said = await saidBy(runProgram('qemu-img', ['info', ...object, '/dev/null'], 10_000));
  if (said.includes('Unable to access credentials')) return [{ check: 'qemu.tls', subject: 'qemu-img', state: 'ok', found: 'speaks TLS' }];
  if (!/gnutls|tls-creds-x509/i.test(said)) return [];
  const remedy = 'Install the packages of the distribution, or build QEMU with --enable-gnutls.';
  return [missing('qemu.tls', 'qemu-img', said, 'Disks go from host to host over TLS alone, which this QEMU was built without.', remedy)];
}

async function checkAccelerator({ accelerator, devices = hostDevices }: SiteNeeds): Promise<CheckFinding[]> {
  const finding = { check: 'qemu.accelerator', subject: 'host.accelerator' };
  if (accelerator === 'tcg')
    return [
      {
        ...finding,
        state: 'warning',
        found: 'tcg',
        cause: 'Machines are emulated, some ten times slower.',
        remedy: 'Say kvm on a host that has it.',
      },
    ];
  const refusal = await refusalOf(devices.kvm);
  if (refusal === null) return [{ ...finding, state: 'ok', found: `kvm, ${devices.kvm} can be opened` }];
  const [cause, remedy] =
    refusal === 'ENOENT'
      ? [
          'The host has no KVM.',
          'Switch virtualization on in its firmware (in a VM: nested virtualization), modprobe kvm_intel or kvm_amd; or say accelerator: tcg.',
        ]
      : ['The user of the agent may not use KVM.', 'usermod -aG kvm <user of the agent>, then start it anew.'];
  return [missing(finding.check, finding.subject, `${devices.kvm}: ${refusal}`, cause, remedy)];
}

function checkPaths({ folder }: SiteNeeds): CheckFinding {
  const length = Buffer.byteLength(folder + LONGEST_NAME);
  const finding = { check: 'qemu.paths', subject: 'folder' };
  if (length <= PATH_MOST) return { ...finding, state: 'ok', found: `${folder}: paths of sockets have ${length} bytes of ${PATH_MOST}` };
  const cause = `The paths of sockets in it would have ${length} bytes; a Unix socket takes ${PATH_MOST}.`;
  return missing(
    finding.check,
    finding.subject,
    folder,
    cause,
    `A folder whose path has at most ${PATH_MOST - LONGEST_NAME.length} bytes.`,
  );
}

const ImageInfo = z.looseObject({
  format: z.string(),
  encrypted: z.boolean().default(false),
  'actual-size': z.int().default(0),
  'format-specific': z.looseObject({ data: z.looseObject({ corrupt: z.boolean().default(false) }).optional() }).optional(),
});

/** The format is looked for as the site file names it: what a guest wrote into a raw image must not choose it. */
async function checkImage({ vm, file, format, field }: SiteImage): Promise<CheckFinding> {
  const check = 'qemu.images';
  const subject = `${field}, a disk of '${vm}': ${file}`;
  const lacks = (found: string, cause: string, remedy: string) => missing(check, subject, found, cause, remedy);
  const told = await runProgram('qemu-img', ['info', '--output', 'json', file], 60_000).catch((error: unknown) => error as Error);
  if (told instanceof Error) return lacks(...refusedImage(told.message, await usersOf(file)));
  const info = ImageInfo.parse(JSON.parse(told));
  if (info.encrypted)
    return lacks('encrypted', 'Encrypted images are not replicated.', 'Decrypt it: qemu-img convert to an image without encryption.');
  if (info['format-specific']?.data?.corrupt === true)
    return lacks(
      'damaged',
      'QEMU has marked the image as damaged.',
      `Look at it with qemu-img check, and mend it: qemu-img check -r all ${file}`,
    );
  if (info.format !== 'qcow2' && info.format !== 'raw')
    return lacks(
      `of the format ${info.format}`,
      'Only raw and qcow2 are taken.',
      `qemu-img convert -O qcow2 ${file} <new file>, and name that.`,
    );
  if (info.format !== format)
    return lacks(`of the format ${info.format}`, `The site file says ${format}.`, `Say format: ${info.format} beside it.`);
  return { check, subject, state: 'ok', found: format };
}

function refusedImage(said: string, users: readonly string[]): [string, string, string] {
  if (said.includes('No such file'))
    return ['is not there', 'No file has that name.', 'Name the image beside the site file, or with its whole path.'];
  if (said.includes('Permission denied'))
    return [
      'cannot be read',
      'The user of the agent may not read it.',
      'Give the user of the agent the right to read it and to look into its folders.',
    ];
  if (/lock|another process/i.test(said)) {
    const by = users.length === 0 ? 'another process' : users.join(', ');
    return [
      `in use by ${by}`,
      'Another process has it open for writing, and two would destroy it.',
      'Shut that VM down, or end that process.',
    ];
  }
  return [said, 'QEMU does not read it.', 'Look at it with qemu-img info.'];
}

/** Processes that have the file open, as far as we may look: `qemu-system-x86 (4711)`. */
async function usersOf(file: string): Promise<string[]> {
  const processes = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const users = await Promise.all(
    processes.map(async (pid) => {
      const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const files = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
      if (!files.includes(file)) return [];
      return [`${(await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()} (${pid})`];
    }),
  );
  return users.flat();
}

async function checkRoom({ folder, images }: SiteNeeds): Promise<CheckFinding[]> {
  const sizes = await Promise.all(
    images.map(async ({ file }) => {
      const told = await runProgram('qemu-img', ['info', '-U', '--output', 'json', file], 60_000).catch(() => '{"format":""}');
      return ImageInfo.parse(JSON.parse(told))['actual-size'];
    }),
  );
  const wanted = sizes.reduce((sum, size) => sum + size, ROOM_BYTES);
  const { bavail, bsize } = await statfs(await nearestFolder(folder));
  const finding = {
    check: 'qemu.room',
    subject: folder,
    found: `${mebibytes(bavail * bsize)} MiB are free, ${mebibytes(wanted)} are wanted`,
  };
  if (bavail * bsize >= wanted) return [{ ...finding, state: 'ok' }];
  const cause = 'The images are copied into the folder, and increments are written beside them.';
  return [missing(finding.check, finding.subject, finding.found, cause, 'Make room, or name a folder on a larger file system.')];
}

async function checkNetworks({ bridges, devices = hostDevices }: SiteNeeds): Promise<CheckFinding[]> {
  if (bridges.length === 0) return [];
  const check = 'qemu.networks';
  const there = await bridgesOfHost().catch(() => null);
  if (there === null) return [missing(check, 'ip', 'ip is missing', 'Adapters are plugged in by it.', 'apt-get install iproute2')];
  const rights = /^CapEff:\s*(\w+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const mayChange = (BigInt(`0x${rights}`) >> CAP_NET_ADMIN) % 2n === 1n;
  const refusal = await refusalOf(devices.tun);
  const unit = 'AmbientCapabilities=CAP_NET_ADMIN in the unit of the agent';
  return [
    ...bridges.map(({ network, bridge, field }): CheckFinding => {
      const subject = `${field}, of the network '${network}'`;
      if (there.includes(bridge)) return { check, subject, state: 'ok', found: bridge };
      const names = there.length === 0 ? 'the host has none' : `the host has ${there.join(', ')}`;
      return missing(
        check,
        subject,
        `no bridge ${bridge}`,
        `A network is a bridge that you have made; ${names}.`,
        `ip link add name ${bridge} type bridge, and let the host make it at each start.`,
      );
    }),
    mayChange
      ? { check, subject: 'CAP_NET_ADMIN', state: 'ok', found: 'is there' }
      : missing(check, 'CAP_NET_ADMIN', 'the agent has not got it', 'Taps and the networks of drills are made with it.', unit),
    refusal === null
      ? { check, subject: devices.tun, state: 'ok', found: 'can be opened' }
      : missing(
          check,
          devices.tun,
          refusal,
          'Adapters are made by it.',
          refusal === 'ENOENT' ? 'modprobe tun' : `chmod 0666 ${devices.tun}, as udev does`,
        ),
  ];
}

async function checkSeeds({ seeds }: SiteNeeds): Promise<CheckFinding[]> {
  if (seeds.length === 0) return [];
  const [check, subject] = ['qemu.seed', seeds.join(', ')];
  const formats = await runProgram('qemu-img', ['--help'], 10_000).catch(() => '');
  if (/\bvvfat\b/.test(formats)) return [{ check, subject, state: 'ok', found: 'QEMU shows a folder as a disk' }];
  const cause = 'The seed of noCloud is a folder that QEMU shows as a disk; this QEMU was built without the format vvfat.';
  return [missing(check, subject, 'no vvfat', cause, 'Choose injection: smbios for these VMs, or a QEMU that has it.')];
}

function missing(check: string, subject: string, found: string, cause: string, remedy: string): CheckFinding {
  return { check, subject, state: 'missing', found, cause, remedy };
}

/** Why the device cannot be used; null where it can. */
async function refusalOf(device: string): Promise<string | null> {
  return access(device, constants.R_OK | constants.W_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
  );
}

/** The folder itself may not have been made yet. */
async function nearestFolder(folder: string): Promise<string> {
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  return isThere || dirname(folder) === folder ? folder : nearestFolder(dirname(folder));
}

async function saidBy(run: Promise<string>): Promise<string> {
  return run.catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / (1024 * 1024));
}
