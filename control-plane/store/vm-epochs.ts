/** The epochs of VMs whose protection has ended: kept when a VM is forgotten, asked for when it is protected again. */
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
    // A VM begins with the epoch that was kept, so what is kept anew is never less.
    .onConflict((conflict) => conflict.columns(['vault_id', 'vm_id']).doUpdateSet((row) => ({ epoch: row.ref('excluded.epoch') })))
    .execute();
}

export async function lastEpochs(db: Query, vaultId: VaultId, vmIds: readonly VmId[]): Promise<Map<VmId, number>> {
  const mine = db.selectFrom('vm_epochs').select(['vm_id', 'epoch']).where('vault_id', '=', vaultId);
  const rows = await inBatches(vmIds, (some) => mine.where('vm_id', 'in', some).execute());
  return new Map(rows.map(({ vm_id, epoch }) => [vm_id, epoch]));
}
