/** Certificates for replication as two real sites would have them: one vault root, an authority a site, a certificate a host. */
import { issueHostPfx, makeSiteRequest } from '../../certs/host-certificate.ts';
import { makeReplicationRoot, signSiteAuthority } from '../../certs/replication-root.ts';
import { makeRsaKey } from '../../certs/rsa-certificate.ts';
import type { HostCertificate, ReplicationHost } from '../../provider-agent/fabric/fabric.ts';
import type { SiteId } from '../../shared/ids.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';

export interface VaultCertificates {
  readonly rootPem: string;
  /** The issuer of one site's host certificates; the same host gets the same certificate again, keys being slow to make. */
  siteIssuer(siteId: SiteId): Promise<(hosts: readonly ReplicationHost[]) => Promise<readonly HostCertificate[]>>;
}

export async function makeVaultCertificates(): Promise<VaultCertificates> {
  const now = systemClock.now();
  const root = await makeReplicationRoot(now, systemRandom);
  const issuers = new Map<SiteId, (hosts: readonly ReplicationHost[]) => Promise<readonly HostCertificate[]>>();
  return {
    rootPem: root.certificate,
    async siteIssuer(siteId) {
      const known = issuers.get(siteId);
      if (known !== undefined) return known;
      const authorityKeyPem = await makeRsaKey();
      const authorityPem = signSiteAuthority(root, makeSiteRequest(authorityKeyPem), siteId, now, systemRandom);
      const chain = { siteId, authorityPem, authorityKeyPem, rootPem: root.certificate };
      const made = new Map<string, HostCertificate>();
      const issue = async (hosts: readonly ReplicationHost[]) => {
        for (const { host, dnsNames } of hosts) {
          if (made.has(host)) continue;
          const pfx = await issueHostPfx(chain, [dnsNames[0] ?? host, ...dnsNames.slice(1)], 'pass phrase', now, systemRandom);
          made.set(host, { host, pfx, passphrase: 'pass phrase' });
        }
        return hosts.flatMap(({ host }) => made.get(host) ?? []);
      };
      issuers.set(siteId, issue);
      return issue;
    },
  };
}
