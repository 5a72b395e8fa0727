/**
 * VMs that replicated before the story of a site file begins. The file says where to; who is there, and with which certificates, a
 * file cannot know. So both ends stand as they would, and sending begins when the hosts of both are prepared for each other.
 */
import { PairingId, SiteId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import { nameUuid } from '../name-uuid.ts';
import type { ReplicationDefinition } from './site-model.ts';
import { notReplicated, type ReplicationRecord } from './vm-record.ts';
import type { VmStore } from './vm-store.ts';

const NOT_KNOWN = {
  siteId: SiteId.parse(nameUuid('a site of another site file')),
  pairingId: PairingId.parse(nameUuid('before any pairing')),
};

export function plantedReplication(replicates: ReplicationDefinition | null, now: number, writtenBytes: number): ReplicationRecord {
  if (replicates === null) return notReplicated;
  const { as, peer, policy } = replicates;
  const { siteId, pairingId } = NOT_KNOWN;
  const record = { ...notReplicated, state: 'replicating', health: 'normal', lastPointAt: now, policy } as const;
  if (as === 'primary') {
    const target = { siteId, ...peer };
    const sent = { confirmedBytes: writtenBytes, lastApplicationPointAt: null, preparedPointId: null, firstCopyBytes: null };
    return { ...record, mode: 'primary', primary: { target, pairingId, ...sent } };
  }
  const { cloudId } = peer;
  return {
    ...record,
    mode: 'replica',
    replica: { siteId, cloudId, pairingId, lastReceivedAt: now, preparedPointId: null, failover: null },
  };
}

/** The hosts of the cloud were prepared: what replicates with that peer by the site file sends and receives from now on. */
export function joinPlanted(vms: VmStore, { cloudId, pairingId, peer }: HostsPreparation, now: number): void {
  for (const vm of vms.changedSince(0)) {
    const { primary, replica } = vm.replication;
    if (vm.ref.cloudId !== cloudId) continue;
    if (primary?.pairingId === NOT_KNOWN.pairingId && primary.target.cloudId === peer.cloudId) {
      const target = { ...primary.target, siteId: peer.siteId };
      vms.put({ ...vm, replication: { ...vm.replication, primary: { ...primary, pairingId, target } }, dueAt: now });
    }
    if (replica?.pairingId === NOT_KNOWN.pairingId && replica.cloudId === peer.cloudId) {
      const known = { ...replica, siteId: peer.siteId, pairingId, lastReceivedAt: now };
      vms.put({ ...vm, replication: { ...vm.replication, replica: known } });
    }
  }
}
