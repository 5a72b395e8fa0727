/**
 * The query layer's dialect of SQLite with two differences: where a commit fails, SQLite has taken the transaction back by
 * itself already, and rolling back once more would answer with an error that hides the one that counts; and a statement is
 * prepared once, which is a third of the time of a short one.
 */
import type { Database, Statement } from 'better-sqlite3';
import { type DatabaseConnection, SqliteDialect, SqliteDriver } from 'kysely';

/** The texts differ by the number of rows and ids in them; 50 runs at once use 300. */
const PREPARED_MOST = 500;

export class EmbeddedDialect extends SqliteDialect {
  readonly #database: Database;

  constructor(database: Database) {
    super({ database });
    this.#database = database;
  }

  override createDriver(): SqliteDriver {
    return new EmbeddedDriver(this.#database);
  }
}

class EmbeddedDriver extends SqliteDriver {
  readonly #database: Database;

  constructor(database: Database) {
    super({ database: { prepare: preparedOnce(database), close: () => database.close() } });
    this.#database = database;
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}

/** The least used of late is forgotten first. */
function preparedOnce(database: Database): (sql: string) => Statement {
  const prepared = new Map<string, Statement>();
  return (sql) => {
    const statement = prepared.get(sql) ?? database.prepare(sql);
    prepared.delete(sql);
    prepared.set(sql, statement);
    const [oldest] = prepared.keys();
    if (prepared.size > PREPARED_MOST && oldest !== undefined) prepared.delete(oldest);
    return statement;
  };
}
