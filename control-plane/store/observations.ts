/**
 * What agents report about their sites. Each thing is stored with its hash, and the sum of the hashes with the site, so a
 * report costs in proportion to what it names, however large the site is.
 */
import { createHash } from 'node:crypto';
import type { CloudId, NetworkId, SiteId, VaultId, VmId, VmRef } from '../../shared/ids.ts';
import type { AgentMessage, VmReport } from '../../shared/protocol/egress.ts';
import { cloudItem, InventoryDigest, networkItem, type Sha256, vmItem } from '../../shared/protocol/inventory-digest.ts';
import { inBatches } from './batches.ts';
import type { Connection, Query } from './connection.ts';
import { requireSite } from './sites.ts';
import type { Cloud, Network, ObservationStore, VmObservation } from './store.ts';
import { raiseEpochs } from './vm-epochs.ts';

type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;
type Place = { readonly vault_id: VaultId; readonly site_id: SiteId };

const sha256: Sha256 = (text) => createHash('sha256').update(text).digest();
const toHex = (item: Uint8Array): string => Buffer.from(item).toString('hex');
const fromHex = (item: string): Uint8Array => Buffer.from(item, 'hex');

export class Observations implements ObservationStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  take(vaultId: VaultId, siteId: SiteId, message: InventoryMessage, at: number): Promise<{ readonly digest: string }> {
    const place: Place = { vault_id: vaultId, site_id: siteId };
    return this.#connection.write(async (db) => {
      await requireSite(db, vaultId, siteId);
      if (message.full) await forget(db, place);
      const sum = await sumOf(db, place);
      await takeNamed(
        db,
        'clouds',
        place,
        message.clouds.map((cloud) => ({ ...cloud, item: cloudItem(cloud, sha256) })),
        sum,
      );
      await takeNamed(
        db,
        'networks',
        place,
        message.networks.map((network) => ({ ...network, item: networkItem(network, sha256) })),
        sum,
      );
      await dropVms(db, place, [...message.removedVms, ...message.vms.map((vm) => vm.ref)], sum);
      await addVms(db, place, message.vms, at, sum);
      await raiseEpochs(db, vaultId, newestEpochs(message.vms));
      const digest = sum.toString();
      await db.updateTable('sites').set({ inventory_digest: digest }).where('vault_id', '=', vaultId).where('id', '=', siteId).execute();
      return { digest };
    });
  }

  digest(vaultId: VaultId, siteId: SiteId): Promise<string | null> {
    return this.#connection.read(async (db) => {
      const mine = db.selectFrom('sites').select('inventory_digest').where('vault_id', '=', vaultId);
      return (await mine.where('id', '=', siteId).executeTakeFirst())?.inventory_digest ?? null;
    });
  }

  clouds(vaultId: VaultId): Promise<Cloud[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('clouds').selectAll().where('vault_id', '=', vaultId).orderBy('name').execute();
      return rows.map(({ site_id, id, name }) => ({ siteId: site_id, id, name }));
    });
  }

  networks(vaultId: VaultId): Promise<Network[]> {
    return this.#connection.read(async (db) => {
      const rows = await db.selectFrom('networks').selectAll().where('vault_id', '=', vaultId).orderBy('name').execute();
      return rows.map(({ site_id, id, name }) => ({ siteId: site_id, id, name }));
    });
  }

  vms(
    vaultId: VaultId,
    where: { readonly siteId?: SiteId; readonly cloudId?: CloudId; readonly vmIds?: readonly VmId[] } = {},
  ): Promise<VmObservation[]> {
    const { siteId, cloudId, vmIds } = where;
    return this.#connection.read(async (db) => {
      let mine = db.selectFrom('observed_vms').select(['site_id', 'report', 'observed_at']).where('vault_id', '=', vaultId);
      if (siteId !== undefined) mine = mine.where('site_id', '=', siteId);
      if (cloudId !== undefined) mine = mine.where('cloud_id', '=', cloudId);
      const rows = vmIds === undefined ? await mine.execute() : await inBatches(vmIds, (some) => mine.where('vm_id', 'in', some).execute());
      return rows.map(({ site_id, report, observed_at }) => ({
        siteId: site_id,
        report: JSON.parse(report) as VmReport,
        observedAt: observed_at,
      }));
    });
  }
}

