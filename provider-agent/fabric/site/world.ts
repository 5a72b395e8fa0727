/** A site as its operations see it: the definition it was made from, the stores over its one database, and what carries things out. */
import type { AdapterTarget } from '../../../shared/domain/network-map.ts';
import { explainNoPlace, type PlacementNeed, pickPlace } from '../../../shared/domain/placement.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { CloudId, VmRef } from '../../../shared/ids.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import { AddressBook } from './address-book.ts';
import type { SqliteDatabase } from './database.ts';
import { HostStore } from './host-store.ts';
import type { Book, Machinery } from './machinery.ts';
import type { Operation } from './operation.ts';
import type { OrderedFaults } from './ordered-faults.ts';
import { plantedReplication } from './planted-replication.ts';
import { PreparationStore } from './preparation-store.ts';
import { RecoveryPointStore } from './recovery-points.ts';
import { cloudNotFound, failed, hostDown, vmNotFound, wrongState } from './refusals.ts';
import { nextReplication, type ReplicationEvent } from './replication-states.ts';
import type { SiteModel, VmDefinition } from './site-model.ts';
import { TaskLog } from './task-log.ts';
import { type ReplicationRecord, replicates, settleWritten, type VmRecord, vmRef } from './vm-record.ts';
import { VmStore } from './vm-store.ts';

export interface WorldParts {
  readonly database: SqliteDatabase;
  readonly definition: SiteModel;
  readonly clock: Clock;
  readonly random: Random;
  readonly machinery: Machinery;
  readonly faults: OrderedFaults;
}

export class World implements Book {
  readonly definition: SiteModel;
  readonly clock: Clock;
  readonly random: Random;
  readonly vms: VmStore;
  readonly hosts: HostStore;
  readonly addresses: AddressBook;
  readonly points: RecoveryPointStore;
  readonly tasks: TaskLog;
  readonly preparations: PreparationStore;
  readonly machinery: Machinery;
  readonly faults: OrderedFaults;
  /** The database was made just now. */
  readonly isNew: boolean;
  /** Changes with each new database, so that a cursor of another one is not taken. */
  readonly instanceId: string;
  readonly #database: SqliteDatabase;

  /** Adds to the database what the definition has and the database lacks; what happened there stays as it is. */
  constructor({ database, definition, clock, random, machinery, faults }: WorldParts) {
    this.#database = database;
    this.definition = definition;
    this.clock = clock;
    this.random = random;
    this.vms = new VmStore(database);
    this.addresses = new AddressBook(database);
    this.points = new RecoveryPointStore(database);
    this.tasks = new TaskLog(database, clock.now());
    this.preparations = new PreparationStore(database);
    this.machinery = machinery;
    this.faults = faults;
    this.isNew = this.meta('instanceId') === null;
    this.instanceId = this.meta('instanceId') ?? random.uuid();
    this.hosts = this.transaction(() => {
      this.setMeta('instanceId', this.instanceId);
      const hosts = new HostStore(database, definition, () => this.vms.nextVersion());
      for (const vm of definition.vms) this.#plant(vm, hosts);
      return hosts;
    });
  }

  /** All of it happens or nothing does. */
  transaction<T>(work: () => T): T {
    return this.#database.transaction(work)();
  }

  meta(key: string): string | null {
    return this.#database.prepare<[string], { value: string }>('SELECT value FROM meta WHERE key = ?').get(key)?.value ?? null;
  }

  setMeta(key: string, value: string): void {
    this.#database.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(key, value);
  }

  /** The VM, on a host that responds. Throws ERR_VM_NOT_FOUND, ERR_HOST_DOWN. */
  need(ref: VmRef, operation: Operation): VmRecord {
    const vm = this.vms.find(ref);
    if (vm === null) throw vmNotFound(operation, ref, this.definition.name);
    if (!this.hosts.isUp(vm.host)) throw hostDown(operation, vm.host);
    return vm;
  }

  /** What the event makes of the replication. Throws ERR_WRONG_STATE where the table has no such way. */
  advance(vm: VmRecord, event: ReplicationEvent, operation: Operation, needed: string): ReplicationRecord {
    const to = nextReplication(vm.replication, event);
    if (to === null) throw wrongState(operation, vm, needed);
    return { ...vm.replication, ...to };
  }

  /** A host of the cloud with room. Throws ERR_NO_PLACE with what is missing on which host. */
  place(cloudId: CloudId, need: PlacementNeed, operation: Operation, except: VmRecord | null = null): string {
    const cloud = this.hosts.cloud(cloudId);
    if (cloud === null) throw cloudNotFound(operation, cloudId);
    const placement = pickPlace(need, this.hosts.rooms(cloud, except));
    if (placement.kind === 'noPlace')
      throw failed('ERR_NO_PLACE', operation, `no host of ${cloud.name} has room: ${explainNoPlace(placement.verdicts)}`);
    return placement.host;
  }

