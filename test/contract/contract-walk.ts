/** The pair that a driver of the fabric port hands in, and the ways that sentences of its contract begin with. */
import assert from 'node:assert/strict';
import type {
  Act,
  Fabric,
  HostCertificate,
  HostsPreparation,
  ReplicaTarget,
  ReplicationHost,
  ReplicationMeasure,
  VmView,
} from '../../provider-agent/fabric/fabric.ts';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { type CloudId, CommandId, type NetworkId, PairingId, type SiteId, type VmRef } from '../../shared/ids.ts';

export interface ContractSide {
  readonly fabric: Fabric;
  readonly siteId: SiteId;
  readonly cloudId: CloudId;
  readonly networkId: NetworkId;
  issue(hosts: readonly ReplicationHost[]): Promise<readonly HostCertificate[]>;
}

export interface ContractPair {
  /** Carries the VMs. */
  readonly primary: ContractSide;
  readonly recovery: ContractSide;
  /** Two running VMs of the primary cloud, each with an adapter on the primary network. */
  readonly vms: readonly [VmRef, VmRef];
  /** A network of the recovery side that leads nowhere. */
  readonly isolatedId: NetworkId;
  readonly rootPem: string;
  /** The time of the pair; milliseconds since 1970. */
  now(): number;
  /** Waits until it is true, in the time of the pair, with a limit. */
  until(condition: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

/** What the fabric does not know it knows neither of. */
export const isAtMost = (some: number | null, most: number | null): boolean =>
  some === null || most === null ? some === most : some <= most;

export const policy = { ...defaultPolicy, copyFrequencySeconds: 30 as const };
export const pairingId = PairingId.parse('4c8d34c1-0a3e-4f0c-8c46-9ac2dfb4d6a0');

interface Targets {
  readonly there: ReplicaTarget;
  readonly back: ReplicaTarget;
}

/** `pairNow` is asked at each step: every sentence has a pair of its own. */
export function walkOf(pairNow: () => ContractPair) {
  let acts = 0;
  const prepared = new WeakMap<ContractPair, Targets>();
  const act = (): Act => ({ commandId: CommandId.parse(`job/step/${++acts}`), epoch: 1 });
  const atRecovery = (ref: VmRef): VmRef => ({ cloudId: pairNow().recovery.cloudId, vmId: ref.vmId });
  const viewOf = async (side: ContractSide, ref: VmRef): Promise<VmView> => {
    const view = await side.fabric.findVm(ref);
    assert.ok(view, 'the VM is there');
    return view;
  };
  const measureAt = async ({ fabric, cloudId }: ContractSide, { vmId }: VmRef): Promise<ReplicationMeasure | undefined> =>
    (await fabric.readInventory(null)).vms.find(({ ref }) => ref.vmId === vmId && ref.cloudId === cloudId)?.replication.measure;

  async function preparationOf(side: ContractSide, other: ContractSide): Promise<HostsPreparation> {
    const certificates = await side.issue(await side.fabric.replicationHosts(side.cloudId));
    return {
      pairingId,
      cloudId: side.cloudId,
      authentication: 'certificate',
      port: null,
      certificates,
      rootPem: pairNow().rootPem,
      peer: { siteId: other.siteId, cloudId: other.cloudId },
    };
  }

  /** Answers how the other side names it as a target. */
  async function prepareSide(side: ContractSide, other: ContractSide): Promise<ReplicaTarget> {
    const { address } = await side.fabric.prepareHosts(await preparationOf(side, other), act());
    assert.ok(address, 'the side says where it receives replicas');
    return { siteId: side.siteId, cloudId: side.cloudId, address };
  }

  async function prepare(): Promise<ReplicaTarget> {
    const { primary, recovery } = pairNow();
    await prepareSide(primary, recovery);
    return prepareSide(recovery, primary);
  }

  /** Both sides as targets of each other; a pair is prepared once, since preparing again gives it other certificates. */
  async function targets(): Promise<Targets> {
    const { primary, recovery } = pairNow();
    const known = prepared.get(pairNow());
    if (known !== undefined) return known;
    const made = { back: await prepareSide(primary, recovery), there: await prepareSide(recovery, primary) };
    prepared.set(pairNow(), made);
    return made;
  }

  async function enable(ref: VmRef): Promise<VmRef> {
    await pairNow().primary.fabric.enableReplication(ref, (await targets()).there, policy, act());
    return atRecovery(ref);
  }

  async function replicate(ref: VmRef): Promise<VmRef> {
    const replica = await enable(ref);
    await pairNow().recovery.fabric.configureReplica(
      replica,
      [{ from: pairNow().primary.networkId, to: pairNow().recovery.networkId }],
      act(),
    );
    await pairNow().primary.fabric.startInitialReplication(ref, firstCopyNow, act());
    await pairNow().until(async () => (await viewOf(pairNow().primary, ref)).replication.state === 'replicating');
    return replica;
  }

  /** The moment is another one afterwards, also where time stands still between two looks. */
  async function later(): Promise<void> {
    let looks = 0;
    await pairNow().until(async () => looks++ > 0);
  }

  async function unchangedBy(side: ContractSide, ref: VmRef, call: () => Promise<unknown>, code: string): Promise<void> {
    const before = await side.fabric.findVm(ref);
    await assert.rejects(call, { code });
    assert.deepEqual(await side.fabric.findVm(ref), before, 'a refused call changes nothing');
  }

  return { act, atRecovery, viewOf, measureAt, prepare, targets, enable, later, replicate, unchangedBy };
}
