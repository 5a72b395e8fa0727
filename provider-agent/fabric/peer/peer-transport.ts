/** How one site reaches another past the control plane, with what their fabrics have to say to each other. TLS is the real way. */
import type { PairingId, SiteId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';

/** The other end: where it receives, which site it has to prove to be, and under which pairing it is spoken to. */
export interface Peer {
  readonly address: string;
  readonly siteId: SiteId;
  readonly pairingId: PairingId;
}

/** Who sent a request; the transport has proved the site. */
export type PeerSource = Omit<Peer, 'address'>;

/** Answers a request. What it throws ends the connection. */
export type ReceiveFromPeer<Request, Answer> = (source: PeerSource, request: Request) => Answer | Promise<Answer>;

export interface PeerTransport<Request, Answer> {
  /** From now on with these certificates and roots, and no others. Throws when one cannot be opened. */
  usePreparations(preparations: readonly HostsPreparation[]): void;
  /** Opens the receiving end and says where it is, `host:port`. */
  listen(at: { readonly host: string; readonly port: number }, receive: ReceiveFromPeer<Request, Answer>): Promise<string>;
  /** Closes the receiving end and every connection in or out. */
  goDark(): Promise<void>;
  /** Throws ERR_PEER_UNREACHABLE when nothing answers, ERR_NOT_PREPARED when one side does not take the other for whom it should be. */
  request(peer: Peer, request: Request): Promise<Answer>;
}
