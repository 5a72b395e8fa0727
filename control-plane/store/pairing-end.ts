/** The end of a pairing in the store: it begins where nothing stands on it, nothing begins in it from then on, and at last it is gone. */
import { FarshoreError } from '../../shared/errors.ts';
import type { PairingId, VaultId } from '../../shared/ids.ts';
import type { Query } from './connection.ts';
import type { NewJob } from './job-store.ts';
import type { Refusal } from './refusal.ts';

/** What stands against ending the pairing of the order, and against whatever the order does in one that is being ended. */
export async function pairingEndRefusals(db: Query, order: NewJob): Promise<Refusal[]> {
  const { endedPairing, job } = order;
  return [...(await usesOfEnding(db, order)), ...(endedPairing === undefined ? [] : await standOn(db, job.vaultId, endedPairing))];
}

export async function beginPairingEnd(db: Query, { job, endedPairing }: NewJob): Promise<void> {
  if (endedPairing === undefined) return;
  const mine = db.updateTable('pairings').where('vault_id', '=', job.vaultId).where('id', '=', endedPairing);
  // The name of one that failed may belong to another by now.
  await mine.where('state', '!=', 'failed').set({ state: 'unpairing' }).execute();
}

/** Its rules were all removed before; jobs that name it keep what they need. */
export async function removePairing(db: Query, vaultId: VaultId, id: PairingId): Promise<void> {
  await db.deleteFrom('protection_rules').where('vault_id', '=', vaultId).where('pairing_id', '=', id).execute();
  await db.deleteFrom('pairings').where('vault_id', '=', vaultId).where('id', '=', id).execute();
}

/** Throws ERR_NOT_PREPARED where the pairing is being removed: its rules would be gone with it. */
export async function refuseInEnding(db: Query, vaultId: VaultId, id: PairingId): Promise<void> {
  const mine = db.selectFrom('pairings').select('name').where('vault_id', '=', vaultId).where('id', '=', id);
  const ending = await mine.where('state', '=', 'unpairing').executeTakeFirst();
  if (ending !== undefined) throw new FarshoreError('ERR_NOT_PREPARED', beingRemoved(ending.name));
}

const beingRemoved = (name: string) => `the pairing ${name} is being removed`;

async function usesOfEnding(db: Query, { job, newVms, changedPairing, graph }: NewJob): Promise<Refusal[]> {
  const moved = graph.steps.flatMap(({ work }) => work?.vm?.pairing ?? []);
  const used = [...new Set([...newVms.map(({ pairingId }) => pairingId), ...(changedPairing ? [changedPairing.id] : []), ...moved])];
  const ending = db.selectFrom('pairings').select('name').where('vault_id', '=', job.vaultId).where('state', '=', 'unpairing');
  const rows = used.length === 0 ? [] : await ending.where('id', 'in', used).execute();
  return rows.map(({ name }): Refusal => ({ code: 'ERR_NOT_PREPARED', message: beingRemoved(name) }));
}

async function standOn(db: Query, vaultId: VaultId, id: PairingId): Promise<Refusal[]> {
  const pairing = await db.selectFrom('pairings').select('name').where('vault_id', '=', vaultId).where('id', '=', id).executeTakeFirst();
  if (pairing === undefined) return [{ code: 'ERR_NOT_FOUND', message: 'there is no such pairing' }];
  const protectedVms = db.selectFrom('protected_vms').select('name').where('vault_id', '=', vaultId).where('pairing_id', '=', id);
  const rules = db.selectFrom('protection_rules').select('id').where('vault_id', '=', vaultId).where('pairing_id', '=', id);
  const openJobs = db.selectFrom('jobs').select(['id', 'kind']).where('vault_id', '=', vaultId).where('ended_at', 'is', null);
  const reasons = [
    ...(await protectedVms.orderBy('name').execute()).map((vm) => `${vm.name} is protected in it`),
    ...(await rules.where('removed_at', 'is', null).execute()).map((rule) => `rule ${rule.id} protects VMs in it`),
    ...(await openJobs.where('input', 'like', `%"${id}"%`).execute()).map((job) => `job ${job.id} (${job.kind}) works with it`),
  ];
  return reasons.map((reason): Refusal => ({ code: 'ERR_CONFLICT', message: `${pairing.name} is in use: ${reason}` }));
}
