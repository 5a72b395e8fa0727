/** The hosts of a cloud made ready to replicate with another site, by certificate or by Kerberos, and released. */
import type { CloudId, PairingId } from '../../../shared/ids.ts';
import type { Act, HostCertificate, HostsPreparation, ReplicaTarget, ReplicationHost } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import type { HyperVCloud, HyperVConfig } from './hyperv-config.ts';
import type { ModuleCalls } from './module-calls.ts';
import { onEach } from './on-each.ts';
import type { Preparation, Preparations } from './preparations.ts';

const PORTS = { certificate: 443, kerberos: 80 } as const;

export class HostPreparation {
  readonly #calls: ModuleCalls;
  readonly #senders: HyperVConfig['senders'];
  readonly #preparations: Preparations;

  constructor(calls: ModuleCalls, senders: HyperVConfig['senders'], preparations: Preparations) {
    this.#calls = calls;
    this.#senders = senders;
    this.#preparations = preparations;
  }

  /** Each with its own name and that of the server which replicas are sent to: a broker stands on any of them. */
  async named(cloudId: CloudId): Promise<ReplicationHost[]> {
    const { hosts, replicaServer, cluster } = await this.#cloud(cloudId);
    return hosts.map((host) => ({ host, dnsNames: cluster === null || host === replicaServer ? [host] : [host, replicaServer] }));
  }

  async prepare(preparation: HostsPreparation, { signal }: Act): Promise<{ readonly address: string }> {
    const { pairingId, cloudId, peer, authentication, rootPem } = preparation;
    const port = preparation.port ?? PORTS[authentication];
    const cloud = await this.#cloud(cloudId);
    const senders = this.#senders.find(({ site }) => site === peer.siteId)?.hosts;
    if (senders === undefined)
      throw refusal('InvalidParameter', `agent.yaml names no senders of the site ${peer.siteId}: add its hosts under fabric.senders`);
    await this.#prepareBroker(cloud, signal);
    // First, so that a release finds what a preparation has left that came half way.
    await this.#preparations.change((all) => [...without(all, pairingId, cloudId), { pairingId, cloudId, peer }]);
    const common = { Port: port, StorageLocation: cloud.replicaStorage, Sender: senders, TrustGroup: trustGroup(peer.siteId) };
    await onEach(cloud.hosts, async (host) => {
      const identity =
        authentication === 'kerberos' ? { Authentication: 'Kerberos' } : byCertificate(host, preparation.certificates, rootPem);
      await this.#calls.ofHost('Initialize-FarshoreHost', cloud, host, { ...common, ...identity }, signal);
    });
    return { address: `${cloud.replicaServer}:${port}` };
  }

  async release(pairingId: PairingId, cloudId: CloudId, { signal }: Act): Promise<void> {
    const cloud = await this.#calls.cloud(cloudId);
    const released = this.#preparations.all().find((each) => each.pairingId === pairingId && each.cloudId === cloudId);
    if (released === undefined) return;
    const others = without(this.#preparations.all(), pairingId, cloudId);
    const { siteId } = released.peer;
    if (!others.some((each) => each.cloudId === cloudId && each.peer.siteId === siteId))
      await onEach(cloud.hosts, (host) =>
        this.#calls.ofHost('Clear-FarshoreHost', cloud, host, { TrustGroup: trustGroup(siteId) }, signal),
      );
    await this.#preparations.change((all) => without(all, pairingId, cloudId));
  }

  /** Throws ERR_NOT_PREPARED. */
  refuseUnlessPrepared(cloudId: CloudId, { siteId, cloudId: peerCloudId }: ReplicaTarget): void {
    const isPrepared = this.#preparations
      .all()
      .some((each) => each.cloudId === cloudId && each.peer.siteId === siteId && each.peer.cloudId === peerCloudId);
    if (!isPrepared)
      throw new FabricError(
        'ERR_NOT_PREPARED',
        'AccessDenied',
        'EnableVMReplication',
        `the hosts of the cloud are not prepared to send to ${siteId}`,
      );
  }

  /** Throws ERR_BROKER_MISSING. Releasing the hosts leaves it: people may use it by then. */
  async #prepareBroker(cloud: HyperVCloud, signal: AbortSignal | undefined): Promise<void> {
    const { cluster, replicaServer, makeBroker } = cloud;
    if (cluster === null) return;
    const given = { ServerName: replicaServer, NetworkName: makeBroker?.network ?? '', Address: makeBroker?.address ?? '' };
    await this.#calls.ofCluster('Initialize-FarshoreBroker', { ...cloud, cluster }, given, signal);
  }

  async #cloud(cloudId: CloudId): Promise<HyperVCloud> {
    const cloud = await this.#calls.cloud(cloudId);
    if (cloud.replicaServer !== '') return cloud;
    if (cloud.hosts.length === 0)
      throw refusal('InvalidParameter', `the cloud '${cloud.name}' has no hosts in SCVMM that the agent may see`);
    throw refusal(
      'InvalidParameter',
      `the cloud '${cloud.name}' is on the cluster ${cloud.cluster}: name its Replica Broker in agent.yaml, as replicaServer of the cloud`,
    );
  }
}

function without(all: readonly Preparation[], pairingId: PairingId, cloudId: CloudId): readonly Preparation[] {
  return all.filter((each) => each.pairingId !== pairingId || each.cloudId !== cloudId);
}

/** Throws ERR_NOT_PREPARED where none came for the host. */
function byCertificate(host: string, certificates: readonly HostCertificate[], rootPem: string) {
  const own = certificates.find((each) => each.host === host);
  if (own === undefined) throw refusal('AccessDenied', `no certificate came for the host ${host}`);
  return { Authentication: 'Certificate', Pfx: Buffer.from(own.pfx).toString('base64'), Passphrase: own.passphrase, RootPem: rootPem };
}

/** Marks the authorisation entries of one peer site. */
const trustGroup = (siteId: string) => `farshore-${siteId}`;

function refusal(errorId: 'InvalidParameter' | 'AccessDenied', message: string): FabricError {
  const code = errorId === 'AccessDenied' ? 'ERR_NOT_PREPARED' : 'ERR_FABRIC_FAILED';
  return new FabricError(code, errorId, 'SetReplicationServerCommand', message);
}
