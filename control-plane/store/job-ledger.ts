/**
 * What a batch of appends changes, worked out in memory: the rows it touches are read in bulk, each append is taken whole
 * or refused whole, and what has changed is then there to be written. Only the job that holds a VM may move it.
 */
import { isDrillEvent } from '../../shared/domain/drill.ts';
import { applyEvent, isUnderWay, type VmLife } from '../../shared/domain/protected-vm.ts';
import { type Fact, isOfTheJob, type JobState, stateFrom } from '../../shared/engine/facts.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, PairingId, ProtectedVmId, VaultId } from '../../shared/ids.ts';
import { inBatches } from './batches.ts';
import type { Query } from './connection.ts';
import type { Projection } from './job-store.ts';
import type { CommitWindow, Pairing, ReplicaAddresses } from './promise-store.ts';
import { appliedOf, windowOf } from './promises.ts';
import type { VmSettings } from './vm-settings.ts';

export interface Append {
  readonly vaultId: VaultId;
  readonly jobId: JobId;
  readonly facts: readonly Fact[];
  readonly projections: readonly Projection[];
}

export interface JobEntry {
  readonly id: JobId;
  readonly lastSeq: number;
  readonly state: JobState;
  readonly endedAt: number | null;
}

export interface VmEntry {
  readonly id: ProtectedVmId;
  readonly busyWith: JobId | null;
  readonly drill: JobId | null;
  /** Null once protection has ended. */
  readonly life: VmLife | null;
  readonly pairingId: PairingId;
  readonly commitWindow: CommitWindow | null;
  readonly applied: VmSettings;
}

export interface PairingEntry {
  readonly id: PairingId;
  readonly state: Pairing['state'] | 'gone';
  readonly replicaAddresses: ReplicaAddresses;
}

/** Entries as they were read, and over them those that have changed. */
class Entries<K, E extends { readonly id: K }> {
  readonly #all: Map<K, E>;
  readonly #changed = new Map<K, E>();

  constructor(read: readonly E[]) {
    this.#all = new Map(read.map((entry) => [entry.id, entry]));
  }

  get(id: K): E | undefined {
    return this.#changed.get(id) ?? this.#all.get(id);
  }

  put(entries: Iterable<E>): void {
    for (const entry of entries) this.#changed.set(entry.id, entry);
  }

  changed(): E[] {
    return [...this.#changed.values()];
  }
}

export class JobLedger {
  /** The new facts of all jobs, numbered. */
  readonly facts: { readonly jobId: JobId; readonly seq: number; readonly fact: Fact }[] = [];
  readonly #jobs: Entries<JobId, JobEntry>;
  readonly #vms: Entries<ProtectedVmId, VmEntry>;
  readonly #pairings: Entries<PairingId, PairingEntry>;

  static async load(db: Query, vaultId: VaultId, appends: readonly Append[]): Promise<JobLedger> {
    const projections = appends.flatMap((append) => append.projections);
    const vmIds = projections.flatMap((projection) => vmOf(projection) ?? []);
    const pairingIds = projections.flatMap((projection) => ('pairing' in projection ? [projection.pairing] : []));
    return new JobLedger(
      await readJobs(db, vaultId, unique(appends.map(({ jobId }) => jobId))),
      await readVms(db, vaultId, unique(vmIds)),
      await readPairings(db, vaultId, unique(pairingIds)),
    );
  }

  constructor(jobs: readonly JobEntry[], vms: readonly VmEntry[], pairings: readonly PairingEntry[]) {
    this.#jobs = new Entries(jobs);
    this.#vms = new Entries(vms);
    this.#pairings = new Entries(pairings);
  }

  changedJobs(): JobEntry[] {
    return this.#jobs.changed();
  }

  changedVms(): VmEntry[] {
    return this.#vms.changed();
  }

  changedPairings(): PairingEntry[] {
    return this.#pairings.changed();
  }

  /** Takes it whole and returns null, or leaves everything as it was and says why. */
  take(append: Append): FarshoreError | null {
    try {
      const job = this.#jobs.get(append.jobId);
      if (job === undefined) throw new FarshoreError('ERR_NOT_FOUND', `no job ${append.jobId} in this vault`);
      const vms = this.#moveVms(append);
      const pairings = this.#movePairings(append);
      this.#jobs.put([this.#advance(job, append.facts)]);
      this.#vms.put(vms);
      this.#pairings.put(pairings);
      return null;
    } catch (thrown) {
      if (thrown instanceof FarshoreError) return thrown;
      throw thrown;
    }
  }

