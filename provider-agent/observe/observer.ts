/**
 * Reads what changed at the site, while a session is up, and reports only that.
 *
 * Kept in memory is one hash for each thing that was reported, never the inventory itself. When the digest over these
 * does not fit what the control plane has stored, it asks for everything, so a lost report mends itself.
 */
import { createHash } from 'node:crypto';
import { isSameTag } from '../../shared/domain/protection-rules.ts';
import { type Clock, isoMoment, type Log } from '../../shared/ports.ts';
import type { AgentMessage, MeasureReport, VmReport } from '../../shared/protocol/egress.ts';
import { cloudItem, InventoryDigest, networkItem, type Sha256, vmItem } from '../../shared/protocol/inventory-digest.ts';
import type { Fabric, InventoryChanges, ReplicationMeasure, VmView } from '../fabric/fabric.ts';
import { type InventoryReport, reportMessages } from './report-messages.ts';

export interface ObserverPorts {
  readonly fabric: Pick<Fabric, 'readInventory'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** There is something to send: `next` has it. */
  onChanged(): void;
}

const sha256: Sha256 = (text) => createHash('sha256').update(text).digest();

/** Longest name and most networks that the egress schema takes. */
const NAME_LENGTH = 255;
const NETWORKS_MOST = 64;

export class Observer {
  readonly #ports: ObserverPorts;
  /** Hash of each thing as it was reported, by its kind and id. */
  #reported = new Map<string, Uint8Array>();
  #sum = new InventoryDigest();
  #hasReported = false;
  #cursor: string | null = null;
  /** Of the tags of VMs these are told. */
  #wantedTags: readonly string[] = [];
  /** What is told of a VM has become another: every VM is read anew, and what differs is told. */
  #readsAll = false;
  #owesAll = true;
  #sentAllAt = 0;
  #messages: Iterator<AgentMessage> | null = null;
  #cancelRead = () => {};
  /** Counts connections, so that a read begun on an earlier one is dropped. */
  #connection = 0;

  constructor(ports: ObserverPorts) {
    this.#ports = ports;
  }

  /** Over the inventory as last reported; null before the first report. */
  get digest(): string | null {
    return this.#hasReported ? this.#sum.toString() : null;
  }

  connected(inventory: 'inStep' | 'sendAll'): void {
    this.disconnected();
    const connection = this.#connection;
    if (inventory === 'inStep') return void this.#read(connection);
    this.#owesAll = true;
    this.#cursor = null;
    // However often the other end asks, everything is read and sent no more often than changes are.
    const { clock, everyMs } = this.#ports;
    this.#cancelRead = clock.after(Math.max(0, this.#sentAllAt + everyMs - clock.now()), () => void this.#read(connection));
  }

