/** Small documents of the installation by name; they lie under no vault. */
import type { Connection } from './connection.ts';
import type { SettingStore } from './store.ts';

export class Settings implements SettingStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get(name: string): Promise<string | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
      return row?.value ?? null;
    });
  }

  set(name: string, value: string): Promise<void> {
    return this.#connection.write(async (db) => {
      const row = db.insertInto('settings').values({ name, value });
      await row.onConflict((conflict) => conflict.column('name').doUpdateSet({ value })).execute();
    });
  }
}
