/** The certificates of this host, one for each pairing, as files for QEMU; written again when the site was given others. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CloudId, PairingId } from '../../../shared/ids.ts';
import type { Book } from '../site/machinery.ts';
import { subjectOf, writeCredentials } from './credentials.ts';
import { failed } from './qemu-error.ts';

export interface HostCredentials {
  readonly folder: string;
  /** As the other end has to compare it. */
  readonly subject: string;
}

export class HostIdentity {
  readonly #root: string;
  readonly #host: string;
  readonly #written = new Map<string, { readonly digest: string; readonly credentials: HostCredentials }>();

  constructor(root: string, host: string) {
    this.#root = root;
    this.#host = host;
  }

  async under(pairingId: PairingId, cloudId: CloudId, { preparations }: Pick<Book, 'preparations'>): Promise<HostCredentials> {
    const preparation = preparations.all().find((each) => each.pairingId === pairingId && each.cloudId === cloudId);
    const certificate = preparation?.certificates.find(({ host }) => host === this.#host);
    if (preparation === undefined || certificate === undefined)
      throw failed('AccessDenied', `the host ${this.#host} has no certificate for that pairing`);
    const key = createHash('sha256').update(`${pairingId} ${cloudId}`).digest('hex').slice(0, 12);
    const digest = createHash('sha256').update(certificate.pfx).update(preparation.rootPem).digest('hex');
    const known = this.#written.get(key);
    if (known?.digest === digest) return known.credentials;
    const folder = join(this.#root, `tls-${key}`);
    await writeCredentials(folder, certificate, preparation.rootPem);
    const credentials = { folder, subject: subjectOf(await readFile(join(folder, 'client-cert.pem'), 'utf8')) };
    this.#written.set(key, { digest, credentials });
    return credentials;
  }
}
