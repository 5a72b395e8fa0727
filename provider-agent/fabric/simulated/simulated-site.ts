/**
 * A whole site in one object, with nothing behind it. It is a product part, for the demo, development, tests and rehearsals on a laptop. It
 * keeps the rules of every site (site.ts), pretends that things take time, and has faults happen that were ordered.
 */
import type { VmRef } from '../../../shared/ids.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import type { DrillNetworkView, ReplicationMeasure, TestCopyView } from '../fabric.ts';
import { inventoryViewOf } from '../site/cycle-tally.ts';
import { openDatabase } from '../site/database.ts';
import { drillNetworks } from '../site/drill-networks.ts';
import { testCopyView } from '../site/drill-operations.ts';
import type { StoredPoint } from '../site/recovery-points.ts';
import type { ListenAt } from '../site/replication-door.ts';
import type { ReplicationTransport } from '../site/replication-transport.ts';
import { Site } from '../site/site.ts';
import type { VmDefinition } from '../site/site-model.ts';
import type { PowerChange, TaskEntry } from '../site/task-log.ts';
import { type Adapter, type VmRecord, writtenBytesAt } from '../site/vm-record.ts';
import { FaultDesk } from './fault-desk.ts';
import { pretendedMachinery } from './pretended-machinery.ts';
import type { SiteDefinition } from './site-definition.ts';

export interface SimulatedSiteOptions {
  readonly definition: SiteDefinition;
  /** A path, or `:memory:`. */
  readonly databaseFile: string;
  readonly clock: Clock;
  readonly random: Random;
  /** In place of the listen address of the definition. */
  readonly replicationListen?: ListenAt;
  /** Without one: mutual TLS. */
  readonly transport?: ReplicationTransport;
}

/** How far a primary is ahead of its replica, and what the VM wrote so far. */
export interface ReplicationLag {
  readonly writtenBytes: number;
  readonly pendingBytes: number;
  readonly lagMs: number | null;
}

const LOOK_FOR_FAULTS_MS = 500;

export class SimulatedSite extends Site {
  /** Where faults are ordered and seen. */
  readonly faults: FaultDesk;

  private constructor({ databaseFile, definition, ...options }: SimulatedSiteOptions) {
    const { clock, random } = options;
    const database = openDatabase(databaseFile);
    let settle = () => {};
    const faults = new FaultDesk(database, clock, () => settle());
    const machinery = pretendedMachinery(definition, random, () => clock.now());
    super({ ...options, definition, database, machinery, faults, lookMs: databaseFile === ':memory:' ? null : LOOK_FOR_FAULTS_MS });
    this.faults = faults;
    if (this.world.isNew) for (const fault of definition.faults) faults.order(fault);
    settle = () => this.settleFaults();
  }

  static async open(options: SimulatedSiteOptions): Promise<SimulatedSite> {
    const site = new SimulatedSite(options);
    await site.begin();
    return site;
  }

  /** Whether a host of the site answers. */
  isUp(host: string): boolean {
    this.settleFaults();
    return this.world.hosts.isUp(host);
  }

  /** Somebody makes a VM at the site while it runs. */
  addVm(definition: VmDefinition): void {
    this.world.addVm(definition);
  }

  /** Somebody tags it while the site runs. */
  tagVm(ref: VmRef, tags: readonly string[]): void {
    this.world.tag(ref, tags);
  }

  /** Every task that the site was asked for, oldest first. */
  taskLog(): readonly TaskEntry[] {
    return this.world.tasks.tasks();
  }

  /** Every time a VM went on or off, and why. */
  powerLog(): readonly PowerChange[] {
    return this.world.tasks.powerChanges();
  }

  /** Recovery points with what the primary had written by then. Newest first. */
  pointsWithContent(ref: VmRef): readonly StoredPoint[] {
    return this.world.points.list(ref);
  }

  /** Every test copy that is there, by the id of its replica. */
  testCopies(): ReadonlyMap<string, TestCopyView> {
    return new Map(this.world.vms.testCopies().map((copy) => [copy.testCopy.replicaId, testCopyView(copy)] as const));
  }

  madeForDrills(): readonly DrillNetworkView[] {
    return drillNetworks(this.world);
  }

  /** Adapters with networks and addresses, which the port does not show. */
  adapters(ref: VmRef): readonly Adapter[] {
    return this.world.need(ref, 'configureReplica').adapters;
  }

  /** As the inventory tells it; null of one that is no primary. */
  measureOf(ref: VmRef): ReplicationMeasure | null {
    const vm = this.world.vms.find(ref);
    return vm === null ? null : (inventoryViewOf(vm, this.world.clock.now(), true).replication.measure ?? null);
  }

  measureReplication(ref: VmRef): ReplicationLag | null {
    const vm: VmRecord | null = this.world.vms.find(ref);
    if (vm === null) return null;
    const now = this.world.clock.now();
    const writtenBytes = writtenBytesAt(vm, now);
    const { primary, lastPointAt } = vm.replication;
    return {
      writtenBytes,
      pendingBytes: primary === null ? 0 : writtenBytes - primary.confirmedBytes,
      lagMs: lastPointAt === null ? null : now - lastPointAt,
    };
  }

  protected override settleFaults(): void {
    if (this.isClosed) return;
    const { began, ended } = this.faults.settle();
    if (began.length === 0 && ended.length === 0) return;
    for (const fault of began) {
      if (fault.kind === 'hostDies') this.world.hostDies(fault.host);
      if (fault.kind === 'siteDark') this.door.closeSoon();
    }
    for (const fault of ended) {
      if (fault.kind === 'hostDies') this.world.hostReturns(fault.host);
      // Where the port is taken meanwhile the site stays dark for replicas: its peers say so.
      if (fault.kind === 'siteDark') void this.door.reopen().catch(() => undefined);
    }
    this.wake();
  }
}
