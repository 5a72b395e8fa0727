/** Recovery plans. Every version is kept, because a job names the one it ran. */
import { FarshoreError } from '../../shared/errors.ts';
import { type PlanId, PlanId as PlanIdSchema, type UserId, type VaultId } from '../../shared/ids.ts';
import type { Connection, Query } from './connection.ts';
import type { Plan, WishStore } from './store.ts';

interface PlanRow {
  id: PlanId;
  vault_id: VaultId;
  name: string;
  version: number;
  document: string;
  created_at: number;
  created_by: UserId;
}

export class Wishes implements WishStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  savePlan(plan: Omit<Plan, 'version'>): Promise<Plan> {
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
      return { ...plan, version };
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
}

function planRows(db: Query, vaultId: VaultId) {
  return db
    .selectFrom('plans')
    .innerJoin('plan_versions', (join) =>
      join.onRef('plan_versions.vault_id', '=', 'plans.vault_id').onRef('plan_versions.plan_id', '=', 'plans.id'),
    )
    .select([
      'plans.id',
      'plans.vault_id',
      'plans.name',
      'plan_versions.version',
      'plan_versions.document',
      'plan_versions.created_at',
      'plan_versions.created_by',
    ])
    .where('plans.vault_id', '=', vaultId);
}

function toPlan({ id, vault_id, name, version, document, created_at, created_by }: PlanRow): Plan {
  return { id, vaultId: vault_id, name, version, document: JSON.parse(document), createdAt: created_at, createdBy: created_by };
}
