/** Clouds, hosts, storage and networks of a site, and how much of each host and storage is taken. */
import type { MappableNetwork } from '../../../shared/domain/network-map.ts';
import type { HostRoom } from '../../../shared/domain/placement.ts';
import type { CloudId, JobId, NetworkId } from '../../../shared/ids.ts';
import type { CloudView, NetworkView } from '../fabric.ts';
import type { SqliteDatabase } from './database.ts';
import type { CloudDefinition, SiteModel } from './site-model.ts';
import type { VmRecord } from './vm-record.ts';

/** Made by us while the site runs; it has no way out. */
export interface DrillNetwork extends MappableNetwork {
  readonly drill: JobId;
}

export class HostStore {
  readonly #sql;
  readonly #clouds: readonly CloudDefinition[];
  readonly #networks: readonly MappableNetwork[];

  /** Adds what the definition has and the database lacks; what is there already stays as it is. */
  constructor(database: SqliteDatabase, definition: SiteModel, nextVersion: () => number) {
    const addCloud = database.prepare('INSERT OR IGNORE INTO cloud (id, name, hosts, version) VALUES (?, ?, ?, ?)');
    const addNetwork = database.prepare('INSERT OR IGNORE INTO network (id, name, subnets, version) VALUES (?, ?, ?, ?)');
    const addHost = database.prepare(
      'INSERT OR IGNORE INTO host (name, core_limit, memory_bytes, network_ids, storage) VALUES (?, ?, ?, ?, ?)',
    );
    const addStorage = database.prepare('INSERT OR IGNORE INTO storage (name, capacity_bytes) VALUES (?, ?)');
    const isNew = (table: 'cloud' | 'network', id: string) => database.prepare(`SELECT 1 FROM ${table} WHERE id = ?`).get(id) === undefined;
    for (const { id, name, hosts } of definition.clouds)
      if (isNew('cloud', id)) addCloud.run(id, name, JSON.stringify(hosts), nextVersion());
    for (const { id, name, subnets } of definition.networks)
      if (isNew('network', id)) addNetwork.run(id, name, JSON.stringify(subnets), nextVersion());
    for (const host of definition.hosts)
      addHost.run(host.name, host.coreLimit, host.memoryBytes, JSON.stringify(host.networkIds), JSON.stringify(host.storage));
    for (const { name, capacityBytes } of definition.storage) addStorage.run(name, capacityBytes);

    this.#sql = {
      hosts: database.prepare<[], HostRow>('SELECT * FROM host ORDER BY name'),
      storage: database.prepare<[], { name: string; free: number }>(
        'SELECT name, capacity_bytes - used_bytes AS free FROM storage ORDER BY rowid',
      ),
      isUp: database.prepare<[string], { is_up: number }>('SELECT is_up FROM host WHERE name = ?'),
      setUp: database.prepare('UPDATE host SET is_up = ? WHERE name = ?'),
      take: database.prepare('UPDATE host SET cores_used = cores_used + ?, memory_bytes_used = memory_bytes_used + ? WHERE name = ?'),
      takeStorage: database.prepare('UPDATE storage SET used_bytes = used_bytes + ? WHERE name = ?'),
      clouds: database.prepare<[number], CloudView>('SELECT id, name FROM cloud WHERE version > ?'),
      drillNetworks: database.prepare<[], { drill: JobId; id: NetworkId; name: string; subnets: string }>('SELECT * FROM drill_network'),
      addDrillNetwork: database.prepare('INSERT INTO drill_network (drill, id, name, subnets) VALUES (?, ?, ?, ?)'),
      removeDrillNetwork: database.prepare('DELETE FROM drill_network WHERE drill = ?'),
      networks: database.prepare<[number], NetworkView>('SELECT id, name FROM network WHERE version > ?'),
    };
    this.#clouds = database
      .prepare<[], { id: CloudId; name: string; hosts: string }>('SELECT id, name, hosts FROM cloud')
      .all()
      .map((row) => ({ ...row, hosts: JSON.parse(row.hosts) as string[] }));
    this.#networks = database
      .prepare<[], { id: NetworkId; name: string; subnets: string }>('SELECT id, name, subnets FROM network')
      .all()
      .map((row) => ({ ...row, subnets: JSON.parse(row.subnets) as MappableNetwork['subnets'] }));
  }

  cloud(id: CloudId): CloudDefinition | null {
    return this.#clouds.find((cloud) => cloud.id === id) ?? null;
  }

  /** One that was made for a drill too. */
  network(id: NetworkId): MappableNetwork | null {
    return this.#networks.find((network) => network.id === id) ?? this.drillNetworks().find((network) => network.id === id) ?? null;
  }

  drillNetworks(): DrillNetwork[] {
    return this.#sql.drillNetworks.all().map((row) => ({ ...row, subnets: JSON.parse(row.subnets) as MappableNetwork['subnets'] }));
  }

  addDrillNetwork({ drill, id, name, subnets }: DrillNetwork): void {
    this.#sql.addDrillNetwork.run(drill, id, name, JSON.stringify(subnets));
  }

  removeDrillNetwork(drill: JobId): void {
    this.#sql.removeDrillNetwork.run(drill);
  }

  cloudsSince(version: number): CloudView[] {
    return this.#sql.clouds.all(version);
  }

  networksSince(version: number): NetworkView[] {
    return this.#sql.networks.all(version);
  }

  isUp(host: string): boolean {
    return this.#sql.isUp.get(host)?.is_up === 1;
  }

  setUp(host: string, isUp: boolean): void {
    this.#sql.setUp.run(isUp ? 1 : 0, host);
  }

  /** The room on the hosts of a cloud, with what `except` takes counted as free. */
  rooms(cloud: CloudDefinition, except: VmRecord | null = null): HostRoom[] {
    const storage = this.#sql.storage.all().map(({ name, free }) => ({
      classification: name,
      freeBytes: free + (except?.disks.reduce((sum, disk) => sum + (disk.storage === name ? disk.sizeBytes : 0), 0) ?? 0),
    }));
    return this.#sql.hosts
      .all()
      .filter(({ name }) => cloud.hosts.includes(name))
      .map((row) => {
        const reached = JSON.parse(row.storage) as string[];
        const isItsHost = row.name === except?.host;
        return {
          host: row.name,
          isUp: row.is_up === 1,
          coreLimit: row.core_limit,
          coresUsed: row.cores_used - (isItsHost ? except.cores : 0),
          memoryBytes: row.memory_bytes,
          memoryBytesUsed: row.memory_bytes_used - (isItsHost ? except.memoryBytes : 0),
          networkIds: JSON.parse(row.network_ids) as NetworkId[],
          storage: storage.filter(({ classification }) => reached.includes(classification)),
        };
      });
  }

  storageNames(): string[] {
    return this.#sql.storage.all().map(({ name }) => name);
  }

  /** Books what a VM takes, or with -1 gives it back. */
  occupy(vm: VmRecord, sign: 1 | -1): void {
    this.#sql.take.run(sign * vm.cores, sign * vm.memoryBytes, vm.host);
    for (const { sizeBytes, storage } of vm.disks) this.#sql.takeStorage.run(sign * sizeBytes, storage);
  }
}

interface HostRow {
  name: string;
  core_limit: number;
  memory_bytes: number;
  network_ids: string;
  storage: string;
  cores_used: number;
  memory_bytes_used: number;
  is_up: number;
}
