/** Who holds or has reserved which address of which network. */
import type { NetworkId, VmRef } from '../../../shared/ids.ts';
import type { SqliteDatabase } from './database.ts';

export class AddressBook {
  readonly #sql;

  constructor(database: SqliteDatabase) {
    this.#sql = {
      find: database.prepare<[string, string], { vm_id: string }>('SELECT vm_id FROM address WHERE network_id = ? AND address = ?'),
      all: database.prepare<[string], { address: string }>('SELECT address FROM address WHERE network_id = ?'),
      add: database.prepare('INSERT OR IGNORE INTO address (network_id, address, cloud_id, vm_id) VALUES (?, ?, ?, ?)'),
      release: database.prepare('DELETE FROM address WHERE cloud_id = ? AND vm_id = ?'),
    };
  }

  /** Tells of the addresses of one network. The first question is looked up, for more of them the network is read once. */
  takenIn(networkId: NetworkId): (address: string) => boolean {
    let asked = 0;
    let all: Set<string> | undefined;
    return (address) => {
      if (asked++ === 0) return this.#sql.find.get(networkId, address) !== undefined;
      all ??= new Set(this.#sql.all.all(networkId).map((row) => row.address));
      return all.has(address);
    };
  }

  reserve(networkId: NetworkId, address: string, { cloudId, vmId }: VmRef): void {
    this.#sql.add.run(networkId, address, cloudId, vmId);
  }

  release({ cloudId, vmId }: VmRef): void {
    this.#sql.release.run(cloudId, vmId);
  }
}
