/** Handlers: sites, their registration keys and agents, and what the agents report. */
import type { siteRoutes } from '../../shared/api/site-routes.ts';
import type { SiteAnswer } from '../../shared/api/sites.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { SiteId, type VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { formatRegistrationKey } from '../../shared/protocol/registration.ts';
import { hashSecret, newSecret } from '../store/secrets.ts';
import type { RegistrationKeyRow, Site } from '../store/store.ts';
import type { ApiPorts, Handlers } from './handler.ts';
import { observationAnswer, readLastHeard } from './observation.ts';
import { readNames } from './vault-names.ts';

const HOUR_MS = 3_600_000;

export function siteHandlers(ports: ApiPorts): Handlers<keyof typeof siteRoutes> {
  const { store, presence, clock, random, registration } = ports;

  return {
    async listSites({ caller }) {
      const sites = await store.sites.list(caller.vaultId);
      return { sites: await Promise.all(sites.map(siteAnswer)) };
    },

    async addSite({ caller, body }) {
      const site = { id: SiteId.parse(random.uuid()), vaultId: caller.vaultId, name: body.name, createdAt: clock.now() };
      await store.sites.create(site);
      ports.bell.ring(caller.vaultId, { type: 'site', siteId: site.id });
      return siteAnswer(site);
    },

    getSite: async ({ caller, params }) => siteAnswer(await findSite(caller.vaultId, params.siteId)),

    async makeRegistrationKey({ caller, params, body }) {
      const site = await findSite(caller.vaultId, params.siteId);
      const secret = newSecret(random);
      const now = clock.now();
      const row: RegistrationKeyRow = {
        hash: hashSecret(secret),
        vaultId: caller.vaultId,
        siteId: site.id,
        createdAt: now,
        createdBy: caller.user.id,
        expiresAt: now + body.hours * HOUR_MS,
        usedAt: null,
      };
      await store.sites.addRegistrationKey(row);
      const { address, authorityDigest } = registration;
      return {
        key: formatRegistrationKey({ v: 1, address, authorityDigest, secret }),
        siteId: site.id,
        expiresAt: isoMoment(row.expiresAt),
      };
    },

    async listRegistrationKeys({ caller, params }) {
      const site = await findSite(caller.vaultId, params.siteId);
      const users = new Map((await store.accounts.users(caller.vaultId)).map((user) => [user.id, user.name]));
      const rows = await store.sites.registrationKeys(caller.vaultId, site.id);
      return { registrationKeys: rows.map((row) => keyAnswer(row, users.get(row.createdBy) ?? '', clock.now())) };
    },

    async revokeAgent({ caller, params }) {
      if (!(await ports.revokeAgent(caller.vaultId, params.agentId))) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such agent');
    },

    async listClouds({ caller, query }) {
      const names = await readNames(store, caller.vaultId);
      const clouds = (await store.observations.clouds(caller.vaultId)).filter(({ siteId }) => isOf(query.site, siteId));
      return { clouds: clouds.map((cloud) => ({ ...cloud, siteName: names.site(cloud.siteId) })) };
    },

    async listNetworks({ caller, query }) {
      const names = await readNames(store, caller.vaultId);
      const networks = (await store.observations.networks(caller.vaultId)).filter(({ siteId }) => isOf(query.site, siteId));
      return { networks: networks.map((network) => ({ ...network, siteName: names.site(network.siteId) })) };
    },

    async listSiteVms({ caller, params, query }) {
      const site = await findSite(caller.vaultId, params.siteId);
      const names = await readNames(store, caller.vaultId);
      const lastHeard = await readLastHeard(store, presence, caller.vaultId);
      const where = { siteId: site.id, ...(query.cloud === undefined ? {} : { cloudId: query.cloud }) };
      const now = clock.now();
      const vms = (await store.observations.vms(caller.vaultId, where)).map((seen) => ({
        id: seen.report.ref.vmId,
        name: seen.report.name,
        networkIds: seen.report.networkIds,
        observation: observationAnswer(seen, names, lastHeard, now),
      }));
      return { vms: vms.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
    },
  };

  async function findSite(vaultId: VaultId, id: SiteId): Promise<Site> {
    const site = await store.sites.find(vaultId, id);
    if (site === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such site');
    return site;
  }

  async function siteAnswer({ id, vaultId, name, createdAt }: Site): Promise<SiteAnswer> {
    const agent = await store.sites.agentOf(vaultId, id);
    const enrolled = agent === null ? null : await store.enrolment.findAgent(agent.id);
    const lastHeardAt = presence.lastHeardAt(id) ?? agent?.lastSeenAt ?? null;
    return {
      id,
      name,
      createdAt: isoMoment(createdAt),
      isConnected: presence.isConnected(id),
      lastHeardAt: lastHeardAt === null ? null : isoMoment(lastHeardAt),
      agent:
        agent === null || enrolled === null
          ? null
          : {
              id: agent.id,
              version: agent.version,
              registeredAt: isoMoment(agent.registeredAt),
              certificateEndsAt: isoMoment(enrolled.certificateNotAfter),
            },
    };
  }
}

function isOf(wanted: SiteId | undefined, siteId: SiteId): boolean {
  return wanted === undefined || wanted === siteId;
}

function keyAnswer(row: RegistrationKeyRow, createdBy: string, now: number) {
  const { createdAt, expiresAt, usedAt } = row;
  const state = usedAt !== null ? ('used' as const) : expiresAt <= now ? ('expired' as const) : ('usable' as const);
  return {
    state,
    createdAt: isoMoment(createdAt),
    createdBy,
    expiresAt: isoMoment(expiresAt),
    usedAt: usedAt === null ? null : isoMoment(usedAt),
  };
}
