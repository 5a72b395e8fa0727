/**
 * A small fabric in memory for tests of the agent's core: VMs on the recovery side, the transitions of the port, and
 * faults ordered by call. It outlives the agents of a test, as a site does.
 */

import type {
  Act,
  DrillNetworkView,
  Fabric,
  HostsPreparation,
  InventoryChanges,
  NetworkExposure,
  RecoveryPoint,
  TestCopyView,
  VmView,
} from '../../provider-agent/fabric/fabric.ts';
import { FabricError } from '../../provider-agent/fabric/fabric-error.ts';
import type { FirstCopy } from '../../shared/domain/first-copy.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import type { CloudId, JobId, NetworkId, VmRef } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';

type Read =
  | 'readInventory'
  | 'findVm'
  | 'recoveryPoints'
  | 'findTestCopy'
  | 'networkExposure'
  | 'drillNetworks'
  | 'replicationHosts'
  | 'addressesOf'
  | 'hostOf'
  | 'guestAnswers';
type Mutation = Exclude<keyof Fabric, Read | 'close'>;
export type Fault = 'failsBefore' | 'failsAfter' | 'hangs' | 'hangsAfter' | 'lies';

export interface FabricCall {
  readonly call: Mutation;
  readonly vmId: string | null;
  readonly act: Act;
}

const SECRET_TEXT = 'CANARY-host7.corp.example D:\\CANARY\\disk.vhdx';

export class TestFabric implements Fabric {
  readonly calls: FabricCall[] = [];
  readonly points = new Map<string, RecoveryPoint[]>();
  readonly preparations: HostsPreparation[] = [];
  /** By the id of the replica. */
  readonly copies = new Map<string, TestCopyView>();
  readonly madeNetworks = new Map<JobId, NetworkId>();
  exposure: NetworkExposure | null = { leadsOut: false, otherVms: 0 };
  guestAnswersAlways = true;
  inventoryReads = 0;
  faultsMet = 0;
  findFails: ErrorCode | null = null;
  clouds = [{ id: '0c000000-0000-4000-8000-00000000000c' as CloudId, name: 'Gold' }];
  networks = [{ id: '0a000000-0000-4000-8000-00000000000a' as NetworkId, name: 'Blue' }];
  readonly #vms = new Map<string, VmView>();
  readonly #faults = new Map<Mutation, Fault[]>();
  /** Cursor of the inventory: the keys changed at each version. */
  readonly #log: string[] = [];
  #epochOfCursors = 0;
  #onSeeding: (ref: VmRef) => void = () => {};

