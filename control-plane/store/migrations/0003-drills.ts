/** Drills: a protected VM tells whose test copy of it is there. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const drills: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('protected_vms').addColumn('drill', 'text').execute();
  },
};
