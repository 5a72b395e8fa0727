/** Sites of real machines for tests: a folder, a site file, and disks of the guest that writes numbered records. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import { Homes } from '../../provider-agent/fabric/qemu/homes.ts';
import { QemuSite, qemuSiteParts } from '../../provider-agent/fabric/qemu/open-qemu.ts';
import type { Machinery } from '../../provider-agent/fabric/site/machinery.ts';
import { CloudId, VmId } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { type GuestDisk, readGuestDisk, writeGuestDisk } from './qemu-guest.ts';

export const GUEST_DISK_BYTES = 16 * 1024 * 1024;

/** Memory and bus of the guest of `test/qemu/guest`, which knows nothing of ACPI. */
const recording = '{ bus: ide, adapter: e1000, injection: fwCfg, shutDown: stop, answers: { says: RECORD } }';

function siteText(name: string, cloud: string, lan: string, vms: readonly string[]): string {
  return `
name: ${name}
folder: m
clouds: [{ name: ${cloud} }]
host: { name: ${name}-1, dnsName: ${name}-1.test, cores: 64, memory: 64 GB, accelerator: tcg }
storage: [{ name: Disks, capacity: 10 GB }]
networks:
  - name: LAN
    way: ${lan}
    subnets: [{ name: a, cidr: 10.0.0.0/16, pool: { from: 10.0.0.10, to: 10.0.200.250, gateway: 10.0.0.1 } }]
  - name: Bubble
    isolated: true
    way: none
    subnets: [{ name: a, cidr: 10.0.0.0/16 }]
replication: { retryAfter: 500 ms }
vms: [${vms.join(', ')}]
`;
}

function guestVm(name: string, cloud: string, address: string, machine: string): string {
  return `{ name: ${name}, cloud: ${cloud}, memory: 4 MB, disks: [{ image: ${name}.raw, format: raw, storage: Disks }], adapters: [{ network: LAN, address: ${address} }], machine: ${machine} }`;
}

export interface WrittenSite {
  /** How its machines are built. */
  readonly machine?: string;
  /** Where its network LAN leads. */
  readonly lan?: string;
}

export interface OpenSite {
  readonly clock?: Clock;
  /** What stands between the rules of the site and its machines. */
  readonly machinery?: (real: Machinery) => Machinery;
}

export class QemuTestSite {
  readonly name: string;
  readonly cloud: string;
  readonly folder: string;
  readonly text: string;
  #site: QemuSite | null = null;

  private constructor(name: string, cloud: string, folder: string, text: string) {
    this.name = name;
    this.cloud = cloud;
    this.folder = folder;
    this.text = text;
  }

  /** Its file and its disks are written; it is not open. */
  static write(
    name: string,
    cloud: string,
    vms: readonly string[] = [],
    { machine = recording, lan = 'user' }: WrittenSite = {},
  ): QemuTestSite {
    const folder = mkdtempSync(join(tmpdir(), 'fq-'));
    for (const vm of vms) writeGuestDisk(join(folder, `${vm}.raw`), GUEST_DISK_BYTES);
    const entries = vms.map((vm, index) => guestVm(vm, cloud, `10.0.0.${10 + index}`, machine));
    const text = siteText(name, cloud, lan, entries);
    const site = new QemuTestSite(name, cloud, folder, text);
    writeFileSync(site.file, text);
    return site;
  }

  get file(): string {
    return join(this.folder, 'site.yaml');
  }

  get site(): QemuSite {
    if (this.#site === null) throw new Error('the site is closed');
    return this.#site;
  }

  get cloudId(): CloudId {
    return CloudId.parse(nameUuid(this.name, 'cloud', this.cloud));
  }

  async open({ clock = systemClock, machinery = (real) => real }: OpenSite = {}): Promise<QemuSite> {
    const databaseFile = join(this.folder, 'site.db');
    const parts = await qemuSiteParts({ text: this.text, fileName: this.file, databaseFile, clock, random: systemRandom });
    this.#site = await QemuSite.open({ ...parts, machinery: machinery(parts.machinery) });
    return this.#site;
  }

  async close(): Promise<void> {
    await this.#site?.close();
    this.#site = null;
  }

  /** Where a VM of that id lies here. */
  homeOf(vmId: string): string {
    return new Homes(join(this.folder, 'm')).folderOf({ cloudId: this.cloudId, vmId: VmId.parse(vmId) });
  }

  /** Of the machine of the VM of that id. */
  pidOf(vmId: string): number {
    return Number(readFileSync(join(this.homeOf(vmId), 'pid'), 'utf8'));
  }

  runningMachines(): number {
    return this.#pids('qemu-system-').length;
  }

  /** Every machine dies as if the host lost its power; how many there were. */
  killMachines(): number {
    const pids = this.#pids('qemu-system-');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids.length;
  }

  /** Programs of QEMU that have something of this site open. */
  #pids(program: string): number[] {
    return readdirSync('/proc').flatMap((pid) => {
      const command = /^\d+$/.test(pid) ? commandOf(pid) : '';
      return command.startsWith(program) && command.includes(`${this.folder}/`) ? Number(pid) : [];
    });
  }

  async end(): Promise<void> {
    await this.close();
    for (const pid of this.#pids('qemu-')) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The guest's disk as that layer of it has it, or the highest. */
export function diskAt(home: string, layer: number | null = null): GuestDisk {
  const files = readdirSync(join(home, 'd0'));
  const layers = files.flatMap((file) => Number(/^layer-(\d+)\.qcow2$/.exec(file)?.[1] ?? Number.NaN) || []);
  const wanted = layer ?? Math.max(0, ...layers);
  return readGuestDisk(join(home, 'd0', layers.includes(wanted) ? `layer-${wanted}.qcow2` : 'base.qcow2'));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
