/**
 * The operations port: what `api` can ask to be run, and what `channel` reports back. `runner.ts` is behind it.
 */
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { AgentId, CommandId, JobId, SiteId, StepId, VaultId } from '../../shared/ids.ts';
import type { Envelope } from '../../shared/protocol/envelope.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { Job } from '../store/store.ts';

/** Who asks: the vault is the boundary, the name goes into the log of the job. */
export interface Actor {
  readonly vaultId: VaultId;
  readonly name: string;
}

export interface Operations {
  /** Compiles, claims and starts. Durable when it resolves. `isNew` is false for a repeat of the same request. */
  start(request: OperationRequest, actor: Actor): Promise<{ readonly job: Job; readonly isNew: boolean }>;
  decide(actor: Actor, job: JobId, step: StepId, decision: 'retry' | 'skip', reason: string): Promise<void>;
  cancel(actor: Actor, job: JobId, reason: string): Promise<void>;
  /** The stage that a running step last reported; not durable. */
  stageOf(job: JobId, step: StepId): Stage | null;
}

/** A command for a site as operations hand it over; the channel adds the agent, the sequence and the signature. */
export type CommandToSend = Omit<Envelope, 'agentId' | 'sequence'>;

/** The channel's side, given to operations by main. */
export interface Dispatcher {
  /** Sends now if the site is connected, in the order given; else nothing: on connect the channel asks for `openCommands`. */
  send(siteId: SiteId, commands: readonly CommandToSend[]): void;
}

/** Who is here, as the hub sees it. */
export interface Presence {
  isConnected(siteId: SiteId): boolean;
  /** When the agent of the site was last heard; null since the start of this process if never. */
  lastHeardAt(siteId: SiteId): number | null;
}

/** What operations offer to the channel, given to it by main. */
export interface OutcomeSink {
  /** All commands handed out for the site that have no outcome, oldest first: the outgoing queue. */
  openCommands(siteId: SiteId): readonly CommandToSend[];
  /** Resolves when the outcome is durable, or is known already, or names nothing that we know: then it may be confirmed. */
  onFinished(siteId: SiteId, agentId: AgentId, commandId: CommandId, outcome: Outcome): Promise<void>;
  onProgress(siteId: SiteId, commandId: CommandId, stage: Stage): void;
}
