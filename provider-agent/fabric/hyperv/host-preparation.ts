/** The hosts of a cloud made ready to replicate with another site, and released. Hosts take certificates only so far. */
import type { CloudId, PairingId } from '../../../shared/ids.ts';
import type { Act, HostsPreparation, ReplicaTarget, ReplicationHost } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import type { HyperVConfig } from './hyperv-config.ts';
import type { ModuleCalls } from './module-calls.ts';
import type { Preparations } from './preparations.ts';

const CERTIFICATE_PORT = 443;

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
  named(cloudId: CloudId): ReplicationHost[] {
    const { hosts, replicaServer, cluster } = this.#calls.cloud(cloudId);
    return hosts.map((host) => ({ host, dnsNames: cluster === null || host === replicaServer ? [host] : [host, replicaServer] }));
  }

  async prepare(preparation: HostsPreparation, { signal }: Act): Promise<{ readonly address: string }> {
    const { pairingId, cloudId, peer, port, rootPem } = preparation;
    const cloud = this.#calls.cloud(cloudId);
    if (preparation.authentication !== 'certificate')
      throw refusal(
        'InvalidParameter',
        'hosts are prepared for certificates only so far: choose authentication "certificate" in the policy',
      );
    const senders = this.#senders.find(({ site }) => site === peer.siteId)?.hosts;
    if (senders === undefined)
      throw refusal('InvalidParameter', `agent.yaml names no senders of the site ${peer.siteId}: add its hosts under fabric.senders`);
    // First, so that a release finds what a preparation has left that came half way.
    await this.#preparations.replace([...this.#others(pairingId, cloudId), { pairingId, cloudId, peer }]);
    await onEach(cloud.hosts, async (host) => {
      const own = preparation.certificates.find((each) => each.host === host);
      if (own === undefined) throw refusal('AccessDenied', `no certificate came for the host ${host}`);
      const given = {
        Port: port ?? CERTIFICATE_PORT,
        Pfx: Buffer.from(own.pfx).toString('base64'),
        Passphrase: own.passphrase,
        RootPem: rootPem,
        StorageLocation: cloud.replicaStorage,
        Sender: senders,
        TrustGroup: trustGroup(peer.siteId),
      };
      await this.#calls.ofHost('Initialize-FarshoreHost', cloud, host, given, signal);
    });
    return { address: `${cloud.replicaServer}:${port ?? CERTIFICATE_PORT}` };
  }

  async release(pairingId: PairingId, cloudId: CloudId, { signal }: Act): Promise<void> {
    const cloud = this.#calls.cloud(cloudId);
    const released = this.#preparations.all().find((each) => each.pairingId === pairingId && each.cloudId === cloudId);
    if (released === undefined) return;
    const others = this.#others(pairingId, cloudId);
    const { siteId } = released.peer;
    if (!others.some((each) => each.cloudId === cloudId && each.peer.siteId === siteId))
      await onEach(cloud.hosts, (host) =>
        this.#calls.ofHost('Clear-FarshoreHost', cloud, host, { TrustGroup: trustGroup(siteId) }, signal),
      );
    await this.#preparations.replace(others);
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

  #others(pairingId: PairingId, cloudId: CloudId) {
    return this.#preparations.all().filter((each) => each.pairingId !== pairingId || each.cloudId !== cloudId);
  }
}

/** Ends when all have ended: whoever is asked again must not meet what the first asking still does at another host. Throws the first failure. */
async function onEach(hosts: readonly string[], call: (host: string) => Promise<unknown>): Promise<void> {
  const ended = await Promise.allSettled(hosts.map(call));
  const failed = ended.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
  if (failed !== undefined) throw failed.reason;
}

/** Marks the authorisation entries of one peer site. */
const trustGroup = (siteId: string) => `farshore-${siteId}`;

function refusal(errorId: 'InvalidParameter' | 'AccessDenied', message: string): FabricError {
  const code = errorId === 'AccessDenied' ? 'ERR_NOT_PREPARED' : 'ERR_FABRIC_FAILED';
  return new FabricError(code, errorId, 'SetReplicationServerCommand', message);
}
