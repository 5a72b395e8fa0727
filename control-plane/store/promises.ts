/** Pairings and protected VMs for reading. Only jobs write them, job-opening.ts and job-log.ts; but epochs that a site has seen count, whoever decided them. */
import type { Selectable } from 'kysely';
import type { PairingId, ProtectedVmId, VaultId, VmId } from '../../shared/ids.ts';
import { inBatches } from './batches.ts';
import type { Connection, Query } from './connection.ts';
import type { CommitWindow, Pairing, PromiseStore, ProtectedVm } from './promise-store.ts';
import type { Tables } from './tables.ts';
import { decidedEpochs, lastEpochs, raiseEpochs } from './vm-epochs.ts';
import { type VmSetting, type VmSettings, wantedSettings } from './vm-settings.ts';

export class Promises implements PromiseStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  pairings(vaultId: VaultId): Promise<Pairing[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('pairings').selectAll().where('vault_id', '=', vaultId);
      return (await mine.orderBy('created_at').orderBy('name').execute()).map(toPairing);
    });
  }

  findPairing(vaultId: VaultId, id: PairingId): Promise<Pairing | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('pairings').selectAll().where('vault_id', '=', vaultId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toPairing(row);
    });
  }

  protectedVms(
    vaultId: VaultId,
    where: { readonly pairingId?: PairingId; readonly ids?: readonly ProtectedVmId[]; readonly names?: readonly string[] } = {},
  ): Promise<ProtectedVm[]> {
    const { pairingId, ids, names } = where;
    return this.#connection.read(async (db) => {
      let mine = selectVms(db, vaultId).orderBy('name');
      if (pairingId !== undefined) mine = mine.where('pairing_id', '=', pairingId);
      if (ids === undefined && names === undefined) return (await mine.execute()).map(toProtectedVm);
      const found = [
        ...(await inBatches(ids ?? [], (some) => mine.where('id', 'in', some).execute())),
        ...(await inBatches(names ?? [], (some) => mine.where('name', 'in', some).execute())),
      ];
      return [...new Map(found.map((row) => [row.id, toProtectedVm(row)])).values()];
    });
  }

  vmsBehind(pairing: Pairing, most: number): Promise<ProtectedVm[]> {
    const wanted = wantedSettings(pairing);
    return this.#connection.read(async (db) => {
      const free = selectVms(db, pairing.vaultId)
        .where('pairing_id', '=', pairing.id)
        .where('busy_with', 'is', null)
        .where('phase', 'in', ['protected', 'seeding']);
      const behind = free.where(({ eb, and, or }) => {
        const lacks = (setting: VmSetting) => {
          const [applied, attempted] = [`applied_${setting}`, `attempted_${setting}`] as const;
          // Of a VM that is older than these columns nobody knows what a person kept: it is told as behind, and left to people.
          return and([or([eb(applied, 'is', null), eb(applied, '!=', wanted[setting])]), eb(attempted, '!=', wanted[setting])]);
        };
        return or([lacks('policy'), and([eb('replicates_from', '=', 'primary'), lacks('networks')])]);
      });
      return (await behind.orderBy('name').limit(most).execute()).map(toProtectedVm);
    });
  }

  lastEpochs(vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>> {
    return this.#connection.read((db) => lastEpochs(db, vaultId, vmIds));
  }

  decidedEpochs(vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>> {
    return this.#connection.read((db) => decidedEpochs(db, vaultId, vmIds));
  }

  raiseEpochs(vaultId: VaultId, epochs: ReadonlyMap<VmId, number>): Promise<void> {
    return this.#connection.write((db) => raiseEpochs(db, vaultId, epochs));
  }
}

type AppliedColumn = 'applied_policy' | 'applied_networks';

export function toPairing(row: Selectable<Tables['pairings']>): Pairing {
  return {
    id: row.id,
    vaultId: row.vault_id,
    name: row.name,
    primary: { siteId: row.primary_site_id, cloudId: row.primary_cloud_id },
    recovery: { siteId: row.recovery_site_id, cloudId: row.recovery_cloud_id },
    policy: JSON.parse(row.policy),
    networks: JSON.parse(row.networks),
    state: row.state,
    replicaAddresses: { primary: row.primary_address, recovery: row.recovery_address },
    createdAt: row.created_at,
  };
}

/** The first two columns are set, or neither. */
export function windowOf(
  row: Pick<Selectable<Tables['protected_vms']>, 'commit_window_ends_at' | 'commit_window_of' | 'commit_window_lapsed'>,
): CommitWindow | null {
  const { commit_window_ends_at: endsAt, commit_window_of: failover, commit_window_lapsed: lapsed } = row;
  return endsAt === null || failover === null ? null : { endsAt, failover, lapsed };
}

/** What was set, as its columns have it. */
export function appliedOf(row: Pick<Selectable<Tables['protected_vms']>, AppliedColumn>): VmSettings {
  return { policy: row.applied_policy, networks: row.applied_networks };
}

/** With what sites have told of each. */
function selectVms(db: Query, vaultId: VaultId) {
  return db
    .selectFrom('protected_vms')
    .leftJoin('vm_epochs', (join) =>
      join.onRef('vm_epochs.vault_id', '=', 'protected_vms.vault_id').onRef('vm_epochs.vm_id', '=', 'protected_vms.vm_id'),
    )
    .selectAll('protected_vms')
    .select('vm_epochs.epoch as seen_epoch')
    .where('protected_vms.vault_id', '=', vaultId);
}

function toProtectedVm(row: Selectable<Tables['protected_vms']> & { readonly seen_epoch: number | null }): ProtectedVm {
  return {
    id: row.id,
    vaultId: row.vault_id,
    pairingId: row.pairing_id,
    vmId: row.vm_id,
    name: row.name,
    phase: row.phase,
    activeLocation: row.active_location,
    replicatesFrom: row.replicates_from,
    epoch: row.epoch,
    nextEpoch: Math.max(row.epoch, row.seen_epoch ?? 0) + 1,
    busyWith: row.busy_with,
    drill: row.drill,
    commitWindow: windowOf(row),
    applied: appliedOf(row),
    attempted: { policy: row.attempted_policy, networks: row.attempted_networks },
    createdAt: row.created_at,
  };
}
