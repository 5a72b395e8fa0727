/** How registration keys become agents, and agents renew: the two calls that settle races are one transaction each. */
import type { Selectable } from 'kysely';
import type { AgentId } from '../../shared/ids.ts';
import type { Connection } from './connection.ts';
import type { EnrolledAgent, EnrolmentStore, NewAgent, RegistrationKeyRow, RenewedCertificate } from './enrolment-store.ts';
import type { Tables } from './tables.ts';

/** A proof is too old long before that; a day needs no agreement with the judge of proofs. */
const REMEMBER_PROOFS_MS = 86_400_000;

export class Enrolments implements EnrolmentStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  findKey(secretHash: string): Promise<RegistrationKeyRow | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('registration_keys').selectAll().where('hash', '=', secretHash).executeTakeFirst();
      return row === undefined ? null : toKey(row);
    });
  }

  register(secretHash: string, agent: NewAgent, now: number): Promise<'registered' | 'unknown' | 'used' | 'expired'> {
    return this.#connection.write(async (db) => {
      const key = await db.selectFrom('registration_keys').selectAll().where('hash', '=', secretHash).executeTakeFirst();
      if (key === undefined) return 'unknown';
      if (key.used_at !== null) return 'used';
      if (key.expires_at <= now) return 'expired';
      // Asked again with the change itself: where transactions overlap, one of two finds it used.
      const unused = db.updateTable('registration_keys').where('hash', '=', secretHash).where('used_at', 'is', null);
      if ((await unused.set({ used_at: now }).executeTakeFirst()).numUpdatedRows !== 1n) return 'used';
      const { agentId: id, vaultId: vault_id, siteId: site_id, spki, certificateSerial, certificateNotAfter } = agent;
      const certificate = { certificate_serial: certificateSerial, certificate_not_after: certificateNotAfter };
      const unseen = { registered_at: now, revoked_at: null, last_seen_at: null, version: '' };
      await db
        .insertInto('agents')
        .values({ id, vault_id, site_id, spki, ...certificate, ...unseen })
        .execute();
      await db
        .insertInto('certificates')
        .values({ serial: certificateSerial, vault_id, agent_id: id, not_after: certificateNotAfter })
        .execute();
      return 'registered';
    });
  }

  findAgent(agentId: AgentId): Promise<EnrolledAgent | null> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('agents').selectAll().where('id', '=', agentId).executeTakeFirst();
      return row === undefined ? null : toEnrolled(row);
    });
  }

  storeRenewal({ agentId, serial, notAfter, jti, forgetJtiAt }: RenewedCertificate): Promise<'stored' | 'replayed' | 'revoked'> {
    return this.#connection.write(async (db) => {
      const agent = await db.selectFrom('agents').select(['vault_id', 'revoked_at']).where('id', '=', agentId).executeTakeFirst();
      if (agent === undefined || agent.revoked_at !== null) return 'revoked';
      const proofs = db.selectFrom('renewal_proofs').select('jti').where('agent_id', '=', agentId);
      if ((await proofs.where('jti', '=', jti).executeTakeFirst()) !== undefined) return 'replayed';
      const { vault_id } = agent;
      await db
        .deleteFrom('renewal_proofs')
        .where('agent_id', '=', agentId)
        .where('forget_at', '<', forgetJtiAt - REMEMBER_PROOFS_MS)
        .execute();
      await db.insertInto('renewal_proofs').values({ agent_id: agentId, jti, vault_id, forget_at: forgetJtiAt }).execute();
      await db.insertInto('certificates').values({ serial, vault_id, agent_id: agentId, not_after: notAfter }).execute();
      const newest = { certificate_serial: serial, certificate_not_after: notAfter };
      await db.updateTable('agents').set(newest).where('id', '=', agentId).execute();
      return 'stored';
    });
  }
}

function toKey(row: Selectable<Tables['registration_keys']>): RegistrationKeyRow {
  const { hash, vault_id, site_id, created_at, expires_at, used_at } = row;
  return { vaultId: vault_id, siteId: site_id, secretHash: hash, createdAt: created_at, expiresAt: expires_at, usedAt: used_at };
}

function toEnrolled(row: Selectable<Tables['agents']>): EnrolledAgent {
  return {
    agentId: row.id,
    vaultId: row.vault_id,
    siteId: row.site_id,
    spki: row.spki,
    certificateSerial: row.certificate_serial,
    certificateNotAfter: row.certificate_not_after,
    revokedAt: row.revoked_at,
  };
}