  /** From now on an initial replication that began completes by itself after so long. */
  seedsAfterStart(clock: Clock, ms: number): void {
    this.#onSeeding = (ref) => {
      clock.after(ms, () => {
        const { replication } = this.#get(ref);
        this.change(ref, { replication: { ...replication, state: 'replicating' } });
      });
    };
  }

  add(vm: VmView): void {
    this.#put(vm);
  }

  /** As after a fault at the site: the next reading is a full one. */
  forgetCursors(): void {
    this.#epochOfCursors++;
  }

  change(ref: VmRef, change: Partial<VmView>): void {
    this.#put({ ...this.#get(ref), ...change });
  }

  remove(ref: VmRef): void {
    this.#vms.delete(ref.vmId);
    this.#log.push(ref.vmId);
  }

  order(call: Mutation, ...faults: Fault[]): void {
    this.#faults.set(call, faults);
  }

  count(call: Mutation): number {
    return this.calls.filter((made) => made.call === call).length;
  }

  async readInventory(cursor: string | null): Promise<InventoryChanges> {
    this.inventoryReads++;
    const next = `${this.#epochOfCursors} ${this.#log.length}`;
    const [epoch, since] = (cursor ?? '').split(' ');
    const { clouds, networks } = this;
    if (epoch !== String(this.#epochOfCursors))
      return { cursor: next, full: true, clouds, networks, vms: [...this.#vms.values()], removedVms: [] };
    const keys = [...new Set(this.#log.slice(Number(since)))];
    const vms = keys.flatMap((key) => this.#vms.get(key) ?? []);
    const removedVms = keys.filter((key) => !this.#vms.has(key)).map((vmId) => ({ cloudId: this.clouds[0]?.id, vmId }) as VmRef);
    return { cursor: next, full: false, clouds: [], networks: [], vms, removedVms };
  }

  async findVm(ref: VmRef): Promise<VmView | null> {
    if (this.findFails !== null) throw new FabricError(this.findFails, 'OperationFailed', 'GetVM', SECRET_TEXT);
    return this.#vms.get(ref.vmId) ?? null;
  }

  async recoveryPoints(ref: VmRef): Promise<readonly RecoveryPoint[]> {
    return this.points.get(ref.vmId) ?? [];
  }

  async findTestCopy(replica: VmRef): Promise<TestCopyView | null> {
    return this.copies.get(replica.vmId) ?? null;
  }

  async drillNetworks(): Promise<DrillNetworkView[]> {
    const copies = [...this.copies.values()];
    return [...this.madeNetworks].map(([drill, id]) => ({
      drill,
      id,
      copies: copies.filter(({ networkIds }) => networkIds.includes(id)).length,
    }));
  }

  async networkExposure(): Promise<NetworkExposure | null> {
    return this.exposure;
  }

  async replicationHosts() {
    return [{ host: 'CANARY-host1', dnsNames: ['CANARY-host1.corp.example'] }];
  }

  /** VMs of even number stand on one host, the others on another. */
  async hostOf({ vmId }: VmRef): Promise<string> {
    return `host-${Number(vmId.at(-1)) % 2}`;
  }

  async addressesOf(): Promise<readonly string[]> {
    return ['10.2.0.1'];
  }

  async guestAnswers(): Promise<boolean> {
    return this.guestAnswersAlways;
  }

  prepareHosts(preparation: HostsPreparation, act: Act) {
    return this.#mutate('prepareHosts', null, act, () => {
      this.preparations.push(preparation);
      return { address: '127.0.0.1:443' };
    });
  }

  releaseHosts(_pairing: unknown, _cloud: unknown, act: Act) {
    return this.#mutate('releaseHosts', null, act, () => {});
  }

  enableReplication(ref: VmRef, _target: unknown, _policy: unknown, act: Act) {
    return this.#move('enableReplication', ref, act, 'disabled', { mode: 'primary', state: 'readyForInitialReplication' });
  }

  startInitialReplication(ref: VmRef, { how }: FirstCopy, act: Act) {
    if (how === 'export')
      return this.#move('startInitialReplication', ref, act, 'readyForInitialReplication', { state: 'waitingForInitialReplication' });
    return this.#move('startInitialReplication', ref, act, 'readyForInitialReplication', { state: 'initialReplicationInProgress' });
  }

  configureReplica(ref: VmRef, _networks: unknown, act: Act) {
    return this.#mutate('configureReplica', ref, act, () => {});
  }

  setReplicationPolicy(ref: VmRef, _policy: unknown, act: Act) {
    return this.#mutate('setReplicationPolicy', ref, act, () => {});
  }

  removeReplication(ref: VmRef, act: Act) {
    return this.#move('removeReplication', ref, act, null, { mode: 'none', state: 'disabled' });
  }

  deleteVm(ref: VmRef, act: Act) {
    return this.#mutate('deleteVm', ref, act, () => this.remove(ref));
  }

  prepareFailover(ref: VmRef, act: Act) {
    return this.#move('prepareFailover', ref, act, 'replicating', { state: 'preparedForFailover' });
  }

  startFailover(ref: VmRef, pointId: string | null, act: Act) {
    const recoveryPoint = this.points.get(ref.vmId)?.find(({ id }) => pointId === null || id === pointId);
    const failover = recoveryPoint === undefined ? null : { commandId: act.commandId, recoveryPoint };
    return this.#move('startFailover', ref, act, 'replicating', { state: 'failedOverWaitingCompletion' }, { failover });
  }

  stopFailover(ref: VmRef, act: Act) {
    const from = this.#get(ref).replication.mode === 'primary' ? 'preparedForFailover' : 'failedOverWaitingCompletion';
    return this.#move('stopFailover', ref, act, from, { state: 'replicating' }, { power: 'off', failover: null });
  }

  completeFailover(ref: VmRef, act: Act) {
    return this.#move('completeFailover', ref, act, 'failedOverWaitingCompletion', { state: 'failedOver' });
  }

  becomeReplica(ref: VmRef, act: Act) {
    return this.#move('becomeReplica', ref, act, null, { mode: 'replica', state: 'waitingForInitialReplication' });
  }

  reverseReplication(ref: VmRef, _target: unknown, _policy: unknown, act: Act) {
    return this.#move('reverseReplication', ref, act, 'failedOver', { mode: 'primary', state: 'readyForInitialReplication' });
  }

  importInitialReplication(ref: VmRef, _folder: string, act: Act) {
    return this.#move('importInitialReplication', ref, act, 'waitingForInitialReplication', { state: 'replicating' });
  }

  suspendReplication(ref: VmRef, act: Act) {
    return this.#move('suspendReplication', ref, act, 'replicating', { state: 'suspended' });
  }

  resumeReplication(ref: VmRef, act: Act) {
    return this.#move('resumeReplication', ref, act, 'suspended', { state: 'replicating' });
  }

  resynchronize(ref: VmRef, act: Act) {
    return this.#move('resynchronize', ref, act, 'waitingForStartResynchronize', { state: 'resynchronizing' });
  }

  startTestFailover(ref: VmRef, pointId: string | null, act: Act) {
    return this.#mutate('startTestFailover', ref, act, () => {
      const recoveryPoint = this.points.get(ref.vmId)?.find(({ id }) => pointId === null || id === pointId);
      if (this.copies.has(ref.vmId) || recoveryPoint === undefined) throw wrong('StartVMFailover');
      const copyRef: VmRef = { ...ref, vmId: '0c0b0000-0000-4000-8000-000000000001' as VmRef['vmId'] };
      const copy: TestCopyView = { ref: copyRef, name: `${this.#get(ref).name} - Test`, power: 'off', networkIds: [], recoveryPoint };
      this.copies.set(ref.vmId, copy);
    });
  }

  makeDrillNetwork(drill: JobId, _like: NetworkId, act: Act) {
    return this.#mutate('makeDrillNetwork', null, act, () => {
      if (this.madeNetworks.has(drill)) throw wrong('NewSCVMNetwork');
      this.madeNetworks.set(drill, `0a000000-0000-4000-8000-0000000001${String(this.madeNetworks.size).padStart(2, '0')}` as NetworkId);
    });
  }

  removeDrillNetwork(drill: JobId, act: Act) {
    return this.#mutate('removeDrillNetwork', null, act, () => {
      if (!this.madeNetworks.delete(drill)) throw wrong('RemoveSCVMNetwork');
    });
  }

  connectTestCopy(ref: VmRef, networkId: NetworkId, act: Act) {
    return this.#mutate('connectTestCopy', ref, act, () => this.#changeCopy(ref, { networkIds: [networkId] }));
  }

  startTestVm(ref: VmRef, act: Act) {
    return this.#mutate('startTestVm', ref, act, () => {
      if (this.copies.get(ref.vmId)?.power !== 'off') throw wrong('StartVM');
      this.#changeCopy(ref, { power: 'running' });
    });
  }

  stopTestFailover(ref: VmRef, act: Act) {
    return this.#mutate('stopTestFailover', ref, act, () => {
      if (!this.copies.delete(ref.vmId)) throw wrong('StopVMFailover');
    });
  }

  #changeCopy(ref: VmRef, change: Partial<TestCopyView>): void {
    const copy = this.copies.get(ref.vmId);
    if (copy === undefined) throw wrong('GetVM');
    this.copies.set(ref.vmId, { ...copy, ...change });
  }

  stopVm(ref: VmRef, act: Act) {
    return this.#mutate('stopVm', ref, act, () => this.change(ref, { power: 'off' }));
  }

  startVm(ref: VmRef, act: Act) {
    return this.#mutate('startVm', ref, act, () => {
      if (this.#get(ref).power !== 'off') throw wrong('StartVM');
      this.change(ref, { power: 'running' });
    });
  }

  writeEpoch(ref: VmRef, epoch: number, act: Act) {
    return this.#mutate('writeEpoch', ref, act, () => this.change(ref, { epoch: Math.max(epoch, this.#get(ref).epoch) }));
  }

  async close(): Promise<void> {}

  view(ref: VmRef): VmView {
    return this.#get(ref);
  }

  #move(call: Mutation, ref: VmRef, act: Act, from: string | null, to: Partial<VmView['replication']>, also: Partial<VmView> = {}) {
    return this.#mutate(call, ref, act, () => {
      const vm = this.#get(ref);
      if (from !== null && vm.replication.state !== from) throw wrong(call);
      this.change(ref, { ...also, replication: { ...vm.replication, ...to } });
      if (to.state === 'initialReplicationInProgress' || to.state === 'resynchronizing') this.#onSeeding(ref);
    });
  }

  async #mutate<T>(call: Mutation, ref: VmRef | null, act: Act, effect: () => T): Promise<T> {
    const fault = this.#faults.get(call)?.shift();
    if (fault !== undefined) this.faultsMet++;
    await Promise.resolve();
    if (fault === 'failsBefore') throw new FabricError('ERR_FABRIC_FAILED', 'OperationFailed', call, SECRET_TEXT);
    if (fault === 'hangs') return new Promise(() => {});
    this.calls.push({ call, vmId: ref?.vmId ?? null, act });
    if (fault === 'lies') return undefined as T;
    const result = effect();
    if (fault === 'failsAfter') throw new FabricError('ERR_FABRIC_FAILED', 'OperationFailed', call, SECRET_TEXT);
    if (fault === 'hangsAfter') return new Promise(() => {});
    return result;
  }

  #get(ref: VmRef): VmView {
    const vm = this.#vms.get(ref.vmId);
    if (vm === undefined) throw new FabricError('ERR_VM_NOT_FOUND', 'ObjectNotFound', 'GetVM', SECRET_TEXT);
    return vm;
  }

  #put(vm: VmView): void {
    this.#vms.set(vm.ref.vmId, vm);
    this.#log.push(vm.ref.vmId);
  }
}

function wrong(cmdlet: string): FabricError {
  return new FabricError('ERR_WRONG_STATE', 'InvalidOperation', cmdlet, SECRET_TEXT);
}
