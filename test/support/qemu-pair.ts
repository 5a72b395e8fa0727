/** Two folders as two sites with QEMU, certificates of both, and a VM: what the tests of replication by QEMU have in common. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { subjectOf, writeCredentials } from '../../provider-agent/fabric/qemu/credentials.ts';
import { type ExportAddress, sendIncrement } from '../../provider-agent/fabric/qemu/increment.ts';
import { Layers } from '../../provider-agent/fabric/qemu/layers.ts';
import { Machine, type MachineDefinition } from '../../provider-agent/fabric/qemu/machine.ts';
import { NbdExport } from '../../provider-agent/fabric/qemu/nbd-export.ts';
import { ReplicaDisks, type StoredPoint } from '../../provider-agent/fabric/qemu/replica-disks.ts';
import { StorageDaemon } from '../../provider-agent/fabric/qemu/storage-daemon.ts';
import { SiteId } from '../../shared/ids.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/system-ports.ts';
import { writeGuestDisk } from './qemu-guest.ts';
import { makeVaultCertificates } from './replication-certificates.ts';
import { uuidOf } from './simulated-sites.ts';
import { until } from './until.ts';

const certificates = makeVaultCertificates();
export const DISK_BYTES = 16 * 1024 * 1024;
export const disks = [{ name: 'd0', sizeBytes: DISK_BYTES }];

const BlockStatistics = z.array(z.looseObject({ stats: z.looseObject({ wr_operations: z.int() }) }));

/** The machine of `test/qemu/guest`. */
const tiny: MachineDefinition = { accelerator: 'tcg', memoryMib: 4, bus: 'ide', address: '203.0.113.10/24', more: [] };

/** What happens to an increment on its way. */
export interface Hurts {
  /** When it can be received; the addresses are those that it goes to. */
  before?(addresses: Map<string, ExportAddress>): Promise<void> | void;
  /** When all has arrived and nothing is sealed. */
  after?(exports: ReadonlyMap<string, NbdExport>): Promise<void>;
  readonly stalledMs?: number;
}

/** One site: where its VM lies, whatever it is to the other. */
export class QemuSide {
  readonly folder: string;
  readonly credentials: string;
  readonly subject: string;
  readonly serverName: string;
  layers: Layers;
  definition = tiny;
  machine: Machine | null = null;
  replica: ReplicaDisks | null = null;

  private constructor(folder: string, name: string, subject: string) {
    this.folder = join(folder, 'vm');
    this.credentials = join(folder, 'tls');
    this.subject = subject;
    this.serverName = serverNameOf(name);
    mkdirSync(this.folder, { recursive: true });
    this.layers = new Layers(this.folder, ['d0']);
  }

  static async make(root: string, name: string): Promise<QemuSide> {
    const vault = await certificates;
    const issue = await vault.siteIssuer(SiteId.parse(uuidOf(name)));
    const [certificate] = await issue([{ host: name, dnsNames: [serverNameOf(name)] }]);
    if (certificate === undefined) throw new Error('no certificate was issued');
    await writeCredentials(join(root, name, 'tls'), certificate, vault.rootPem);
    return new QemuSide(join(root, name), name, subjectOf(readFileSync(join(root, name, 'tls', 'client-cert.pem'), 'utf8')));
  }

  async start(): Promise<Machine> {
    this.machine = await Machine.start(this.folder, this.layers, this.definition, clock);
    return this.machine;
  }

  /** Resolves when the guest has written so many records more, each of which is two writes to its disk. */
  async records(count: number): Promise<void> {
    const { machine } = this;
    if (machine === null) throw new Error('nothing runs there');
    const writes = async () => {
      const [device] = BlockStatistics.parse(await machine.qmp.run('query-blockstats'));
      return device?.stats.wr_operations ?? 0;
    };
    const enough = (await writes()) + 2 * count;
    await until('the guest writes', async () => (await writes()) >= enough, 60_000);
  }

  /** As if the host lost its power. */
  async kill(): Promise<void> {
    process.kill(Number(readFileSync(join(this.folder, 'pid'), 'utf8')), 'SIGKILL');
    await this.machine?.ended();
    this.machine = null;
  }

