/**
 * Replica servers of emulated hosts, and what they mean for the simulated sites: where a host takes replicas from the hosts of another
 * cloud, the two clouds are paired there. Certificates are not opened: sites in memory are whom they joined as.
 */
import type { Act, ReplicaTarget } from '../../../provider-agent/fabric/fabric.ts';
import type { CloudDefinition } from '../../../provider-agent/fabric/site/site-model.ts';
import { PairingId } from '../../../shared/ids.ts';
import type { CmdletCall } from '../powershell/model-server.ts';
import { uuidOf } from '../simulated-sites.ts';
import { EmulatedHosts, type EmulatedSite } from './hosts.ts';
import { StubRefusal, textIn } from './stub-call.ts';

interface Place {
  readonly at: EmulatedSite;
  readonly cloud: CloudDefinition;
}

export class ReplicaServers {
  readonly #hosts: EmulatedHosts;
  /** Where the simulated site of a cloud receives replicas. */
  readonly #addresses = new Map<string, string>();

  constructor(hosts: EmulatedHosts) {
    this.#hosts = hosts;
  }

  /** Pairs the clouds that this host's server lets send to it, and ends the pairing of those that it does not. */
  async settle(fullName: string, act: Act): Promise<void> {
    const { at, cloud } = this.#hosts.named(fullName);
    const { isEnabled, isOpenToAll, entries } = this.#hosts.server(fullName);
    for (const peer of this.#others(cloud)) {
      const pairingId = pairingOf(cloud, peer.cloud);
      const senders = peer.cloud.hosts.map((host) => EmulatedHosts.fullName(peer.at.definition, host));
      const mayAll = senders.every((sender) => isOpenToAll || [...entries.keys()].some((entry) => fits(entry, sender)));
      if (!isEnabled || !mayAll) {
        await at.site.releaseHosts(pairingId, cloud.id, act);
        continue;
      }
      const certificates = cloud.hosts.map((host) => ({ host, pfx: new Uint8Array([1]), passphrase: '' }));
      const peerIds = { siteId: peer.at.siteId, cloudId: peer.cloud.id };
      const given = {
        pairingId,
        cloudId: cloud.id,
        authentication: 'certificate',
        port: null,
        certificates,
        rootPem: '',
        peer: peerIds,
      } as const;
      this.#addresses.set(cloud.id, (await at.site.prepareHosts(given, act)).address);
    }
  }

  /** Where a primary sends that names a server, a port and a way of authentication. The text is ours. */
  target(call: CmdletCall): ReplicaTarget {
    const [server, port, way] = ['ReplicaServerName', 'ReplicaServerPort', 'AuthenticationType'].map((name) => textIn(call, name)) as [
      string,
      string,
      string,
    ];
    const { at, cloud, host } = this.#hosts.behindBroker(server) ?? this.#hosts.named(server);
    const { isEnabled, authentication, ...ports } = this.#hosts.server(EmulatedHosts.fullName(at.definition, host));
    const open = way === 'Kerberos' ? ports.kerberosPort : ports.port;
    const address = this.#addresses.get(cloud.id);
    if (!isEnabled || !authentication.includes(way) || String(open) !== port || address === undefined)
      throw new StubRefusal(
        'OperationFailed',
        'NotSpecified',
        `Hyper-V failed to connect to the Replica server '${server}' on port '${port}' by ${way}.`,
      );
    return { siteId: at.siteId, cloudId: cloud.id, address };
  }

  #others(cloud: CloudDefinition): Place[] {
    return this.#hosts.sites.flatMap((at) =>
      at.definition.clouds.filter(({ id }) => id !== cloud.id).map((other) => ({ at, cloud: other })),
    );
  }
}

const pairingOf = (one: CloudDefinition, other: CloudDefinition) => PairingId.parse(uuidOf([one.id, other.id].sort().join('+')));

const fits = (entry: string, server: string) => (entry.startsWith('*.') ? server.endsWith(entry.slice(1)) : entry === server);