  #moveVms({ jobId, projections }: Append): Iterable<VmEntry> {
    const moved = new Map<ProtectedVmId, VmEntry>();
    for (const projection of projections) {
      const id = vmOf(projection);
      if (id === null) continue;
      const vm = moved.get(id) ?? this.#vms.get(id);
      if ('left' in projection && vm?.busyWith !== jobId) continue;
      if (vm === undefined || vm.life === null) throw new FarshoreError('ERR_NOT_FOUND', `no protected VM ${id} in this vault`);
      if (vm.busyWith !== jobId) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `job ${jobId} does not hold the protected VM ${id}`);
      moved.set(id, changed({ ...vm, life: vm.life }, jobId, projection));
    }
    return moved.values();
  }

  #movePairings({ projections }: Append): Iterable<PairingEntry> {
    const moved = new Map<PairingId, PairingEntry>();
    for (const projection of projections) {
      if (!('pairing' in projection)) continue;
      const { pairing: id, state, replicaAddresses } = projection;
      const pairing = moved.get(id) ?? this.#pairings.get(id);
      if (pairing === undefined) throw new FarshoreError('ERR_NOT_FOUND', `no pairing ${id} in this vault`);
      // Its name may belong to another by now.
      if (pairing.state === 'failed' && state !== 'failed' && state !== 'gone') {
        throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `the pairing ${id} has failed for good; pair the clouds again`);
      }
      moved.set(id, { id, state, replicaAddresses: replicaAddresses ?? pairing.replicaAddresses });
    }
    return moved.values();
  }

  /** Numbers the facts and leads the state of the job on, as RunState does. */
  #advance(job: JobEntry, facts: readonly Fact[]): JobEntry {
    let { lastSeq, state, endedAt } = job;
    if (endedAt !== null && facts.length > 0) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `job ${job.id} has ended`);
    for (const fact of facts) {
      if (isOfTheJob(fact)) state = stateFrom(fact);
      if (fact.type === 'cancelled' && state === 'waiting') state = 'inProgress';
      if (fact.type === 'decided') state = 'inProgress';
      if (fact.type === 'ended') endedAt = fact.at;
      this.facts.push({ jobId: job.id, seq: ++lastSeq, fact });
    }
    return { id: job.id, lastSeq, state, endedAt };
  }
}

function changed(vm: VmEntry & { readonly life: VmLife }, jobId: JobId, projection: Projection): VmEntry {
  if ('commitWindowOf' in projection)
    return vm.life.phase === 'failedOver' ? { ...vm, commitWindow: { endsAt: projection.endsAt, failover: jobId, lapsed: null } } : vm;
  if ('released' in projection) return { ...vm, busyWith: null };
  if ('left' in projection) return isUnderWay(vm.life.phase) ? { ...vm, life: applyEvent(vm.life, 'workLeft'), commitWindow: null } : vm;
  if ('appliedTo' in projection) return { ...vm, applied: { ...vm.applied, ...projection.settings } };
  if (!('vm' in projection)) return vm;
  const { event, pairingId = vm.pairingId } = projection;
  if (isDrillEvent(event)) return { ...vm, drill: event === 'testCopyBegun' ? jobId : null };
  const life = applyEvent(vm.life, event);
  return { ...vm, life, pairingId, commitWindow: isUncommitted(life) ? vm.commitWindow : null };
}

function vmOf(projection: Projection): ProtectedVmId | null {
  if ('vm' in projection) return projection.vm;
  if ('released' in projection) return projection.released;
  if ('left' in projection) return projection.left;
  if ('appliedTo' in projection) return projection.appliedTo;
  return 'commitWindowOf' in projection ? projection.commitWindowOf : null;
}

/** Also on its way to another recovery point, or back: that may be given up. */
function isUncommitted(life: VmLife | null): boolean {
  return life?.phase === 'failedOver' || life?.phase === 'failingOver';
}

function readJobs(db: Query, vaultId: VaultId, ids: readonly JobId[]): Promise<JobEntry[]> {
  return inBatches(ids, async (some) => {
    const mine = db.selectFrom('jobs').select(['id', 'last_seq', 'state', 'ended_at']).where('vault_id', '=', vaultId);
    const rows = await mine.where('id', 'in', some).execute();
    return rows.map(({ id, last_seq, state, ended_at }) => ({ id, lastSeq: last_seq, state, endedAt: ended_at }));
  });
}

function readVms(db: Query, vaultId: VaultId, ids: readonly ProtectedVmId[]): Promise<VmEntry[]> {
  return inBatches(ids, async (some) => {
    const mine = db
      .selectFrom('protected_vms')
      .select([
        'id',
        'pairing_id',
        'busy_with',
        'phase',
        'active_location',
        'replicates_from',
        'drill',
        'commit_window_ends_at',
        'commit_window_of',
        'applied_policy',
        'applied_networks',
        'commit_window_lapsed',
      ])
      .where('vault_id', '=', vaultId);
    const rows = await mine.where('id', 'in', some).execute();
    return rows.map((row) => ({
      id: row.id,
      pairingId: row.pairing_id,
      busyWith: row.busy_with,
      drill: row.drill,
      life: { phase: row.phase, activeLocation: row.active_location, replicatesFrom: row.replicates_from },
      commitWindow: windowOf(row),
      applied: appliedOf(row),
    }));
  });
}

function readPairings(db: Query, vaultId: VaultId, ids: readonly PairingId[]): Promise<PairingEntry[]> {
  return inBatches(ids, async (some) => {
    const mine = db.selectFrom('pairings').select(['id', 'state', 'primary_address', 'recovery_address']).where('vault_id', '=', vaultId);
    const rows = await mine.where('id', 'in', some).execute();
    return rows.map(({ id, state, primary_address: primary, recovery_address: recovery }) => ({
      id,
      state,
      replicaAddresses: { primary, recovery },
    }));
  });
}

function unique<T>(ids: readonly T[]): T[] {
  return [...new Set(ids)];
}
