/** Sites in one process, without sockets: the same frames as over TLS, written and read as text, answered on the next microtask. */
import { FarshoreError } from '../../../shared/errors.ts';
import type { SiteId } from '../../../shared/ids.ts';
import { parseFrame } from '../peer/frames.ts';
import { AnswerFrame, RequestFrame } from '../site/replication-frames.ts';
import type { ReplicationTransport } from '../site/replication-transport.ts';

export class InMemoryReplicationNetwork {
  readonly #listening = new Map<string, { siteId: SiteId; receive: Parameters<ReplicationTransport['listen']>[1] }>();

  /** The end of one site. Certificates are not opened here: the site is whom it joined as. */
  join(siteId: SiteId): ReplicationTransport {
    const address = `${siteId}.memory:1`;
    let pairings = new Set<string>();
    return {
      usePreparations: (preparations) => {
        pairings = new Set(preparations.map(({ pairingId }) => pairingId));
      },
      listen: async (_at, receive) => {
        this.#listening.set(address, { siteId, receive });
        return address;
      },
      goDark: async () => {
        this.#listening.delete(address);
      },
      request: async (peer, request) => {
        const sent = JSON.stringify({ id: 0, pairingId: peer.pairingId, request });
        await Promise.resolve();
        const other = this.#listening.get(peer.address);
        if (other === undefined) throw new FarshoreError('ERR_PEER_UNREACHABLE', `nothing receives replicas at ${peer.address}`);
        if (other.siteId !== peer.siteId || !pairings.has(peer.pairingId))
          throw new FarshoreError('ERR_NOT_PREPARED', `${peer.address} is not the site it should be`);
        const frame = parseFrame(RequestFrame, sent);
        const answer = await other.receive({ siteId, pairingId: frame.pairingId }, frame.request);
        return parseFrame(AnswerFrame, JSON.stringify({ id: 0, answer })).answer;
      },
    };
  }
}
