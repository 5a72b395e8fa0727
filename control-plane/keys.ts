/**
 * The keys of an installation, in files that only its own account can read: the agents' authority, the replication root, and
 * one issuer key for each vault. Each is made the first time it is needed and is on disk before anyone hears of it.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority, makeAuthority } from '../certs/authority.ts';
import { keepKeyPair } from '../certs/key-files.ts';
import { makeReplicationRoot, signSiteAuthority } from '../certs/replication-root.ts';
import type { SiteId, VaultId } from '../shared/ids.ts';
import type { Clock, Random } from '../shared/ports.ts';
import { IssuerKey, makeIssuerKey } from './channel/issuer.ts';
import type { ReplicationAuthority } from './operations/compile.ts';

export class Keys {
  readonly authority: Authority;
  readonly replication: ReplicationAuthority;
  readonly #folder: string;
  readonly #issuers = new Map<VaultId, IssuerKey>();

  private constructor(folder: string, authority: Authority, replication: ReplicationAuthority) {
    this.#folder = folder;
    this.authority = authority;
    this.replication = replication;
  }

  static async open(folder: string, clock: Clock, random: Random): Promise<Keys> {
    const agents = await keepKeyPair(folder, 'agents-authority', () => makeAuthority(clock.now(), random));
    const root = await keepKeyPair(folder, 'replication-root', () => makeReplicationRoot(clock.now(), random));
    return new Keys(folder, await Authority.open(agents, random), {
      rootPem: root.certificate,
      signSite: async (csr: string, siteId: SiteId) => signSiteAuthority(root, csr, siteId, clock.now(), random),
    });
  }

  /** The key whose signature the agents of the vault accept. */
  issuerOf(vaultId: VaultId): IssuerKey {
    const known = this.#issuers.get(vaultId) ?? new IssuerKey(this.#keptIssuer(vaultId));
    this.#issuers.set(vaultId, known);
    return known;
  }

  #keptIssuer(vaultId: VaultId): string {
    const path = join(this.#folder, `issuer-${vaultId}.key.pem`);
    if (existsSync(path)) return readFileSync(path, 'utf8');
    const made = makeIssuerKey();
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = openSync(`${path}.new`, 'w', 0o600);
    writeFileSync(file, made);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    return made;
  }
}
