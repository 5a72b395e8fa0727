/** Rules that protect VMs by themselves, the VMs that people took out of their reach, and how often a VM was tried. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const protectionRules: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('protection_rules')
      .addColumn('vault_id', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('pairing_id', 'text', (column) => column.notNull())
      .addColumn('match', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('created_by', 'text', (column) => column.notNull())
      .addColumn('removed_at', 'bigint')
      .addColumn('removed_by', 'text')
      .addPrimaryKeyConstraint('protection_rules_key', ['vault_id', 'id'] as never)
      .addForeignKeyConstraint('protection_rules_pairing', ['vault_id', 'pairing_id'] as never, 'pairings', ['vault_id', 'id'] as never)
      .execute();
    await db.schema
      .createTable('rule_exclusions')
      .addColumn('vault_id', 'text', (column) => column.notNull().references('vaults.id'))
      .addColumn('vm_id', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('excluded_at', 'bigint', (column) => column.notNull())
      .addColumn('excluded_by', 'text', (column) => column.notNull())
      .addColumn('job_id', 'text')
      .addPrimaryKeyConstraint('rule_exclusions_key', ['vault_id', 'vm_id'] as never)
      .execute();
    await db.schema
      .createTable('rule_attempts')
      .addColumn('vault_id', 'text', (column) => column.notNull().references('vaults.id'))
      .addColumn('vm_id', 'text', (column) => column.notNull())
      .addColumn('attempts', 'integer', (column) => column.notNull())
      .addColumn('job_id', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('rule_attempts_key', ['vault_id', 'vm_id'] as never)
      .execute();
  },
};
