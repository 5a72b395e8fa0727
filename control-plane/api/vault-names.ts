/** The names that people know the ids of a vault by, read once for an answer. An id that nobody named is shown as empty. */
import type { CloudId, NetworkId, SiteId, VaultId } from '../../shared/ids.ts';
import type { CloudRef } from '../store/promise-store.ts';
import type { Store } from '../store/store.ts';

export interface VaultNames {
  site(id: SiteId): string;
  cloud(ref: CloudRef): string;
  network(siteId: SiteId, id: NetworkId): string;
}

export async function readNames(store: Store, vaultId: VaultId): Promise<VaultNames> {
  const [sites, clouds, networks] = await Promise.all([
    store.sites.list(vaultId),
    store.observations.clouds(vaultId),
    store.observations.networks(vaultId),
  ]);
  const names = new Map<string, string>(sites.map(({ id, name }) => [id, name]));
  const key = (siteId: SiteId, id: CloudId | NetworkId) => `${siteId}/${id}`;
  for (const { siteId, id, name } of [...clouds, ...networks]) names.set(key(siteId, id), name);
  return {
    site: (id) => names.get(id) ?? '',
    cloud: ({ siteId, cloudId }) => names.get(key(siteId, cloudId)) ?? '',
    network: (siteId, id) => names.get(key(siteId, id)) ?? '',
  };
}
