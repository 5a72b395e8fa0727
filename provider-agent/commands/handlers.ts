/**
 * What a command handler is: one for every kind of the protocol, so that a missing one does not compile.
 *
 * A handler looks before it acts. It may be run again from any half-done state, by a retry or after a crash, and
 * ends in the same state as one undisturbed run. It knows the site only through the fabric port.
 */
import type { Clock } from '../../shared/ports.ts';
import type { ArgsOf, CommandKind, ResultOf, Stage } from '../../shared/protocol/commands.ts';
import type { Act, Fabric, HostCertificate, ReplicationHost } from '../fabric/fabric.ts';
import type { Scripts } from '../scripts/scripts.ts';
import type { DrillNetworkTurns } from './drill-network-turns.ts';
import type { NetworkLooks } from './network-looks.ts';
import type { StartTurns } from './start-turns.ts';

/** The site's own replication authority: it issues the certificates of its hosts, whose names stay at the site. */
export interface HostCertificates {
  /** PEM of the request for the authority's certificate; the same key every time. */
  requestCsr(): Promise<string>;
  /** One certificate a host, under the authority given. */
  issueHostCertificates(authorityPem: string, rootPem: string, hosts: readonly ReplicationHost[]): Promise<HostCertificate[]>;
}

export interface HandlerContext {
  /** Each call has a time limit and throws ERR_FABRIC_TIMEOUT past it. */
  readonly fabric: Fabric;
  /** The command and its epoch, to be handed to every mutation. */
  readonly act: Act;
  readonly clock: Clock;
  readonly certificates: HostCertificates;
  readonly network: NetworkLooks;
  readonly turns: StartTurns;
  readonly networkTurns: DrillNetworkTurns;
  readonly scripts: Pick<Scripts, 'run'>;
  /** It was begun before and was cut off, and what became of that is not known. */
  readonly isResumed: boolean;
  /** To be asked by whoever waits: throws when the control plane does not want the command any more, as far as can be told. */
  refuseIfUnwanted(): void;
  /** Tells how far the command is; may be lost. */
  progress(stage: Stage): void;
}

export type Handlers = { readonly [K in CommandKind]: (args: ArgsOf<K>, context: HandlerContext) => Promise<ResultOf<K>> };
