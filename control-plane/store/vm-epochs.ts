/** The epochs of VMs whose protection has ended, kept when a VM is forgotten, and those that sites have told that they have seen. */
import type { ProtectedVmId, VaultId, VmId } from '../../shared/ids.ts';
import { inBatches } from './batches.ts';
import type { Query } from './connection.ts';

/** To be called before the VMs are deleted. */
export async function keepEpochs(db: Query, vaultId: VaultId, ids: readonly ProtectedVmId[]): Promise<void> {
  const decided = db
    .selectFrom('protected_vms')
    .select(['vault_id', 'vm_id', 'epoch'])
    .where('vault_id', '=', vaultId)
    .where('id', 'in', ids)
    .where('epoch', '>', 0);
  await db
    .insertInto('vm_epochs')
    .columns(['vault_id', 'vm_id', 'epoch'])
    .expression(decided)
    // A VM begins with the epoch that was kept; what sites have told may be more.
    .onConflict((conflict) =>
      conflict
        .columns(['vault_id', 'vm_id'])
        .doUpdateSet((row) => ({ epoch: row.ref('excluded.epoch') }))
        .whereRef('excluded.epoch', '>', 'vm_epochs.epoch'),
    )
    .execute();
}

export async function lastEpochs(db: Query, vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>> {
  const mine = db.selectFrom('vm_epochs').select(['vm_id', 'epoch']).where('vault_id', '=', vaultId);
  const rows = await inBatches(vmIds, (some) => mine.where('vm_id', 'in', some).execute());
  return new Map(rows.map(({ vm_id, epoch }) => [vm_id, epoch]));
}

export async function decidedEpochs(db: Query, vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>> {
  const present = db.selectFrom('protected_vms').select(['vm_id', 'epoch']).where('vault_id', '=', vaultId);
  const epochs = await lastEpochs(db, vaultId, vmIds);
  for (const { vm_id, epoch } of await inBatches(vmIds, (some) => present.where('vm_id', 'in', some).execute())) epochs.set(vm_id, epoch);
  return epochs;
}

/** A site that tells more than any vault decides in a hundred years is not believed: nothing could be decided above it. */
const EPOCH_MOST = 2 ** 40;

export async function raiseEpochs(db: Query, vaultId: VaultId, seen: ReadonlyMap<VmId, number>): Promise<void> {
  const before = await lastEpochs(db, vaultId, [...seen.keys()]);
  const rows = [...seen].flatMap(([vm_id, epoch]) =>
    epoch > (before.get(vm_id) ?? 0) && epoch <= EPOCH_MOST ? [{ vault_id: vaultId, vm_id, epoch }] : [],
  );
  await inBatches(rows, async (some) => {
    const insert = db.insertInto('vm_epochs').values(some);
    await insert
      .onConflict((conflict) => conflict.columns(['vault_id', 'vm_id']).doUpdateSet((row) => ({ epoch: row.ref('excluded.epoch') })))
      .execute();
    return [];
  });
}
