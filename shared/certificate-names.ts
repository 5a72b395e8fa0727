/**
 * The names that our certificates carry, in one place, so that who issues and who checks agree. An agent is named by a
 * URI in its certificate; a site by a URI in each host's certificate *and* by the common name of the authority that
 * signed it. The second is what counts: the control plane signed it, while a site writes its hosts' certificates itself.
 */
import { AgentId, SiteId } from './ids.ts';

const AGENT_URI = 'urn:farshore:agent:';
const SITE_URI = 'urn:farshore:site:';
const AUTHORITY_NAME = 'farshore replication ';

export const agentUri = (agentId: AgentId): string => AGENT_URI + agentId;
export const siteUri = (siteId: SiteId): string => SITE_URI + siteId;
export const replicationAuthorityName = (siteId: SiteId): string => AUTHORITY_NAME + siteId;

/** The agent a verified client certificate names; takes Node's `subjectaltname`. Null when it names none or several. */
export function agentIdIn(subjectAltName: string | undefined): AgentId | null {
  return AgentId.safeParse(onlyUri(subjectAltName, AGENT_URI)).data ?? null;
}

/**
 * The site that a verified peer's host certificate speaks for; null when its issuer is no site authority or the two
 * names differ. Takes Node's `subjectaltname` and the common name of the issuer.
 */
export function siteIdOfHost(subjectAltName: string | undefined, issuerCommonName: string | undefined): SiteId | null {
  const named = SiteId.safeParse(onlyUri(subjectAltName, SITE_URI)).data;
  return named !== undefined && issuerCommonName === replicationAuthorityName(named) ? named : null;
}

function onlyUri(subjectAltName: string | undefined, prefix: string): string | null {
  // Node quotes a name that holds a comma or a quote: none of ours does, and such a one could fake an entry.
  if (subjectAltName === undefined || subjectAltName.includes('"')) return null;
  const found = subjectAltName.split(', ').filter((entry) => entry.startsWith(`URI:${prefix}`));
  return found.length === 1 ? (found[0]?.slice(`URI:${prefix}`.length) ?? null) : null;
}