/** The report that follows begins with nothing. */
async function forget(db: Query, { vault_id, site_id }: Place): Promise<void> {
  for (const table of ['clouds', 'networks', 'observed_vms'] as const) {
    await db.deleteFrom(table).where('vault_id', '=', vault_id).where('site_id', '=', site_id).execute();
  }
  await db.updateTable('sites').set({ inventory_digest: null }).where('vault_id', '=', vault_id).where('id', '=', site_id).execute();
}

async function sumOf(db: Query, { vault_id, site_id }: Place): Promise<InventoryDigest> {
  const mine = db.selectFrom('sites').select('inventory_digest').where('vault_id', '=', vault_id);
  return new InventoryDigest((await mine.where('id', '=', site_id).executeTakeFirst())?.inventory_digest ?? undefined);
}

type Named<I> = { readonly id: I; readonly name: string; readonly item: Uint8Array };

async function takeNamed(
  db: Query,
  table: 'clouds' | 'networks',
  { vault_id, site_id }: Place,
  named: readonly Named<CloudId | NetworkId>[],
  sum: InventoryDigest,
): Promise<void> {
  // The last of an id counts.
  for (const { id, name, item } of new Map(named.map((one) => [one.id, one])).values()) {
    // Both tables have the same columns and differ only in the brand of their ids.
    const mine = db
      .selectFrom(table as 'clouds')
      .select('item')
      .where('vault_id', '=', vault_id)
      .where('site_id', '=', site_id);
    const before = await mine.where('id', '=', id as CloudId).executeTakeFirst();
    if (before !== undefined) sum.remove(fromHex(before.item));
    sum.add(item);
    const row = { vault_id, site_id, id: id as CloudId, name, item: toHex(item) };
    const changes = { name, item: row.item };
    const insert = db.insertInto(table as 'clouds').values(row);
    await insert.onConflict((conflict) => conflict.columns(['vault_id', 'site_id', 'id']).doUpdateSet(changes)).execute();
  }
}

async function dropVms(db: Query, { vault_id, site_id }: Place, refs: readonly VmRef[], sum: InventoryDigest): Promise<void> {
  for (const [cloudId, group] of Map.groupBy(refs, (ref) => ref.cloudId)) {
    const ids = [...new Set(group.map((ref) => ref.vmId))];
    const dropped = await inBatches(ids, (some) =>
      db
        .deleteFrom('observed_vms')
        .where('vault_id', '=', vault_id)
        .where('site_id', '=', site_id)
        .where('cloud_id', '=', cloudId)
        .where('vm_id', 'in', some)
        .returning('item')
        .execute(),
    );
    for (const { item } of dropped) sum.remove(fromHex(item));
  }
}

async function addVms(db: Query, place: Place, reports: readonly VmReport[], at: number, sum: InventoryDigest): Promise<void> {
  const newest = new Map(reports.map((report) => [`${report.ref.cloudId}/${report.ref.vmId}`, report]));
  const rows = [...newest.values()].map((report) => {
    const item = vmItem(report, sha256);
    sum.add(item);
    return {
      ...place,
      cloud_id: report.ref.cloudId,
      vm_id: report.ref.vmId,
      report: JSON.stringify(report),
      item: toHex(item),
      observed_at: at,
    };
  });
  await inBatches(rows, (some) => db.insertInto('observed_vms').values(some).execute());
}

/** Those that stand with VMs at the site. */
function newestEpochs(reports: readonly VmReport[]): Map<VmId, number> {
  const epochs = new Map<VmId, number>();
  for (const { ref, epoch } of reports) if (epoch > (epochs.get(ref.vmId) ?? 0)) epochs.set(ref.vmId, epoch);
  return epochs;
}
