/** A failover can take itself back unless it is committed in time; and the VMs that a plan names are found by name. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const commitWindows: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('protected_vms').addColumn('commit_window_ends_at', 'bigint').execute();
    await db.schema.alterTable('protected_vms').addColumn('commit_window_of', 'text').execute();
    await db.schema.createIndex('protected_vms_by_name').on('protected_vms').columns(['vault_id', 'name']).execute();
    await db.schema.createIndex('protected_vms_by_commit_window').on('protected_vms').column('commit_window_ends_at').execute();
  },
};
