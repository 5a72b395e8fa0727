/**
 * Protection rules, and what they must remember of single VMs. A rule is never changed, only added and removed, and removed ones
 * are kept: so it is known who wanted what and when. What opens a job writes its part of this in the same transaction.
 */
import type { Selectable } from 'kysely';
import { FarshoreError } from '../../shared/errors.ts';
import { RuleId, type UserId, type VaultId, type VmId } from '../../shared/ids.ts';
import { batches } from './batches.ts';
import type { Connection, Query } from './connection.ts';
import { derivedId } from './derived-id.ts';
import type { NewJob } from './job-store.ts';
import { refuseInEnding } from './pairing-end.ts';
import type { MovedRules, ProtectionRule, RuleAttempt, RuleExclusion, RuleStore } from './rule-store.ts';
import type { Tables } from './tables.ts';

export class Rules implements RuleStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  add({ id, vaultId, pairingId, match, createdAt, createdBy }: ProtectionRule): Promise<void> {
    const text = JSON.stringify(match);
    return this.#connection.write(async (db) => {
      await refuseInEnding(db, vaultId, pairingId);
      const mine = db.selectFrom('protection_rules').select('id').where('vault_id', '=', vaultId).where('pairing_id', '=', pairingId);
      const same = await mine.where('match', '=', text).where('removed_at', 'is', null).executeTakeFirst();
      if (same !== undefined) throw new FarshoreError('ERR_CONFLICT', `the pairing has this rule already: ${same.id}`);
      const wanted = { created_at: createdAt, created_by: createdBy, removed_at: null, removed_by: null };
      await db
        .insertInto('protection_rules')
        .values({ vault_id: vaultId, id, pairing_id: pairingId, match: text, ...wanted })
        .execute();
    });
  }

  remove(vaultId: VaultId, id: RuleId, at: number, by: UserId): Promise<boolean> {
    return this.#connection.write(async (db) => {
      const mine = db.updateTable('protection_rules').where('vault_id', '=', vaultId).where('id', '=', id).where('removed_at', 'is', null);
      return (await mine.set({ removed_at: at, removed_by: by }).executeTakeFirst()).numUpdatedRows === 1n;
    });
  }

  list(vaultId: VaultId): Promise<ProtectionRule[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('protection_rules').selectAll().where('vault_id', '=', vaultId);
      return (await mine.orderBy('created_at').orderBy('id').execute()).map(toRule);
    });
  }

  exclusions(vaultId: VaultId): Promise<RuleExclusion[]> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('rule_exclusions').selectAll().where('vault_id', '=', vaultId);
      const rows = await mine.orderBy('name').orderBy('vm_id').execute();
      return rows.map((row) => ({
        vaultId: row.vault_id,
        vmId: row.vm_id,
        name: row.name,
        at: row.excluded_at,
        by: row.excluded_by,
        jobId: row.job_id,
      }));
    });
  }

  exclude(exclusion: RuleExclusion): Promise<void> {
    return this.#connection.write((db) => insertExclusions(db, [exclusion]));
  }

  lift(vaultId: VaultId, vmId: VmId): Promise<boolean> {
    return this.#connection.write((db) => startAnew(db, vaultId, [vmId]));
  }

  attempts(vaultId: VaultId): Promise<RuleAttempt[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('rule_attempts').selectAll().where('vault_id', '=', vaultId).execute();
      return rows.map(({ vm_id, attempts, job_id }) => ({ vmId: vm_id, attempts, jobId: job_id }));
    });
  }
}

/** What a job means for rules: a person who ends protection is not overruled, one who begins it lifts that, a rule counts its try. */
export async function noteForRules(db: Query, { job, newVms, movedRules, excludes = [], byRule = false }: NewJob): Promise<void> {
  const { id: jobId, vaultId, startedAt: at, startedBy: by } = job;
  if (movedRules !== undefined) await moveRules(db, job, movedRules);
  await insertExclusions(
    db,
    excludes.map((vm) => ({ vaultId, ...vm, at, by, jobId })),
  );
  const vmIds = newVms.map(({ vmId }) => vmId);
  if (!byRule) return void (await startAnew(db, vaultId, vmIds));
  for (const some of batches(vmIds)) {
    const rows = some.map((vm_id) => ({ vault_id: vaultId, vm_id, attempts: 1, job_id: jobId }));
    await db
      .insertInto('rule_attempts')
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(['vault_id', 'vm_id']).doUpdateSet((row) => ({
          attempts: row('rule_attempts.attempts', '+', 1),
          job_id: jobId,
        })),
      )
      .execute();
  }
}

/** Removed there, and added here where there is no such rule yet; the id follows from both, so that nothing has to be drawn. */
async function moveRules(db: Query, { id: jobId, vaultId, startedAt: at }: NewJob['job'], { from, to, by }: MovedRules): Promise<void> {
  const held = db.selectFrom('protection_rules').selectAll().where('vault_id', '=', vaultId).where('removed_at', 'is', null);
  const rules = await held.where('pairing_id', 'in', [from, to]).execute();
  const there = new Set(rules.flatMap(({ pairing_id, match }) => (pairing_id === to ? [match] : [])));
  const mine = db.updateTable('protection_rules').where('vault_id', '=', vaultId).where('pairing_id', '=', from);
  await mine.where('removed_at', 'is', null).set({ removed_at: at, removed_by: by }).execute();
  const moved = rules.filter(({ pairing_id, match }) => pairing_id === from && !there.has(match));
  const rows = moved.map((rule) => ({
    ...rule,
    id: RuleId.parse(derivedId(`${rule.id} ${jobId}`)),
    pairing_id: to,
    created_at: at,
    created_by: by ?? rule.created_by,
  }));
  if (rows.length > 0) await db.insertInto('protection_rules').values(rows).execute();
}

async function insertExclusions(db: Query, exclusions: readonly RuleExclusion[]): Promise<void> {
  for (const some of batches(exclusions)) {
    const rows = some.map(({ vaultId, vmId, name, at, by, jobId }) => ({
      vault_id: vaultId,
      vm_id: vmId,
      name,
      excluded_at: at,
      excluded_by: by,
      job_id: jobId,
    }));
    const insert = db.insertInto('rule_exclusions').values(rows);
    await insert
      .onConflict((conflict) =>
        conflict.columns(['vault_id', 'vm_id']).doUpdateSet((row) => ({
          name: row.ref('excluded.name'),
          excluded_at: row.ref('excluded.excluded_at'),
          excluded_by: row.ref('excluded.excluded_by'),
          job_id: row.ref('excluded.job_id'),
        })),
      )
      .execute();
  }
}

/** The last job stays on record, so that the next one of the same VMs is another. Answers whether a VM was excluded. */
async function startAnew(db: Query, vaultId: VaultId, vmIds: readonly VmId[]): Promise<boolean> {
  let lifted = 0n;
  for (const some of batches(vmIds)) {
    await db.updateTable('rule_attempts').set({ attempts: 0 }).where('vault_id', '=', vaultId).where('vm_id', 'in', some).execute();
    const mine = db.deleteFrom('rule_exclusions').where('vault_id', '=', vaultId).where('vm_id', 'in', some);
    lifted += (await mine.executeTakeFirst()).numDeletedRows;
  }
  return lifted > 0n;
}

function toRule(row: Selectable<Tables['protection_rules']>): ProtectionRule {
  return {
    id: row.id,
    vaultId: row.vault_id,
    pairingId: row.pairing_id,
    match: JSON.parse(row.match),
    createdAt: row.created_at,
    createdBy: row.created_by,
    removedAt: row.removed_at,
    removedBy: row.removed_by,
  };
}