  want(tags: readonly string[]): void {
    if (JSON.stringify(tags) === JSON.stringify(this.#wantedTags)) return;
    this.#wantedTags = tags;
    this.#readsAll = true;
  }

  disconnected(): void {
    this.#connection++;
    this.#cancelRead();
    this.#messages = null;
  }

  /** The next message of the report under way, or null. */
  next(): AgentMessage | null {
    const { value } = this.#messages?.next() ?? { value: undefined };
    if (value !== undefined) return value;
    this.#messages = null;
    return null;
  }

  async #read(connection: number): Promise<void> {
    const { fabric, clock, log, everyMs, onChanged } = this.#ports;
    try {
      // A report that still waits to be sent is finished before the next is begun.
      const changes = this.#messages === null ? await fabric.readInventory(this.#from()) : null;
      if (connection !== this.#connection) return;
      const report = changes === null ? null : this.#take(changes);
      if (report !== null) {
        this.#messages = reportMessages(report);
        onChanged();
      }
    } catch (error) {
      if (connection !== this.#connection) return;
      log.warn({ err: error }, 'inventory could not be read');
    }
    this.#cancelRead = clock.after(everyMs, () => void this.#read(connection));
  }

  #from(): string | null {
    const cursor = this.#readsAll ? null : this.#cursor;
    this.#readsAll = false;
    return cursor;
  }

  /** Takes the changes in, and returns what of them is news to the control plane; null when nothing is. */
  #take(changes: InventoryChanges): InventoryReport | null {
    const vms = changes.vms.map((vm) => toReport(vm, this.#wantedTags));
    const clouds = changes.clouds.map(({ id, name }) => ({ id, name: fitName(name) }));
    const networks = changes.networks.map(({ id, name }) => ({ id, name: fitName(name) }));
    const gone = changes.full ? this.#missingFrom(changes) : changes.removedVms.map((ref) => `vm/${ref.cloudId}/${ref.vmId}`);
    // Only a complete report can say that a cloud or a network is gone.
    const full = this.#owesAll || gone.some((key) => !key.startsWith('vm/'));
    if (full) {
      this.#forget();
      this.#sentAllAt = this.#ports.clock.now();
    }

    const report: InventoryReport = {
      full,
      clouds: clouds.filter((cloud) => this.#isNews(`cloud/${cloud.id}`, cloudItem(cloud, sha256))),
      networks: networks.filter((network) => this.#isNews(`network/${network.id}`, networkItem(network, sha256))),
      vms: vms.filter((vm) => this.#isNews(`vm/${vm.ref.cloudId}/${vm.ref.vmId}`, vmItem(vm, sha256))),
      removedVms: gone.filter((key) => this.#drop(key)).map(refOf),
      digest: this.#sum.toString(),
    };
    this.#cursor = changes.cursor;
    this.#owesAll = false;
    this.#hasReported = true;
    const isEmpty = report.clouds.length + report.networks.length + report.vms.length + report.removedVms.length === 0;
    return isEmpty && !full ? null : report;
  }

  #isNews(key: string, item: Uint8Array): boolean {
    const before = this.#reported.get(key);
    if (before !== undefined && Buffer.compare(before, item) === 0) return false;
    if (before !== undefined) this.#sum.remove(before);
    this.#sum.add(item);
    this.#reported.set(key, item);
    return true;
  }

  #drop(key: string): boolean {
    const before = this.#reported.get(key);
    if (before === undefined) return false;
    this.#sum.remove(before);
    return this.#reported.delete(key);
  }

  #missingFrom({ clouds, networks, vms }: InventoryChanges): string[] {
    const present = new Set([
      ...clouds.map(({ id }) => `cloud/${id}`),
      ...networks.map(({ id }) => `network/${id}`),
      ...vms.map(({ ref }) => `vm/${ref.cloudId}/${ref.vmId}`),
    ]);
    return [...this.#reported.keys()].filter((key) => !present.has(key));
  }

  #forget(): void {
    this.#reported = new Map();
    this.#sum = new InventoryDigest();
  }
}

function refOf(key: string): VmView['ref'] {
  const [, cloudId, vmId] = key.split('/');
  return { cloudId, vmId } as VmView['ref'];
}

/** Field by field: what the fabric knows beyond this stays at the site. */
function toReport(vm: VmView, wantedTags: readonly string[]): VmReport {
  const { mode, state, health, lastPointAt, settings, firstCopyAt, measure } = vm.replication;
  const tags = wantedTags.filter((wanted) => vm.tags.some((tag) => isSameTag(tag, wanted)));
  return {
    ref: { cloudId: vm.ref.cloudId, vmId: vm.ref.vmId },
    name: fitName(vm.name),
    power: vm.power,
    networkIds: vm.networkIds.slice(0, NETWORKS_MOST),
    replication: {
      mode,
      state,
      health,
      lastPointAt: lastPointAt === null ? null : isoMoment(lastPointAt),
      settings,
      ...(firstCopyAt !== undefined && { firstCopyAt: isoMoment(firstCopyAt) }),
      ...(measure !== undefined && { measure: toMeasureReport(measure) }),
    },
    epoch: vm.epoch,
    ...(tags.length > 0 && { tags }),
  };
}

function toMeasureReport(measure: ReplicationMeasure): MeasureReport {
  const { since, cycles, missed, errors, averageBytes, maximumBytes, pendingBytes, averageLatencyMs, maximumLatencyMs } = measure;
  const counted = { cycles, missed, errors, averageBytes, maximumBytes, pendingBytes, averageLatencyMs, maximumLatencyMs };
  return { since: since === null ? null : isoMoment(since), ...counted };
}

function fitName(name: string): string {
  return name.slice(0, NAME_LENGTH) || '-';
}
