/** Vaults, their users, and what lets a request in. */
import type { Selectable } from 'kysely';
import { FarshoreError } from '../../shared/errors.ts';
import type { UserId, VaultId } from '../../shared/ids.ts';
import type { AccountStore, Credential, User, Vault } from './account-store.ts';
import type { Connection, Query } from './connection.ts';
import type { Tables } from './tables.ts';

export class Accounts implements AccountStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  createFirst(vault: Vault, owner: User): Promise<boolean> {
    return this.#connection.write(async (db) => {
      if ((await db.selectFrom('vaults').select('id').limit(1).executeTakeFirst()) !== undefined) return false;
      await db.insertInto('vaults').values({ id: vault.id, name: vault.name, created_at: vault.createdAt }).execute();
      await insertUser(db, owner);
      return true;
    });
  }

  vaults(): Promise<Vault[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('vaults').selectAll().orderBy('created_at').execute();
      return rows.map((row) => ({ id: row.id, name: row.name, createdAt: row.created_at }));
    });
  }

  addUser(user: User): Promise<void> {
    return this.#connection.write(async (db) => {
      const same = await db.selectFrom('users').select('id').where('name', '=', user.name).executeTakeFirst();
      if (same !== undefined) throw new FarshoreError('ERR_CONFLICT', `the name ${user.name} is taken by another user`);
      await insertUser(db, user);
    });
  }

  users(vaultId: VaultId): Promise<User[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('users').selectAll().where('vault_id', '=', vaultId).orderBy('name').execute();
      return rows.map(toUser);
    });
  }

  findUserByName(name: string): Promise<User | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
      return row === undefined ? null : toUser(row);
    });
  }

  findUser(vaultId: VaultId, id: UserId): Promise<User | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('users').selectAll().where('vault_id', '=', vaultId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toUser(row);
    });
  }

  addCredential(credential: Credential): Promise<void> {
    const { hash, vaultId, userId, kind, name, role, createdAt, expiresAt } = credential;
    return this.#connection.write(async (db) => {
      const row = { hash, vault_id: vaultId, user_id: userId, kind, name, role, created_at: createdAt, expires_at: expiresAt };
      await db.insertInto('credentials').values(row).execute();
    });
  }

  findCredential(hash: string): Promise<Credential | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('credentials').selectAll().where('hash', '=', hash).executeTakeFirst();
      return row === undefined ? null : toCredential(row);
    });
  }

  credentials(vaultId: VaultId, kind: Credential['kind']): Promise<Credential[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('credentials').selectAll().where('vault_id', '=', vaultId);
      const rows = await mine.where('kind', '=', kind).orderBy('created_at').execute();
      return rows.map(toCredential);
    });
  }

  removeCredential(vaultId: VaultId, hash: string): Promise<boolean> {
    return this.#connection.write(async (db) => {
      const removed = await db.deleteFrom('credentials').where('vault_id', '=', vaultId).where('hash', '=', hash).executeTakeFirst();
      return removed.numDeletedRows > 0n;
    });
  }
}

async function insertUser(db: Query, user: User): Promise<void> {
  const { id, vaultId, name, role, passwordHash, createdAt } = user;
  await db.insertInto('users').values({ id, vault_id: vaultId, name, role, password_hash: passwordHash, created_at: createdAt }).execute();
}

function toUser(row: Selectable<Tables['users']>): User {
  const { id, vault_id, name, role, password_hash, created_at } = row;
  return { id, vaultId: vault_id, name, role, passwordHash: password_hash, createdAt: created_at };
}

function toCredential(row: Selectable<Tables['credentials']>): Credential {
  const { hash, vault_id, user_id, kind, name, role, created_at, expires_at } = row;
  return { hash, vaultId: vault_id, userId: user_id, kind, name, role, createdAt: created_at, expiresAt: expires_at };
}
