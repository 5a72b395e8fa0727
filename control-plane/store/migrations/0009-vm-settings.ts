/** A protected VM knows what of its pairing was set at it, and for what a job was opened last, so that none stays behind unseen. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const vmSettings: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const column of ['applied_policy', 'applied_networks', 'attempted_policy', 'attempted_networks'])
      await db.schema.alterTable('protected_vms').addColumn(column, 'text').execute();
  },
};
