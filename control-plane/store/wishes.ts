/** What people want: recovery plans, of which every version is kept, because a job names the one it ran; and the settings of a vault. */

import { VaultSettings } from '../../shared/domain/vault-settings.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { type PlanId, PlanId as PlanIdSchema, type UserId, type VaultId } from '../../shared/ids.ts';
import type { Connection, Query } from './connection.ts';
import type { Plan, PlanApproval, StoredVaultSettings, WishStore } from './store.ts';

interface PlanRow {
  id: PlanId;
  vault_id: VaultId;
  name: string;
  version: number;
  document: string;
  created_at: number;
  created_by: UserId;
  approved_by: UserId | null;
  approved_at: number | null;
  comment: string | null;
}

export class Wishes implements WishStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  savePlan(plan: Omit<Plan, 'version' | 'approval'>): Promise<Plan> {
    const { id, vaultId: vault_id, name, document, createdAt: created_at, createdBy: created_by } = plan;
    return this.#connection.write(async (db) => {
      const mine = db.selectFrom('plans').selectAll().where('vault_id', '=', vault_id);
      const same = await mine.where('name', '=', name).where('id', '!=', id).executeTakeFirst();
      if (same !== undefined) throw new FarshoreError('ERR_CONFLICT', `another plan is called ${name}`);
      const before = await mine.where('id', '=', id).executeTakeFirst();
      const version = (before?.newest_version ?? 0) + 1;
      const newest = db.insertInto('plans').values({ vault_id, id, name, newest_version: version });
      await newest.onConflict((conflict) => conflict.columns(['vault_id', 'id']).doUpdateSet({ name, newest_version: version })).execute();
      const row = { vault_id, plan_id: id, version, document: JSON.stringify(document), created_at, created_by };
      await db.insertInto('plan_versions').values(row).execute();
      return { ...plan, version, approval: null };
    });
  }

  findPlan(vaultId: VaultId, idOrName: string, version?: number): Promise<Plan | null> {
    return this.#connection.read(async (db) => {
      const all = planRows(db, vaultId);
      const isId = PlanIdSchema.safeParse(idOrName).success;
      const named = isId ? all.where('plans.id', '=', idOrName as PlanId) : all.where('plans.name', '=', idOrName);
      const row = await (version === undefined
        ? named.whereRef('plan_versions.version', '=', 'plans.newest_version')
        : named.where('plan_versions.version', '=', version)
      ).executeTakeFirst();
      return row === undefined ? null : toPlan(row);
    });
  }

  plans(vaultId: VaultId): Promise<Plan[]> {
    return this.#connection.read(async (db) => {
      const newest = planRows(db, vaultId).whereRef('plan_versions.version', '=', 'plans.newest_version');
      return (await newest.orderBy('plans.name').execute()).map(toPlan);
    });
  }

  versions(vaultId: VaultId, id: PlanId): Promise<Plan[]> {
    return this.#connection.read(async (db) => {
      const all = planRows(db, vaultId).where('plans.id', '=', id);
      return (await all.orderBy('plan_versions.version', 'desc').execute()).map(toPlan);
    });
  }

  approvePlan(vaultId: VaultId, id: PlanId, version: number, { by, at, comment }: PlanApproval): Promise<void> {
    return this.#connection.write(async (db) => {
      const all = planRows(db, vaultId).where('plans.id', '=', id);
      const plan = await all.where('plan_versions.version', '=', version).executeTakeFirst();
      if (plan === undefined) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such plan, or not in that version');
      if (plan.created_by === by) throw new FarshoreError('ERR_OWN_APPROVAL', `version ${version} of ${plan.name} is your own`);
      const row = { vault_id: vaultId, plan_id: id, version, approved_by: by, approved_at: at, comment };
      await db
        .insertInto('plan_approvals')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    });
  }

  settings(vaultId: VaultId): Promise<StoredVaultSettings> {
    return this.#connection.read(async (db) => {
      const row = await db.selectFrom('vault_settings').selectAll().where('vault_id', '=', vaultId).executeTakeFirst();
      if (row === undefined) return { settings: VaultSettings.parse({}), changed: null };
      return { settings: VaultSettings.parse(JSON.parse(row.settings)), changed: { at: row.changed_at, by: row.changed_by } };
    });
  }

  setSettings(vaultId: VaultId, settings: VaultSettings, by: UserId, at: number): Promise<void> {
    return this.#connection.write(async (db) => {
      const set = { settings: JSON.stringify(settings), changed_by: by, changed_at: at };
      const row = db.insertInto('vault_settings').values({ vault_id: vaultId, ...set });
      await row.onConflict((conflict) => conflict.column('vault_id').doUpdateSet(set)).execute();
    });
  }
}

function planRows(db: Query, vaultId: VaultId) {
  return db
    .selectFrom('plans')
    .innerJoin('plan_versions', (join) =>
      join.onRef('plan_versions.vault_id', '=', 'plans.vault_id').onRef('plan_versions.plan_id', '=', 'plans.id'),
    )
    .leftJoin('plan_approvals', (join) =>
      join
        .onRef('plan_approvals.vault_id', '=', 'plan_versions.vault_id')
        .onRef('plan_approvals.plan_id', '=', 'plan_versions.plan_id')
        .onRef('plan_approvals.version', '=', 'plan_versions.version'),
    )
    .select([
      'plans.id',
      'plans.vault_id',
      'plans.name',
      'plan_versions.version',
      'plan_versions.document',
      'plan_versions.created_at',
      'plan_versions.created_by',
      'plan_approvals.approved_by',
      'plan_approvals.approved_at',
      'plan_approvals.comment',
    ])
    .where('plans.vault_id', '=', vaultId);
}

function toPlan({ id, vault_id, name, version, document, created_at, created_by, approved_by, approved_at, comment }: PlanRow): Plan {
  const approval = approved_by === null ? null : { by: approved_by, at: approved_at ?? 0, comment: comment ?? '' };
  return { id, vaultId: vault_id, name, version, document: JSON.parse(document), createdAt: created_at, createdBy: created_by, approval };
}
