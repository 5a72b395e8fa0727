/** How one site reaches another with its replicas. TLS is the real way; tests with a clock of their own use one in memory. */
import type { PairingId, SiteId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import type { ReplicationAnswer, ReplicationRequest } from './replication-frames.ts';

/** The other end: where it receives, which site it has to prove to be, and under which pairing it is spoken to. */
export interface ReplicationPeer {
  readonly address: string;
  readonly siteId: SiteId;
  readonly pairingId: PairingId;
}

/** Who sent a request; the transport has proved the site. */
export interface ReplicationSource {
  readonly siteId: SiteId;
  readonly pairingId: PairingId;
}

export type ReceiveReplication = (source: ReplicationSource, request: ReplicationRequest) => ReplicationAnswer;

export interface ReplicationTransport {
  /** From now on with these certificates and roots, and no others. Throws when one cannot be opened. */
  usePreparations(preparations: readonly HostsPreparation[]): void;
  /** Opens the receiving end and says where it is, `host:port`. */
  listen(at: { readonly host: string; readonly port: number }, receive: ReceiveReplication): Promise<string>;
  /** Closes the receiving end and every connection in or out. */
  goDark(): Promise<void>;
  /** Throws ERR_PEER_UNREACHABLE when nothing answers, ERR_NOT_PREPARED when one side does not take the other for whom it should be. */
  request(peer: ReplicationPeer, request: ReplicationRequest): Promise<ReplicationAnswer>;
}
