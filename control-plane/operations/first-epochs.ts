/**
 * The epoch that a VM begins its protection with. Sites refuse what is older than the last decision they saw, also from before its
 * protection ended: the vault has kept that, and a vault that is new to the VM finds what stands with it at its sites.
 */
import type { VaultId, VmId } from '../../shared/ids.ts';
import type { Store } from '../store/store.ts';

export async function firstEpochs(vaultId: VaultId, vmIds: readonly VmId[], store: Store): Promise<(vmId: VmId) => number> {
  const kept = await store.promises.lastEpochs(vaultId, vmIds);
  const epochs = new Map<VmId, number>(kept);
  for (const { report } of await store.observations.vms(vaultId, { vmIds })) {
    const { ref, epoch } = report;
    epochs.set(ref.vmId, Math.max(epoch, epochs.get(ref.vmId) ?? 0));
  }
  return (vmId) => epochs.get(vmId) ?? 0;
}
