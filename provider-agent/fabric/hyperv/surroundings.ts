/**
 * What a Hyper-V site is made of beside its VMs: clouds, networks and their addresses, the list of VMs. Two know it: SCVMM, or where nobody
 * manages the hosts they themselves and `agent.yaml`.
 */
import type { CloudId, JobId, NetworkId, VmRef } from '../../../shared/ids.ts';
import type { Act, DrillNetworkView, InventoryChanges, NetworkExposure, NetworkMapping } from '../fabric.ts';
import type { Machine } from './hyperv-answers.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import type { AdapterPlan } from './network-plan.ts';

export interface Surroundings {
  clouds(): Promise<readonly HyperVCloud[]>;
  /** Of a network by the name that the module knows it by: that of a switch, or the id of a VM network. */
  readonly networkId: (name: string) => NetworkId;
  /** The name of a network for a VM on that host. Throws ERR_NETWORK_NOT_FOUND. */
  nameOf(cloudId: CloudId, host: string, networkId: NetworkId, act: Act): Promise<string>;

  readInventory(cursor: string | null): Promise<InventoryChanges>;
  /** Something was asked of the VM through the port. */
  noteChange(ref: VmRef): void;
  exposure(networkId: NetworkId): Promise<NetworkExposure | null>;

  /** The networks that a VM stands on, with its fixed addresses, for the notes that go with it to its replica. */
  sourcesOf(ref: VmRef, machine: Machine): Promise<string>;
  /** Where a failover connects each adapter of a replica, with addresses that are kept for it. Throws ERR_NETWORK_NOT_FOUND, ERR_NO_ADDRESS. */
  plansFor(ref: VmRef, machine: Machine, networks: readonly NetworkMapping[], act: Act): Promise<AdapterPlan[]>;

  drillNetworks(): Promise<readonly DrillNetworkView[]>;
  makeDrillNetwork(drill: JobId, like: NetworkId, act: Act): Promise<void>;
  removeDrillNetwork(drill: JobId, act: Act): Promise<void>;
}
