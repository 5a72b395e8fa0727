/** What sites say to each other (replication-frames.ts) on the way that every fabric has; tests with a clock of their own use one in memory. */
import type { Peer, PeerSource, PeerTransport } from '../peer/peer-transport.ts';
import type { ReplicationAnswer, ReplicationRequest } from './replication-frames.ts';

export type ReplicationPeer = Peer;
export type ReplicationSource = PeerSource;
export type ReceiveReplication = (source: PeerSource, request: ReplicationRequest) => ReplicationAnswer | Promise<ReplicationAnswer>;
export type ReplicationTransport = PeerTransport<ReplicationRequest, ReplicationAnswer>;
