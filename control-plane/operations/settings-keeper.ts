/**
 * Brings VMs to what their pairing says that could not be when it was changed: they were being enabled, failed over, reversed,
 * or another job worked on them. As soon as they replicate and nobody works on them it starts an ordinary job that changes the
 * pairing in nothing. Each setting is tried once by itself; where that fails, or a person skipped it, the VM tells that it is behind.
 */
import { toFarshoreError } from '../../shared/errors.ts';
import { JobId, type VaultId } from '../../shared/ids.ts';
import type { Random } from '../../shared/ports.ts';
import type { Pairing } from '../store/promise-store.ts';
import type { Operations, Presence } from './operations.ts';
import { VaultWatch, type VaultWatchPorts } from './vault-watch.ts';

/** No user can be called so: names of users have no spaces. */
const ACTOR_NAME = 'Farshore (pairing settings)';
/** In one job, so that none waits long for its turn at the agent. */
const AT_ONCE_MOST = 50;
/** After a refusal that passes: a site is gone, somebody was faster. */
const AGAIN_AFTER_MS = 60_000;

export interface SettingsKeeperPorts extends VaultWatchPorts {
  readonly presence: Presence;
  readonly operations: Pick<Operations, 'start'>;
  readonly random: Random;
}

export class SettingsKeeper {
  readonly #ports: SettingsKeeperPorts;
  readonly #watch: VaultWatch;

  constructor(ports: SettingsKeeperPorts) {
    this.#ports = ports;
    this.#watch = new VaultWatch(ports, 'VMs behind their pairing', (vaultId) => this.#look(vaultId));
  }

  begin(): Promise<void> {
    return this.#watch.begin();
  }

  stop(): void {
    this.#watch.stop();
  }

  async #look(vaultId: VaultId): Promise<number | null> {
    const { store, presence } = this.#ports;
    let isAllBegun = true;
    for (const pairing of await store.promises.pairings(vaultId)) {
      const isHere = [pairing.primary, pairing.recovery].every(({ siteId }) => presence.isConnected(siteId));
      if (pairing.state === 'paired' && isHere) isAllBegun = (await this.#bring(pairing)) && isAllBegun;
    }
    return isAllBegun ? null : AGAIN_AFTER_MS;
  }

  /** False where it was refused for now. */
  async #bring(pairing: Pairing): Promise<boolean> {
    const { store, operations, random, log } = this.#ports;
    const vms = (await store.promises.vmsBehind(pairing, AT_ONCE_MOST)).map(({ id }) => id);
    if (vms.length === 0) return true;
    const id = JobId.parse(random.uuid());
    try {
      const deleteRecoveryPoints = { reason: 'whoever changed the pairing said so' };
      const request = { id, kind: 'changePairing', pairing: pairing.id, vms, deleteRecoveryPoints, givesWay: true } as const;
      await operations.start(request, { vaultId: pairing.vaultId, name: ACTOR_NAME });
      log.info({ pairingId: pairing.id, jobId: id, vms: vms.length }, 'VMs are brought to what their pairing says');
      return true;
    } catch (error) {
      log.warn({ err: toFarshoreError(error), pairingId: pairing.id }, 'VMs could not be brought to what their pairing says now');
      return false;
    }
  }
}
