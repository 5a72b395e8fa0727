/**
 * Rings when something in a vault has changed, with the id of what did and nothing more: who listens reads the store.
 * A lost ring costs a delay, never a fact.
 */
import type { JobId, SiteId, VaultId } from '../../shared/ids.ts';

export type Ring =
  | { readonly type: 'job'; readonly jobId: JobId }
  | { readonly type: 'site'; readonly siteId: SiteId }
  | { readonly type: 'vms' }
  /** Protection rules, or what they leave alone. */
  | { readonly type: 'rules' };

export class Bell {
  readonly #listeners = new Map<VaultId, Set<(ring: Ring) => void>>();
  readonly #ofAll = new Set<(vaultId: VaultId, ring: Ring) => void>();

  ring(vaultId: VaultId, ring: Ring): void {
    for (const listener of this.#listeners.get(vaultId) ?? []) listener(ring);
    for (const listener of this.#ofAll) listener(vaultId, ring);
  }

  /** Of every vault, also of one that comes later. The function returned stops it. */
  listenToAll(listener: (vaultId: VaultId, ring: Ring) => void): () => void {
    this.#ofAll.add(listener);
    return () => void this.#ofAll.delete(listener);
  }

  /** The function returned stops it. */
  listen(vaultId: VaultId, listener: (ring: Ring) => void): () => void {
    const listeners = this.#listeners.get(vaultId) ?? new Set();
    this.#listeners.set(vaultId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(vaultId) === listeners) this.#listeners.delete(vaultId);
    };
  }
}
