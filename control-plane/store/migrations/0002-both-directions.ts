/** Replication can be reversed: both sides of a pairing receive replicas, and a VM tells which side sends. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const bothDirections: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('pairings').renameColumn('replica_address', 'recovery_address').execute();
    await db.schema.alterTable('pairings').addColumn('primary_address', 'text').execute();
    await db.schema
      .alterTable('protected_vms')
      .addColumn('replicates_from', 'text', (column) => column.notNull().defaultTo('primary'))
      .execute();
  },
};
