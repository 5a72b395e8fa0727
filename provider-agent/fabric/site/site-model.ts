/** A site as its description makes it, whatever its machines are: names are ids by now, and every VM is written out. */
import type { MappableNetwork } from '../../../shared/domain/network-map.ts';
import type { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import type { CloudId, NetworkId, VmId } from '../../../shared/ids.ts';
import type { Traits } from './vm-record.ts';

export interface CloudDefinition {
  readonly id: CloudId;
  readonly name: string;
  readonly hosts: readonly string[];
}

export interface NetworkDefinition extends MappableNetwork {
  readonly isIsolated: boolean;
}

export interface HostDefinition {
  readonly name: string;
  readonly coreLimit: number;
  readonly memoryBytes: number;
  readonly networkIds: readonly NetworkId[];
  /** Names that its replication certificate must carry. */
  readonly dnsNames: readonly string[];
  readonly storage: readonly string[];
}

export interface AdapterDefinition {
  readonly networkId: NetworkId;
  readonly subnet: string;
  /** Null is DHCP. */
  readonly address: string | null;
}

export interface VmDefinition {
  readonly id: VmId;
  readonly cloudId: CloudId;
  readonly name: string;
  readonly host: string | null;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly disks: readonly { readonly sizeBytes: number; readonly storage: string }[];
  readonly adapters: readonly AdapterDefinition[];
  readonly changeBytesPerSecond: number;
  readonly isRunning: boolean;
  readonly traits: Traits;
  readonly tags: readonly string[];
  /** Null: it does not replicate when the site begins. */
  readonly replicates: ReplicationDefinition | null;
}

export type ReplicationDefinition = { readonly policy: ProtectionPolicy } & (
  | { readonly as: 'primary'; readonly peer: { readonly cloudId: CloudId; readonly address: string } }
  | { readonly as: 'replica'; readonly peer: { readonly cloudId: CloudId } }
);

export interface SiteModel {
  readonly name: string;
  readonly clouds: readonly CloudDefinition[];
  readonly hosts: readonly HostDefinition[];
  readonly storage: readonly { readonly name: string; readonly capacityBytes: number }[];
  readonly networks: readonly NetworkDefinition[];
  readonly vms: readonly VmDefinition[];
  /** Where replicas are received, and how soon a primary tries again that could not send. */
  readonly replication: {
    readonly listen: { readonly host: string; readonly port: number };
    readonly retryAfterMs: number;
  };
}
