/**
 * Takes the reports of one site over, one after the other in the order they came. Where the sum over what is stored does
 * not fit the sum of the agent, something was lost: the agent is asked for everything, so drift mends itself.
 */
import type { SiteId, VaultId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { AgentMessage } from '../../shared/protocol/egress.ts';
import type { Bell } from '../store/bell.ts';
import type { ObservationStore } from '../store/store.ts';

export type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;

export interface InventoryIntakeParts {
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  readonly observations: Pick<ObservationStore, 'take'>;
  readonly bell: Bell;
  readonly clock: Clock;
  readonly log: Log;
  /** Ask the agent for everything. */
  sendAll(): void;
}

export class InventoryIntake {
  readonly #parts: InventoryIntakeParts;
  #last: Promise<void> = Promise.resolve();
  #waitingBytes = 0;

  constructor(parts: InventoryIntakeParts) {
    this.#parts = parts;
  }

  /** Bytes of reports that came and are not stored yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  take(message: InventoryMessage, bytes: number): void {
    this.#waitingBytes += bytes;
    this.#last = this.#last.then(async () => {
      await this.#store(message);
      this.#waitingBytes -= bytes;
    });
  }

  async #store(message: InventoryMessage): Promise<void> {
    const { vaultId, siteId, observations, bell, clock, log, sendAll } = this.#parts;
    try {
      const { digest } = await observations.take(vaultId, siteId, message, clock.now());
      if (message.digest !== null && message.digest !== digest) {
        log.warn({ siteId }, 'inventory has drifted; asking for all of it');
        sendAll();
      }
    } catch (error) {
      log.error({ err: error, siteId }, 'inventory could not be stored');
      sendAll();
      return;
    }
    bell.ring(vaultId, { type: 'site', siteId });
    if (message.full || message.vms.length > 0 || message.removedVms.length > 0) bell.ring(vaultId, { type: 'vms' });
  }
}
