/** Keeps jobs as long as their vault says, looking once a day. Removing goes in small transactions, so that jobs under way hardly notice. */
import type { VaultId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Store } from '../store/store.ts';

const DAY_MS = 86_400_000;
/** One may have tens of thousands of facts. */
const JOBS_AT_ONCE = 5;
/** Between two transactions. */
const PAUSE_MS = 50;

export interface JobRetentionPorts {
  readonly store: Pick<Store, 'accounts' | 'jobs' | 'wishes'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class JobRetention {
  readonly #ports: JobRetentionPorts;
  #cancel = () => {};
  #isStopped = false;

  constructor(ports: JobRetentionPorts) {
    this.#ports = ports;
  }

  /** From now on, every day. */
  begin(): void {
    if (this.#isStopped) return;
    void this.#purgeAll().then(() => this.#later(DAY_MS, () => this.begin()));
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  async #purgeAll(): Promise<void> {
    const { store, log } = this.#ports;
    try {
      for (const { id } of await store.accounts.vaults()) await this.#purge(id);
    } catch (error) {
      log.error({ err: error }, 'old jobs could not be removed; it is tried again in a day');
    }
  }

  async #purge(vaultId: VaultId): Promise<void> {
    const { store, clock, log } = this.#ports;
    const { keepJobsDays } = (await store.wishes.settings(vaultId)).settings;
    const endedBefore = clock.now() - keepJobsDays * DAY_MS;
    let total = 0;
    for (let removed = JOBS_AT_ONCE; removed === JOBS_AT_ONCE && !this.#isStopped; total += removed) {
      removed = await store.jobs.purge(vaultId, endedBefore, JOBS_AT_ONCE);
      if (removed === JOBS_AT_ONCE) await new Promise<void>((resolve) => this.#later(PAUSE_MS, resolve));
    }
    if (total > 0) log.info({ vaultId, jobs: total, keepJobsDays }, 'jobs older than the vault keeps them were removed');
  }

  #later(ms: number, callback: () => void): void {
    if (!this.#isStopped) this.#cancel = this.#ports.clock.after(ms, callback);
  }
}
