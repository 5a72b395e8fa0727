/** A version of a plan can be approved by a second person, and a vault has settings. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const planApprovals: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('plan_approvals')
      .addColumn('vault_id', 'text', (column) => column.notNull())
      .addColumn('plan_id', 'text', (column) => column.notNull())
      .addColumn('version', 'bigint', (column) => column.notNull())
      .addColumn('approved_by', 'text', (column) => column.notNull())
      .addColumn('approved_at', 'bigint', (column) => column.notNull())
      .addColumn('comment', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('plan_approvals_key', ['vault_id', 'plan_id', 'version'])
      .addForeignKeyConstraint('plan_approvals_of_version', ['vault_id', 'plan_id', 'version'], 'plan_versions', [
        'vault_id',
        'plan_id',
        'version',
      ])
      .execute();
    await db.schema
      .createTable('vault_settings')
      .addColumn('vault_id', 'text', (column) => column.primaryKey().references('vaults.id'))
      .addColumn('settings', 'text', (column) => column.notNull())
      .addColumn('changed_by', 'text', (column) => column.notNull())
      .addColumn('changed_at', 'bigint', (column) => column.notNull())
      .execute();
  },
};
