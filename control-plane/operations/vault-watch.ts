/**
 * Looks at a vault when something in it has changed, when something comes due, and on start; one look at a vault at a time. What
 * is rung for together is looked at together. It remembers nothing that a look would not find again.
 */
import type { VaultId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Bell } from '../store/bell.ts';
import type { Store } from '../store/store.ts';

/** Reports come in many messages: they are looked at together. */
const LOOK_AFTER_MS = 2_000;
/** After a look that failed. */
const AGAIN_AFTER_MS = 60_000;

export interface VaultWatchPorts {
  readonly store: Store;
  readonly bell: Bell;
  readonly clock: Clock;
  readonly log: Log;
}

interface Vault {
  /** When it is looked at next, and the way to call that off. */
  due: { readonly at: number; readonly cancel: () => void } | null;
  isLooking: boolean;
}

export class VaultWatch {
  readonly #ports: VaultWatchPorts;
  /** What is looked at, for people. */
  readonly #subject: string;
  /** Answers in how many milliseconds there may be something to do that nobody rings for; null where there is nothing. */
  readonly #look: (vaultId: VaultId) => Promise<number | null>;
  readonly #vaults = new Map<VaultId, Vault>();
  #unlisten = () => {};
  #isStopped = false;

  constructor(ports: VaultWatchPorts, subject: string, look: (vaultId: VaultId) => Promise<number | null>) {
    this.#ports = ports;
    this.#subject = subject;
    this.#look = look;
  }

  async begin(): Promise<void> {
    const { bell, store } = this.#ports;
    this.#unlisten = bell.listenToAll((vaultId, { type }) => {
      if (type !== 'job') this.#lookIn(vaultId, LOOK_AFTER_MS);
    });
    for (const { id } of await store.accounts.vaults()) this.#lookIn(id, LOOK_AFTER_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#unlisten();
    for (const { due } of this.#vaults.values()) due?.cancel();
  }

  #lookIn(vaultId: VaultId, ms: number): void {
    if (this.#isStopped) return;
    const vault = this.#vaults.get(vaultId) ?? { due: null, isLooking: false };
    this.#vaults.set(vaultId, vault);
    const at = this.#ports.clock.now() + ms;
    if (vault.due !== null && vault.due.at <= at) return;
    vault.due?.cancel();
    vault.due = { at, cancel: this.#ports.clock.after(ms, () => void this.#lookAt(vaultId, vault)) };
  }

  async #lookAt(vaultId: VaultId, vault: Vault): Promise<void> {
    vault.due = null;
    if (vault.isLooking) return this.#lookIn(vaultId, LOOK_AFTER_MS);
    vault.isLooking = true;
    try {
      const next = await this.#look(vaultId);
      if (next !== null) this.#lookIn(vaultId, next);
    } catch (error) {
      this.#ports.log.warn({ err: error, vaultId }, `${this.#subject} could not be looked at; it is tried again`);
      this.#lookIn(vaultId, AGAIN_AFTER_MS);
    } finally {
      vault.isLooking = false;
    }
  }
}
