/**
 * What is shown of a VM at a site: the last report with its age, and `unknown` once it is past its freshness, never an old
 * truth. Agents report what changes, so a report holds for as long as its agent is heard.
 */
import { FRESH_SECONDS, type Observation } from '../../shared/api/sites.ts';
import type { SiteId, VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Presence } from '../operations/operations.ts';
import type { Store, VmObservation } from '../store/store.ts';
import type { VaultNames } from './vault-names.ts';

/** When the agent of each site was last heard, by this process or an earlier one. */
export type LastHeard = (siteId: SiteId) => number | null;

export async function readLastHeard(store: Store, presence: Presence, vaultId: VaultId): Promise<LastHeard> {
  const seen = new Map<SiteId, number>();
  for (const { siteId, lastSeenAt } of await store.sites.agents(vaultId)) {
    if (lastSeenAt !== null) seen.set(siteId, Math.max(lastSeenAt, seen.get(siteId) ?? 0));
  }
  return (siteId) => presence.lastHeardAt(siteId) ?? seen.get(siteId) ?? null;
}

export function observationAnswer(seen: VmObservation, names: VaultNames, lastHeard: LastHeard, now: number): Observation {
  const { siteId, report, observedAt } = seen;
  const { cloudId } = report.ref;
  const verifiedAt = Math.max(observedAt, lastHeard(siteId) ?? 0);
  const ageSeconds = Math.max(0, Math.floor((now - verifiedAt) / 1000));
  const isFresh = ageSeconds <= FRESH_SECONDS;
  const { mode, state, health, lastPointAt, firstCopyAt, measure } = report.replication;
  return {
    siteId,
    siteName: names.site(siteId),
    cloudId,
    cloudName: names.cloud({ siteId, cloudId }),
    isFresh,
    power: isFresh ? report.power : 'unknown',
    replication: isFresh ? { mode, state, health } : { mode: 'unknown', state: 'unknown', health: 'unknown' },
    lastPointAt,
    firstCopyAt: isFresh ? (firstCopyAt ?? null) : null,
    measure: measure ?? null,
    epoch: report.epoch,
    observedAt: isoMoment(observedAt),
    verifiedAt: isoMoment(verifiedAt),
    ageSeconds,
  };
}
