/**
 * The site's own replication authority. Its key is made once and never leaves the data folder; the control plane signs
 * it by its public key alone, and the site issues its hosts' certificates itself, so the names of hosts stay here.
 */
import { join } from 'node:path';
import { makePrivateFolder, readTextIfThere, writeFileDurably } from '../../certs/key-files.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId } from '../../shared/ids.ts';
import type { Clock, Random } from '../../shared/ports.ts';

const KEY_FILE = 'replication-authority.key.pem';

/** A host or broker and the names its certificate must carry; what the fabric says of them. */
export interface NamedHost {
  readonly host: string;
  readonly dnsNames: readonly string[];
}

/** PKCS#12 with certificate, key and chain, and the pass phrase that opens it; what the fabric takes. */
export interface HostPfx {
  readonly host: string;
  readonly pfx: Uint8Array;
  readonly passphrase: string;
}

export interface SiteAuthorityParts {
  readonly dataDir: string;
  readonly siteId: SiteId;
  readonly clock: Clock;
  readonly random: Random;
}

export class SiteAuthority {
  readonly #parts: SiteAuthorityParts;
  #key: Promise<string> | null = null;

  constructor(parts: SiteAuthorityParts) {
    this.#parts = parts;
  }

  /** The request (PEM) for the authority's certificate: always for the same key. */
  async requestCsr(): Promise<string> {
    const { makeSiteRequest } = await import('../../certs/host-certificate.ts');
    return makeSiteRequest(await this.#keepKey());
  }

  /** A new certificate for each host. Throws ERR_MESSAGE_INVALID when the authority is not this site's or not under the root. */
  async issueHostCertificates(authorityPem: string, rootPem: string, hosts: readonly NamedHost[]): Promise<HostPfx[]> {
    const { isSiteAuthority, issueHostPfx } = await import('../../certs/host-certificate.ts');
    const { siteId, clock, random } = this.#parts;
    const chain = { siteId, authorityPem, rootPem, authorityKeyPem: await this.#keepKey() };
    if (!isSiteAuthority(chain)) {
      throw new FarshoreError('ERR_MESSAGE_INVALID', "the replication authority in the command is not this site's");
    }
    const issued: HostPfx[] = [];
    for (const { host, dnsNames } of hosts) {
      const passphrase = Buffer.from(random.bytes(24)).toString('base64url');
      const names: [string, ...string[]] = [dnsNames[0] ?? host, ...dnsNames.slice(1)];
      issued.push({ host, passphrase, pfx: await issueHostPfx(chain, names, passphrase, clock.now(), random) });
    }
    return issued;
  }

  /** Two pairings may ask at once; there is one key. */
  #keepKey(): Promise<string> {
    this.#key ??= this.#readOrMakeKey().catch((error: unknown) => {
      this.#key = null;
      throw error;
    });
    return this.#key;
  }

  async #readOrMakeKey(): Promise<string> {
    const path = join(this.#parts.dataDir, KEY_FILE);
    const kept = await readTextIfThere(path);
    if (kept !== null) return kept;
    const { makeRsaKey } = await import('../../certs/rsa-certificate.ts');
    const made = await makeRsaKey();
    await makePrivateFolder(this.#parts.dataDir);
    await writeFileDurably(path, made);
    return made;
  }
}
