/** Sites, their registration keys and their agents, as people ask for them. How an agent comes to be is in enrolments.ts. */
import type { Selectable } from 'kysely';
import { FarshoreError } from '../../shared/errors.ts';
import type { AgentId, SiteId, VaultId } from '../../shared/ids.ts';
import type { Connection, Query } from './connection.ts';
import type { Agent, RegistrationKeyRow, RevokedCertificate, Site, SiteStore } from './store.ts';
import type { Tables } from './tables.ts';

export class Sites implements SiteStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  create({ id, vaultId, name, createdAt }: Site): Promise<void> {
    return this.#connection.write(async (db) => {
      const mine = db.selectFrom('sites').select('id').where('vault_id', '=', vaultId);
      const same = await mine.where('name', '=', name).executeTakeFirst();
      if (same !== undefined) throw new FarshoreError('ERR_CONFLICT', `a site called ${name} exists`);
      await db.insertInto('sites').values({ id, vault_id: vaultId, name, created_at: createdAt, inventory_digest: null }).execute();
    });
  }

  list(vaultId: VaultId): Promise<Site[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('sites').selectAll().where('vault_id', '=', vaultId).orderBy('name').execute();
      return rows.map(toSite);
    });
  }

  find(vaultId: VaultId, id: SiteId): Promise<Site | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('sites').selectAll().where('vault_id', '=', vaultId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toSite(row);
    });
  }

  addRegistrationKey(key: RegistrationKeyRow): Promise<void> {
    const { hash, vaultId, siteId, createdAt, createdBy, expiresAt, usedAt } = key;
    return this.#connection.write(async (db) => {
      await requireSite(db, vaultId, siteId);
      const row = { hash, vault_id: vaultId, site_id: siteId, created_at: createdAt, created_by: createdBy };
      await db
        .insertInto('registration_keys')
        .values({ ...row, expires_at: expiresAt, used_at: usedAt })
        .execute();
    });
  }

  registrationKeys(vaultId: VaultId, siteId: SiteId): Promise<RegistrationKeyRow[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('registration_keys').selectAll().where('vault_id', '=', vaultId);
      return (await mine.where('site_id', '=', siteId).orderBy('created_at').execute()).map(toKey);
    });
  }

  agents(vaultId: VaultId): Promise<Agent[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('agents').selectAll().where('vault_id', '=', vaultId).orderBy('registered_at').execute();
      return rows.map(toAgent);
    });
  }

  agentOf(vaultId: VaultId, siteId: SiteId): Promise<Agent | null> {
    return this.#connection.read(async (db) => {
      const ofSite = db.selectFrom('agents').selectAll().where('vault_id', '=', vaultId).where('site_id', '=', siteId);
      const row = await ofSite.orderBy('registered_at', 'desc').orderBy('id', 'desc').limit(1).executeTakeFirst();
      return row === undefined || row.revoked_at !== null ? null : toAgent(row);
    });
  }

  findAgent(id: AgentId): Promise<Agent | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('agents').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toAgent(row);
    });
  }

  noteSeen(id: AgentId, at: number, version: string): Promise<void> {
    return this.#connection.write(async (db) => {
      await db.updateTable('agents').set({ last_seen_at: at, version }).where('id', '=', id).execute();
    });
  }

  revokeAgent(vaultId: VaultId, id: AgentId, at: number): Promise<boolean> {
    return this.#connection.write(async (db) => {
      const mine = db.updateTable('agents').where('vault_id', '=', vaultId).where('id', '=', id);
      const done = await mine.set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(at)) })).executeTakeFirst();
      return done.numUpdatedRows > 0n;
    });
  }

  revokedCertificates(now: number): Promise<RevokedCertificate[]> {
    return this.#connection.read(async (db) => {
      const all = db.selectFrom('certificates').innerJoin('agents', 'agents.id', 'certificates.agent_id');
      const revoked = all.where('agents.revoked_at', 'is not', null).where('certificates.not_after', '>', now);
      const rows = await revoked.select(['certificates.serial', 'agents.revoked_at']).orderBy('certificates.serial').execute();
      return rows.map(({ serial, revoked_at }) => ({ serial, revokedAt: revoked_at ?? now }));
    });
  }
}

export async function requireSite(db: Query, vaultId: VaultId, siteId: SiteId): Promise<void> {
  const site = await db.selectFrom('sites').select('id').where('vault_id', '=', vaultId).where('id', '=', siteId).executeTakeFirst();
  if (site === undefined) throw new FarshoreError('ERR_NOT_FOUND', `no site ${siteId} in this vault`);
}

function toSite(row: Selectable<Tables['sites']>): Site {
  return { id: row.id, vaultId: row.vault_id, name: row.name, createdAt: row.created_at };
}

function toKey(row: Selectable<Tables['registration_keys']>): RegistrationKeyRow {
  const { hash, vault_id, site_id, created_at, created_by, expires_at, used_at } = row;
  return { hash, vaultId: vault_id, siteId: site_id, createdAt: created_at, createdBy: created_by, expiresAt: expires_at, usedAt: used_at };
}

function toAgent(row: Selectable<Tables['agents']>): Agent {
  const { id, vault_id, site_id, registered_at, revoked_at, last_seen_at, version } = row;
  return { id, vaultId: vault_id, siteId: site_id, registeredAt: registered_at, revokedAt: revoked_at, lastSeenAt: last_seen_at, version };
}
