/** How the hosts of each cloud were prepared for a pairing: certificates, root and peer. Kept in the database, keys and all (mode 0600). */
import type { CloudId, PairingId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import type { SqliteDatabase } from './database.ts';

export class PreparationStore {
  readonly #sql;
  /** As last read; null after a change. */
  #known: readonly HostsPreparation[] | null = null;

  constructor(database: SqliteDatabase) {
    this.#sql = {
      put: database.prepare('INSERT OR REPLACE INTO preparation (pairing_id, cloud_id, preparation) VALUES (?, ?, ?)'),
      remove: database.prepare('DELETE FROM preparation WHERE pairing_id = ? AND cloud_id = ?'),
      all: database.prepare<[], { preparation: string }>('SELECT preparation FROM preparation'),
    };
  }

  put(preparation: HostsPreparation): void {
    const certificates = preparation.certificates.map((certificate) => ({
      ...certificate,
      pfx: Buffer.from(certificate.pfx).toString('base64'),
    }));
    this.#known = null;
    this.#sql.put.run(preparation.pairingId, preparation.cloudId, JSON.stringify({ ...preparation, certificates }));
  }

  remove(pairingId: PairingId, cloudId: CloudId): void {
    this.#known = null;
    this.#sql.remove.run(pairingId, cloudId);
  }

  all(): readonly HostsPreparation[] {
    this.#known ??= this.#sql.all.all().map((row) => {
      const stored = JSON.parse(row.preparation) as Omit<HostsPreparation, 'certificates'> & {
        certificates: { host: string; pfx: string; passphrase: string }[];
      };
      const certificates = stored.certificates.map((certificate) => ({
        ...certificate,
        pfx: new Uint8Array(Buffer.from(certificate.pfx, 'base64')),
      }));
      return { ...stored, certificates };
    });
    return this.#known;
  }
}
