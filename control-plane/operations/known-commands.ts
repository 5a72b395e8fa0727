/** Which commands the log has: whatever a site was ever sent was handed out by a fact that was durable first. */
import type { CommandId, JobId, VaultId } from '../../shared/ids.ts';
import type { JobStore } from '../store/job-store.ts';
import { commandIdOf } from './command-id.ts';

export class KnownCommands {
  readonly #vaultId: VaultId;
  readonly #jobs: Pick<JobStore, 'facts'>;
  readonly #ofJob = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(vaultId: VaultId, jobs: Pick<JobStore, 'facts'>) {
    this.#vaultId = vaultId;
    this.#jobs = jobs;
  }

  async has(id: CommandId): Promise<boolean> {
    const job = id.slice(0, id.indexOf('/'));
    const known = this.#ofJob.get(job) ?? this.#read(job as JobId);
    this.#ofJob.set(job, known);
    return (await known).has(id);
  }

  async #read(job: JobId): Promise<ReadonlySet<string>> {
    const facts = await this.#jobs.facts(this.#vaultId, job);
    return new Set(
      facts.flatMap(({ fact }) => {
        if (fact.type !== 'started' && fact.type !== 'undoStarted') return [];
        return [commandIdOf(job, { step: fact.step, attempt: fact.attempt, direction: fact.type === 'started' ? 'do' : 'undo' })];
      }),
    );
  }
}