  async reopenReplica(): Promise<ReplicaDisks> {
    this.replica = await ReplicaDisks.open(this.folder, disks);
    return this.replica;
  }

  /** Room for a layer, opened for that sender. */
  async receive(layer: number, sender: string) {
    const [exports, addresses] = [new Map<string, NbdExport>(), new Map<string, ExportAddress>()];
    for (const [disk, file] of (await this.replica?.begin(layer)) ?? []) {
      const [name, port] = [random.uuid(), await freePort()];
      exports.set(disk, await NbdExport.open({ file, name, host: '127.0.0.1', port, credentials: this.credentials, sender }, clock));
      addresses.set(disk, { host: '127.0.0.1', port, name, serverName: this.serverName });
    }
    return { exports, addresses };
  }

  async stop(): Promise<void> {
    this.machine?.qmp.close();
    this.machine = null;
    await (await Machine.find(this.folder, this.layers, clock))?.quit();
  }
}

export interface QemuPair {
  readonly reading: QemuSide;
  readonly slough: QemuSide;
  close(): Promise<void>;
}

export interface PairSettings {
  /** Writes the raw disk that the VM begins with; left out: that of the tiny guest. */
  readonly disk?: (file: string) => Promise<void> | void;
  /** What runs at each site. */
  readonly definition?: (site: string, folder: string) => Promise<MachineDefinition> | MachineDefinition;
}

/** The VM runs at reading, and slough is ready to take it. */
export async function makeQemuPair({ disk = (raw) => writeGuestDisk(raw, DISK_BYTES), definition }: PairSettings = {}): Promise<QemuPair> {
  const root = mkdtempSync(join(tmpdir(), 'fq-'));
  const [reading, slough] = [await QemuSide.make(root, 'reading'), await QemuSide.make(root, 'slough')];
  if (definition) for (const [name, side] of Object.entries({ reading, slough })) side.definition = await definition(name, root);
  mkdirSync(join(reading.folder, 'd0'));
  await disk(join(root, 'raw'));
  const base = join(reading.folder, 'd0', 'base.qcow2');
  await promisify(execFile)('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(root, 'raw'), base]);
  await reading.start();
  await slough.reopenReplica();
  return {
    reading,
    slough,
    async close() {
      for (const side of [reading, slough]) await side.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** One increment of a machine that runs: frozen, sent, sealed, merged. */
export async function cycle(from: QemuSide, to: QemuSide, hurts?: Hurts): Promise<StoredPoint> {
  const { machine } = from;
  if (machine === null) throw new Error('nothing runs there');
  const frozen = await machine.freeze();
  const point = await send(await StorageDaemon.open(from.folder, from.layers, clock, frozen), from, to, frozen, hurts);
  await machine.merge(point.layer);
  return point;
}

/** What a machine that is off has not sent yet. */
export async function sendRest(from: QemuSide, to: QemuSide): Promise<StoredPoint> {
  return send(await StorageDaemon.open(from.folder, from.layers, clock), from, to, await from.layers.level());
}

async function send(daemon: StorageDaemon, from: QemuSide, to: QemuSide, layer: number, hurts: Hurts = {}): Promise<StoredPoint> {
  const at = clock.now();
  const sealed = to.replica?.points.at(-1)?.layer;
  const unsent = (await from.layers.of('d0')).filter((one) => one <= layer && one > (sealed ?? 0));
  const { exports, addresses } = await to.receive(layer, from.subject);
  try {
    await hurts.before?.(addresses);
    const layers = [...(sealed === undefined ? [0] : []), ...unsent];
    const increment = { layers, exports: addresses, credentials: from.credentials, ...(hurts.stalledMs && { stalledMs: hurts.stalledMs }) };
    await sendIncrement(daemon, increment, clock);
    await hurts.after?.(exports);
    for (const one of exports.values()) await one.close();
  } catch (error) {
    for (const one of exports.values()) await one.kill();
    throw error;
  } finally {
    await daemon.close();
  }
  const point: StoredPoint = { id: random.uuid(), at, kind: 'crashConsistent', layer };
  await to.replica?.seal(point);
  return point;
}

function serverNameOf(name: string): string {
  return `${name}-host.test`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