  /** VMs on it stop answering; those that ran have crashed. */
  hostDies(host: string): void {
    const now = this.clock.now();
    this.transaction(() => {
      this.hosts.setUp(host, false);
      for (const vm of this.vms.onHost(host)) {
        if (vm.power === 'running')
          this.tasks.notePower({ at: now, host, change: 'off', cause: 'hostDies', commandId: null, epoch: null }, vm.ref);
        const replication = replicates(vm) ? { ...vm.replication, health: 'critical' as const } : vm.replication;
        this.vms.put({
          ...settleWritten(vm, now),
          power: 'critical',
          crashed: vm.power === 'running',
          guestAnswersAt: null,
          replication,
          dueAt: null,
        });
      }
    });
  }

  /** Its VMs are off; a primary that crashed has to be compared with its replica before it replicates again. */
  hostReturns(host: string): void {
    const now = this.clock.now();
    this.transaction(() => {
      this.hosts.setUp(host, true);
      for (const vm of this.vms.onHost(host)) {
        const crashed = vm.crashed ? nextReplication(vm.replication, 'primaryCrashed') : null;
        const health = replicates(vm) ? ('warning' as const) : vm.replication.health;
        const replication = { ...vm.replication, health, ...crashed };
        const dueAt = crashed === null && replicates(vm) ? now : null;
        this.vms.put({ ...vm, power: 'off', crashed: false, written: { bytes: vm.written.bytes, at: now }, replication, dueAt });
      }
    });
  }

  foundPower(ref: VmRef, power: 'running' | 'off'): void {
    this.transaction(() => {
      const vm = this.vms.find(ref);
      if (vm === null || vm.power === power) return;
      const at = this.clock.now();
      const change = power === 'off' ? 'off' : 'on';
      this.tasks.notePower({ at, host: vm.host, change, cause: 'found', commandId: null, epoch: null }, ref);
      this.vms.put({ ...settleWritten(vm, at), power, guestAnswersAt: power === 'off' ? null : at });
    });
  }

  addVm(definition: VmDefinition): void {
    this.transaction(() => this.#plant(definition, this.hosts));
  }

  /** In place of those it has. */
  tag(ref: VmRef, tags: readonly string[]): void {
    const vm = this.vms.find(ref);
    if (vm !== null) this.vms.put({ ...vm, tags });
  }

  #plant(definition: VmDefinition, hosts: HostStore): void {
    const ref = vmRef(definition.cloudId, definition.id);
    if (this.vms.find(ref) !== null || this.vms.wasRemoved(ref)) return;
    const now = this.clock.now();
    const power = definition.isRunning ? 'running' : 'off';
    const isReplica = definition.replicates?.as === 'replica';
    const bytes = definition.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const { networkIds, host } = {
      networkIds: isReplica ? [] : definition.adapters.map(({ networkId }) => networkId),
      host: definition.host,
    };
    const cloud = hosts.cloud(definition.cloudId);
    const placement = host !== null || cloud === null ? null : pickPlace(needOf(definition, networkIds), hosts.rooms(cloud));
    if (placement?.kind === 'noPlace') {
      throw new FarshoreError('ERR_NO_PLACE', `${definition.name} of the site file finds no host: ${explainNoPlace(placement.verdicts)}`);
    }
    const vm: VmRecord = {
      ref,
      name: definition.name,
      host: host ?? placement?.host ?? '',
      cores: definition.cores,
      memoryBytes: definition.memoryBytes,
      disks: definition.disks,
      adapters: definition.adapters.map(({ networkId, subnet, address }) => {
        const pool = hosts.network(networkId)?.subnets.find(({ name }) => name === subnet)?.pool ?? null;
        const connected: AdapterTarget = {
          networkId,
          subnet,
          address,
          gateway: address === null ? null : (pool?.gateway ?? null),
          dns: address === null ? [] : (pool?.dns ?? []),
        };
        if (!isReplica) return { connected, source: null, planned: null };
        return { connected: null, source: { networkId, subnet, address }, planned: null };
      }),
      changeBytesPerSecond: definition.changeBytesPerSecond,
      traits: definition.traits,
      tags: definition.tags,
      power,
      crashed: false,
      guestAnswersAt: definition.isRunning ? now : null,
      written: { bytes, at: now },
      epoch: 0,
      replication: plantedReplication(definition.replicates, now, bytes),
      dueAt: null,
    };
    hosts.occupy(vm, 1);
    this.vms.add(vm);
    if (vm.replication.mode === 'replica' && vm.replication.policy !== null)
      this.points.add(ref, { id: this.random.uuid(), at: now, kind: 'crashConsistent', writtenBytes: bytes }, vm.replication.policy);
    const own = isReplica ? [] : definition.adapters;
    for (const { networkId, address } of own) if (address !== null) this.addresses.reserve(networkId, address, ref);
    if (definition.isRunning)
      this.tasks.notePower({ at: now, host: vm.host, change: 'on', cause: 'siteFile', commandId: null, epoch: null }, ref);
  }
}

export function needOf(vm: Pick<VmRecord, 'cores' | 'memoryBytes' | 'disks'>, networkIds: PlacementNeed['networkIds']): PlacementNeed {
  const bytes = new Map<string, number>();
  for (const { storage, sizeBytes } of vm.disks) bytes.set(storage, (bytes.get(storage) ?? 0) + sizeBytes);
  return {
    cores: vm.cores,
    memoryBytes: vm.memoryBytes,
    networkIds,
    storage: [...bytes].map(([classification, size]) => ({ classification, bytes: size })),
  };
}
