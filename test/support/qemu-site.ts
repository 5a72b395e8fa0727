/** Sites of real machines for tests: a folder, a site file, and disks of the guest that writes numbered records. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostSide } from '../../provider-agent/fabric/qemu/host-side.ts';
import { openQemuSite, type QemuSite } from '../../provider-agent/fabric/qemu/open-qemu.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { writeGuestDisk } from './qemu-guest.ts';

export const GUEST_DISK_BYTES = 16 * 1024 * 1024;

/** Machines without adapters, whose guest reads its first address by fw_cfg. */
export const noNetworks: HostSide = {
  equip: async ({ adapters }) => {
    const [first] = adapters.flatMap(({ connected }) => connected?.address ?? []);
    return first === undefined ? [] : ['-fw_cfg', `name=opt/farshore/address,string=${first}`];
  },
  release: async () => {},
  makeDrillNetwork: async () => {},
  removeDrillNetwork: async () => {},
  exposure: async (_network, booked) => booked,
  sweep: async () => {},
};

/** Memory and bus of the guest of `test/qemu/guest`, which knows nothing of ACPI. */
const machine = 'machine: { bus: ide, shutDown: stop, answers: { says: RECORD } }';

export function qemuSiteText(name: string, cloud: string, vms: readonly string[], more = ''): string {
  return `
name: ${name}
folder: m
clouds: [{ name: ${cloud} }]
host: { name: ${name}-1, dnsName: ${name}-1.test, cores: 64, memory: 64 GB, accelerator: tcg }
storage: [{ name: Disks, capacity: 10 GB }]
networks:
  - name: LAN
    subnets: [{ name: a, cidr: 10.0.0.0/16, pool: { from: 10.0.0.10, to: 10.0.200.250, gateway: 10.0.0.1 } }]
  - name: Bubble
    isolated: true
    subnets: [{ name: a, cidr: 10.0.0.0/16 }]
replication: { retryAfter: 500 ms }
${more}
vms: [${vms.join(', ')}]
`;
}

export function guestVm(name: string, cloud: string, address: string): string {
  return `{ name: ${name}, cloud: ${cloud}, memory: 4 MB, disks: [{ image: ${name}.raw, format: raw, storage: Disks }], adapters: [{ network: LAN, address: ${address} }], ${machine} }`;
}

export class QemuTestSite {
  readonly folder: string;
  readonly #text: string;
  #site: QemuSite | null = null;

  private constructor(folder: string, text: string) {
    this.folder = folder;
    this.#text = text;
  }

  static async make(name: string, cloud: string, vms: readonly string[] = []): Promise<QemuTestSite> {
    const folder = mkdtempSync(join(tmpdir(), 'fq-'));
    mkdirSync(folder, { recursive: true });
    for (const vm of vms) writeGuestDisk(join(folder, `${vm}.raw`), GUEST_DISK_BYTES);
    const text = qemuSiteText(
      name,
      cloud,
      vms.map((vm, index) => guestVm(vm, cloud, `10.0.0.${10 + index}`)),
    );
    const site = new QemuTestSite(folder, text);
    await site.open();
    return site;
  }

  get site(): QemuSite {
    if (this.#site === null) throw new Error('the site is closed');
    return this.#site;
  }

  async open(): Promise<void> {
    this.#site = await openQemuSite({
      text: this.#text,
      fileName: join(this.folder, 'site.yaml'),
      databaseFile: join(this.folder, 'site.db'),
      host: noNetworks,
      clock: systemClock,
      random: systemRandom,
    });
  }

  async close(): Promise<void> {
    await this.#site?.close();
    this.#site = null;
  }

  /** Every machine dies as if the host lost its power; how many there were. */
  killMachines(): number {
    const machines = join(this.folder, 'm');
    let killed = 0;
    for (const home of readdirSync(machines)) {
      const pid = readPid(join(machines, home, 'pid'));
      if (pid === null) continue;
      process.kill(pid, 'SIGKILL');
      killed++;
    }
    return killed;
  }

  async end(): Promise<void> {
    await this.close();
    this.killMachines();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function readPid(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(file) ? pid : null;
  } catch {
    return null;
  }
}
