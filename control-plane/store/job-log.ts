/**
 * Writes the facts of jobs and what becomes of promises because of them.
 *
 * Appends that come together share one transaction and one sync. What each would change is worked out in memory first
 * (job-ledger.ts), so that one that is not allowed is refused alone and the others are written; then rows go out in bulk.
 */
import { sql } from 'kysely';
import type { Fact } from '../../shared/engine/facts.ts';
import { GroupCommit } from '../../shared/engine/group-commit.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { JobId, VaultId } from '../../shared/ids.ts';
import { batches } from './batches.ts';
import type { Connection, Query } from './connection.ts';
import { type Append, type JobEntry, JobLedger, type PairingEntry, type VmEntry } from './job-ledger.ts';
import type { Projection } from './job-store.ts';
import { removePairing } from './pairing-end.ts';
import { keepEpochs } from './vm-epochs.ts';

interface Waiting {
  readonly append: Append;
  refusal: FarshoreError | null;
}

export class JobLog {
  readonly #connection: Connection;
  readonly #commit: GroupCommit<Waiting>;

  constructor(connection: Connection, defer: (flush: () => void) => void) {
    this.#connection = connection;
    this.#commit = new GroupCommit((batch) => this.#write(batch), defer);
  }

  async append(vaultId: VaultId, jobId: JobId, facts: readonly Fact[], projections: readonly Projection[]): Promise<void> {
    const waiting: Waiting = { append: { vaultId, jobId, facts, projections }, refusal: null };
    await this.#commit.add(waiting);
    if (waiting.refusal !== null) throw waiting.refusal;
  }

  #write(batch: readonly Waiting[]): Promise<void> {
    const byVault = Map.groupBy(batch, ({ append }) => append.vaultId);
    return this.#connection.write(async (db) => {
      for (const [vaultId, group] of byVault) {
        const ledger = await JobLedger.load(
          db,
          vaultId,
          group.map(({ append }) => append),
        );
        for (const waiting of group) waiting.refusal = ledger.take(waiting.append);
        await save(db, vaultId, ledger);
      }
    });
  }
}

async function save(db: Query, vaultId: VaultId, ledger: JobLedger): Promise<void> {
  const facts = ledger.facts.map(({ jobId, seq, fact }) => ({ vault_id: vaultId, job_id: jobId, seq, fact: JSON.stringify(fact) }));
  for (const some of batches(facts)) await db.insertInto('facts').values(some).execute();
  await saveVms(db, vaultId, ledger.changedVms());
  for (const pairing of ledger.changedPairings()) await savePairing(db, vaultId, pairing);
  await saveJobs(db, vaultId, ledger.changedJobs());
}

/** One statement for all that go on in the same state; each has a last number of its own. */
async function saveJobs(db: Query, vaultId: VaultId, jobs: readonly JobEntry[]): Promise<void> {
  for (const group of Map.groupBy(jobs, ({ state, endedAt }) => `${state}/${endedAt}`).values()) {
    const { state, endedAt } = group[0] as JobEntry;
    for (const some of batches(group)) {
      const ids = some.map(({ id }) => id);
      const numbers = some.map(({ id, lastSeq }) => sql`when ${id} then ${lastSeq}`);
      const last_seq = sql<number>`case id ${sql.join(numbers, sql` `)} end`;
      const mine = db.updateTable('jobs').where('vault_id', '=', vaultId).where('id', 'in', ids);
      await mine.set({ last_seq, state, ended_at: endedAt }).execute();
      if (endedAt === null) continue;
      const claimed = db.updateTable('protected_vms').where('vault_id', '=', vaultId).where('busy_with', 'in', ids);
      await claimed.set({ busy_with: null }).execute();
    }
  }
}

/** One statement for all that end in the same place. */
async function saveVms(db: Query, vaultId: VaultId, vms: readonly VmEntry[]): Promise<void> {
  const byEnd = Map.groupBy(vms, ({ id: _id, ...end }) => JSON.stringify(end));
  for (const group of byEnd.values()) {
    const { life, pairingId, drill, commitWindow, busyWith, applied } = group[0] as VmEntry;
    for (const some of batches(group.map(({ id }) => id))) {
      if (life === null) await keepEpochs(db, vaultId, some);
      await (life === null
        ? db.deleteFrom('protected_vms').where('vault_id', '=', vaultId).where('id', 'in', some).execute()
        : db
            .updateTable('protected_vms')
            .set({
              phase: life.phase,
              active_location: life.activeLocation,
              replicates_from: life.replicatesFrom,
              drill,
              pairing_id: pairingId,
              busy_with: busyWith,
              applied_policy: applied.policy,
              applied_networks: applied.networks,
              commit_window_ends_at: commitWindow?.endsAt ?? null,
              commit_window_of: commitWindow?.failover ?? null,
              commit_window_lapsed: commitWindow?.lapsed ?? null,
            })
            .where('vault_id', '=', vaultId)
            .where('id', 'in', some)
            .execute());
    }
  }
}

async function savePairing(db: Query, vaultId: VaultId, { id, state, replicaAddresses }: PairingEntry): Promise<void> {
  if (state === 'gone') return removePairing(db, vaultId, id);
  const mine = db.updateTable('pairings').where('vault_id', '=', vaultId).where('id', '=', id);
  await mine.set({ state, primary_address: replicaAddresses.primary, recovery_address: replicaAddresses.recovery }).execute();
}
