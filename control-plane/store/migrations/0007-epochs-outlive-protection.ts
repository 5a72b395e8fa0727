/** Sites never forget the last ownership decision of a VM, so neither does the vault: whoever protects it again goes on from there. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const epochsOutliveProtection: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('vm_epochs')
      .addColumn('vault_id', 'text', (column) => column.notNull().references('vaults.id'))
      .addColumn('vm_id', 'text', (column) => column.notNull())
      .addColumn('epoch', 'integer', (column) => column.notNull())
      .addPrimaryKeyConstraint('vm_epochs_key', ['vault_id', 'vm_id'] as never)
      .execute();
  },
};
