/**
 * The first tables. Keys begin with the vault, so that no row can hang under a row of another vault. A migration that
 * has left the house is never changed: the next one mends it.
 */
import type { ColumnDataType, CreateTableBuilder, Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

interface Table {
  /** Text unless another type stands behind a colon; `?` may be null. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  readonly unique?: readonly (readonly string[])[];
  /** [columns here, table there, columns there] */
  readonly references?: readonly (readonly [readonly string[], string, readonly string[]])[];
}

const vault = [['vault_id'], 'vaults', ['id']] as const;
const site = [['vault_id', 'site_id'], 'sites', ['vault_id', 'id']] as const;
const job = [['vault_id', 'job_id'], 'jobs', ['vault_id', 'id']] as const;
const agent = [['agent_id'], 'agents', ['id']] as const;

// biome-ignore format: a table, a few lines each
const tables: Readonly<Record<string, Table>> = {
  vaults: { columns: ['id', 'name', 'created_at:bigint'], primaryKey: ['id'] },
  users: {
    columns: ['vault_id', 'id', 'name', 'role', 'password_hash', 'created_at:bigint'],
    primaryKey: ['vault_id', 'id'], unique: [['name']], references: [vault],
  },
  credentials: {
    columns: ['hash', 'vault_id', 'user_id', 'kind', 'name', 'role', 'created_at:bigint', 'expires_at:bigint'],
    primaryKey: ['hash'], references: [[['vault_id', 'user_id'], 'users', ['vault_id', 'id']]],
  },
  sites: {
    columns: ['vault_id', 'id', 'name', 'created_at:bigint', 'inventory_digest?'],
    primaryKey: ['vault_id', 'id'], unique: [['vault_id', 'name']], references: [vault],
  },
  registration_keys: {
    columns: ['hash', 'vault_id', 'site_id', 'created_at:bigint', 'created_by', 'expires_at:bigint', 'used_at:bigint?'],
    primaryKey: ['hash'], references: [site],
  },
  agents: {
    columns: [
      'id', 'vault_id', 'site_id', 'spki', 'certificate_serial', 'certificate_not_after:bigint', 'registered_at:bigint',
      'revoked_at:bigint?', 'last_seen_at:bigint?', 'version',
    ],
    primaryKey: ['id'], references: [site],
  },
  certificates: { columns: ['serial', 'vault_id', 'agent_id', 'not_after:bigint'], primaryKey: ['serial'], references: [agent] },
  renewal_proofs: { columns: ['agent_id', 'jti', 'vault_id', 'forget_at:bigint'], primaryKey: ['agent_id', 'jti'], references: [agent] },
  clouds: { columns: ['vault_id', 'site_id', 'id', 'name', 'item'], primaryKey: ['vault_id', 'site_id', 'id'], references: [site] },
  networks: { columns: ['vault_id', 'site_id', 'id', 'name', 'item'], primaryKey: ['vault_id', 'site_id', 'id'], references: [site] },
  observed_vms: {
    columns: ['vault_id', 'site_id', 'cloud_id', 'vm_id', 'report', 'item', 'observed_at:bigint'],
    primaryKey: ['vault_id', 'site_id', 'cloud_id', 'vm_id'], references: [site],
  },
  pairings: {
    columns: [
      'vault_id', 'id', 'name', 'primary_site_id', 'primary_cloud_id', 'recovery_site_id', 'recovery_cloud_id', 'policy', 'networks',
      'state', 'replica_address?', 'created_at:bigint',
    ],
    primaryKey: ['vault_id', 'id'],
    references: [
      [['vault_id', 'primary_site_id'], 'sites', ['vault_id', 'id']],
      [['vault_id', 'recovery_site_id'], 'sites', ['vault_id', 'id']],
    ],
  },
  jobs: {
    columns: [
      'vault_id', 'id', 'kind', 'target', 'started_by', 'started_at:bigint', 'ended_at:bigint?', 'state', 'request_digest', 'input',
      'last_seq:bigint',
    ],
    primaryKey: ['vault_id', 'id'], references: [vault],
  },
  job_graphs: { columns: ['vault_id', 'job_id', 'graph'], primaryKey: ['vault_id', 'job_id'], references: [job] },
  facts: { columns: ['vault_id', 'job_id', 'seq:bigint', 'fact'], primaryKey: ['vault_id', 'job_id', 'seq'], references: [job] },
  protected_vms: {
    columns: [
      'vault_id', 'id', 'pairing_id', 'vm_id', 'name', 'phase', 'active_location', 'epoch:bigint', 'busy_with?', 'created_at:bigint',
    ],
    primaryKey: ['vault_id', 'id'], unique: [['vault_id', 'vm_id']],
    references: [
      [['vault_id', 'pairing_id'], 'pairings', ['vault_id', 'id']],
      [['vault_id', 'busy_with'], 'jobs', ['vault_id', 'id']],
    ],
  },
  plans: {
    columns: ['vault_id', 'id', 'name', 'newest_version:bigint'],
    primaryKey: ['vault_id', 'id'], unique: [['vault_id', 'name']], references: [vault],
  },
  plan_versions: {
    columns: ['vault_id', 'plan_id', 'version:bigint', 'document', 'created_at:bigint', 'created_by'],
    primaryKey: ['vault_id', 'plan_id', 'version'], references: [[['vault_id', 'plan_id'], 'plans', ['vault_id', 'id']]],
  },
  settings: { columns: ['name', 'value'], primaryKey: ['name'] },
};

export const first: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const [name, table] of Object.entries(tables)) await create(db, name, table);
    await db.schema.createIndex('agents_of_site').on('agents').columns(['vault_id', 'site_id']).execute();
    await db.schema.createIndex('certificates_of_agent').on('certificates').column('agent_id').execute();
    await db.schema.createIndex('jobs_by_start').on('jobs').columns(['vault_id', 'started_at']).execute();
    await db.schema.createIndex('jobs_by_end').on('jobs').column('ended_at').execute();
    await db.schema.createIndex('protected_vms_of_pairing').on('protected_vms').columns(['vault_id', 'pairing_id']).execute();
    await db.schema.createIndex('protected_vms_of_job').on('protected_vms').columns(['vault_id', 'busy_with']).execute();
    // A pairing that failed gives its name up, else nobody could try again.
    await db.schema
      .createIndex('pairings_by_name')
      .unique()
      .on('pairings')
      .columns(['vault_id', 'name'])
      // The table is known to this migration only by name.
      .where('state' as never, '!=', 'failed' as never)
      .execute();
  },
};

async function create(db: Kysely<unknown>, name: string, table: Table): Promise<void> {
  let builder: CreateTableBuilder<string, string> = db.schema.createTable(name);
  for (const column of table.columns) {
    const mayBeNull = column.endsWith('?');
    const [columnName = '', type = 'text'] = column.replace('?', '').split(':');
    builder = builder.addColumn(columnName, type as ColumnDataType, (c) => (mayBeNull ? c : c.notNull()));
  }
  builder = builder.addPrimaryKeyConstraint(`${name}_key`, [...table.primaryKey] as [string, ...string[]]);
  for (const columns of table.unique ?? []) {
    builder = builder.addUniqueConstraint(`${name}_unique_${columns.join('_')}`, [...columns] as [string, ...string[]]);
  }
  for (const [columns, target, there] of table.references ?? []) {
    builder = builder.addForeignKeyConstraint(`${name}_of_${target}_by_${columns.join('_')}`, [...columns], target, [...there]);
  }
  await builder.execute();
}
