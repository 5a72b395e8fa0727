/** Removes old jobs with everything that hangs under them. */
import type { VaultId } from '../../shared/ids.ts';
import type { Query } from './connection.ts';

export async function purgeJobs(db: Query, vaultId: VaultId, endedBefore: number, most: number): Promise<number> {
  const named = (column: 'drill' | 'commit_window_of' | 'busy_with') =>
    db.selectFrom('protected_vms').select(column).where('vault_id', '=', vaultId).where(column, 'is not', null);
  const old = await db
    .selectFrom('jobs')
    .select('id')
    .where('vault_id', '=', vaultId)
    .where('ended_at', '<', endedBefore)
    .where('id', 'not in', named('drill'))
    .where('id', 'not in', named('commit_window_of'))
    .where('id', 'not in', named('busy_with'))
    .orderBy('ended_at')
    .limit(most)
    .execute();
  const ids = old.map(({ id }) => id);
  if (ids.length === 0) return 0;
  for (const table of ['facts', 'job_graphs'] as const) {
    await db.deleteFrom(table).where('vault_id', '=', vaultId).where('job_id', 'in', ids).execute();
  }
  await db.deleteFrom('jobs').where('vault_id', '=', vaultId).where('id', 'in', ids).execute();
  return ids.length;
}
