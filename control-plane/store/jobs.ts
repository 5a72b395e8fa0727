/** Jobs for reading; opening one is in job-opening.ts, its facts are written by job-log.ts. */
import type { Selectable } from 'kysely';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import { GroupCommit } from '../../shared/engine/group-commit.ts';
import { FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { JobId, VaultId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { batches } from './batches.ts';
import type { Connection, Query } from './connection.ts';
import { JobLog } from './job-log.ts';
import { lookAtOrder, writeOrder } from './job-opening.ts';
import { purgeJobs } from './job-purge.ts';
import type { Job, JobFilter, JobStore, NewJob, Projection, StoredFact } from './job-store.ts';
import type { OpenCommitWindow } from './promise-store.ts';
import type { Tables } from './tables.ts';

interface Opening {
  readonly order: NewJob;
  outcome: 'opened' | 'existing' | FarshoreError;
}

export class Jobs implements JobStore {
  readonly #connection: Connection;
  readonly #log: JobLog;
  /** Requests that come together share one sync; one that is refused has written nothing. */
  readonly #opening: GroupCommit<Opening>;

  constructor(connection: Connection, defer: (flush: () => void) => void) {
    this.#connection = connection;
    this.#log = new JobLog(connection, defer);
    this.#opening = new GroupCommit((batch) => this.#openAll(batch), defer);
  }

  async open(order: NewJob): Promise<'opened' | 'existing'> {
    const opening: Opening = { order, outcome: 'opened' };
    await this.#opening.add(opening);
    if (opening.outcome instanceof FarshoreError) throw opening.outcome;
    return opening.outcome;
  }

  /** What fails for one is no matter of the others: then each is opened by itself. */
  async #openAll(batch: readonly Opening[]): Promise<void> {
    try {
      await this.#connection.write((db) => openOrders(db, batch));
    } catch (thrown) {
      if (batch.length === 1) throw thrown;
      for (const one of batch) {
        await this.#openAll([one]).catch((error: unknown) => {
          one.outcome = toFarshoreError(error);
        });
      }
    }
  }

  append(vaultId: VaultId, jobId: JobId, facts: readonly Fact[], projections: readonly Projection[]): Promise<void> {
    return this.#log.append(vaultId, jobId, facts, projections);
  }

  find(vaultId: VaultId, id: JobId): Promise<Job | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('jobs').selectAll().where('vault_id', '=', vaultId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toJob(row);
    });
  }

  list(vaultId: VaultId, filter: JobFilter): Promise<Job[]> {
    return this.#connection.read(async (db) => {
      let mine = db.selectFrom('jobs').selectAll().where('vault_id', '=', vaultId);
      if (filter.state !== undefined) mine = mine.where('state', '=', filter.state);
      if (filter.kind !== undefined) mine = mine.where('kind', '=', filter.kind);
      if (filter.before !== undefined) mine = mine.where('started_at', '<', filter.before);
      return (await mine.orderBy('started_at', 'desc').orderBy('id').limit(filter.limit).execute()).map(toJob);
    });
  }

  graph(vaultId: VaultId, id: JobId): Promise<Graph<StepWork>> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('job_graphs').select('graph').where('vault_id', '=', vaultId);
      const row = await mine.where('job_id', '=', id).executeTakeFirst();
      if (row === undefined) throw new FarshoreError('ERR_NOT_FOUND', `no job ${id} in this vault`);
      return JSON.parse(row.graph) as Graph<StepWork>;
    });
  }

  facts(vaultId: VaultId, id: JobId, afterSeq: number = 0): Promise<StoredFact[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('facts').select(['seq', 'fact']).where('vault_id', '=', vaultId).where('job_id', '=', id);
      const rows = await mine.where('seq', '>', afterSeq).orderBy('seq').execute();
      return rows.map(({ seq, fact }) => ({ seq, fact: JSON.parse(fact) as Fact }));
    });
  }

  unended(): Promise<Job[]> {
    return this.#connection.read(async (db) => {
      const open = db.selectFrom('jobs').selectAll().where('ended_at', 'is', null);
      return (await open.orderBy('started_at').orderBy('id').execute()).map(toJob);
    });
  }

  purge(vaultId: VaultId, endedBefore: number, most: number): Promise<number> {
    return this.#connection.write((db) => purgeJobs(db, vaultId, endedBefore, most));
  }

  commitWindows(): Promise<OpenCommitWindow[]> {
    return this.#connection.read(async (db) => {
      const all = db.selectFrom('protected_vms').select(['id', 'vault_id', 'commit_window_ends_at', 'commit_window_of']);
      const open = all.where('commit_window_ends_at', 'is not', null).where('commit_window_lapsed', 'is', null);
      const rows = await open.orderBy('commit_window_ends_at').orderBy('id').execute();
      return [...Map.groupBy(rows, (row) => row.commit_window_of).values()].flatMap((group) => {
        const [first] = group;
        if (!first || first.commit_window_ends_at === null || first.commit_window_of === null) return [];
        const { vault_id: vaultId, commit_window_ends_at: endsAt, commit_window_of: failover } = first;
        return [{ vaultId, endsAt, failover, vms: group.map(({ id }) => id) }];
      });
    });
  }

  lapseCommitWindow({ vaultId, failover, vms }: Omit<OpenCommitWindow, 'endsAt'>, why: string): Promise<void> {
    return this.#connection.write(async (db) => {
      const mine = db.updateTable('protected_vms').where('vault_id', '=', vaultId).where('commit_window_of', '=', failover);
      for (const some of batches(vms)) await mine.where('id', 'in', some).set({ commit_window_lapsed: why }).execute();
    });
  }
}

async function openOrders(db: Query, batch: readonly Opening[]): Promise<void> {
  for (const opening of batch) {
    opening.outcome = (await lookAtOrder(db, opening.order)) ?? 'opened';
    if (opening.outcome === 'opened') await writeOrder(db, opening.order);
  }
}

function toJob(row: Selectable<Tables['jobs']>): Job {
  return {
    id: row.id,
    vaultId: row.vault_id,
    kind: row.kind,
    target: row.target,
    startedBy: row.started_by,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    state: row.state,
    requestDigest: row.request_digest,
    input: JSON.parse(row.input),
  };
}
