/** A commit window that ended and was not acted upon stays with its VM, with the reason: somebody has to see it. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const lapsedWindows: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('protected_vms').addColumn('commit_window_lapsed', 'text').execute();
  },
};
