/**
 * The operations port: what `api` can ask to be run, and what operations need of the channel, which main gives them.
 * `runner.ts` is behind it. The channel in turn asks for what it needs in its own words (channel/hub.ts).
 */
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { Decision } from '../../shared/engine/facts.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { JobId, RuleId, SiteId, StepId, VaultId, VmId, VmRef } from '../../shared/ids.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { Power, RecoveryPointReport, ReplicationReport } from '../../shared/protocol/egress.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import type { Job } from '../store/job-store.ts';

/** Who asks: the vault is the boundary, the name goes into the log of the job. */
export interface Actor {
  readonly vaultId: VaultId;
  readonly name: string;
}

/** Why a rule, and no person, asks for it; kept with the job. */
export interface ByRule {
  readonly rule: RuleId;
  readonly match: string;
  readonly vms: readonly { readonly vmId: VmId; readonly name: string; readonly why: string }[];
}

export interface Operations {
  /** Compiles, claims and starts. Durable when it resolves. `isNew` is false for a repeat of the same request. */
  start(
    request: OperationRequest,
    actor: Actor,
    byRule?: ByRule,
    restartOf?: JobId,
  ): Promise<{ readonly job: Job; readonly isNew: boolean }>;
  /** Why it would be refused now, as far as that can be told without starting it; null where it would be taken. */
  whyNot(request: OperationRequest, actor: Actor): Promise<FarshoreError | null>;
  decide(actor: Actor, job: JobId, step: StepId, decision: Decision, reason: string): Promise<void>;
  /** A person lets a held job go on. Throws ERR_OPERATION_NOT_ALLOWED where nothing holds it, ERR_SITE_UNHEARD while that is not told yet. */
  letGoOn(actor: Actor, job: JobId, reason: string): Promise<void>;
  /** Whether a site has told of decisions about the VM that the log does not have, and no operation was asked for since. */
  isNewerAtASite(vaultId: VaultId, vm: VmId): boolean;
  cancel(actor: Actor, job: JobId, reason: string): Promise<void>;
  /** Waits no longer for the agent of a site. Throws ERR_OPERATION_NOT_ALLOWED while it is connected, or where nothing waits for it, ERR_SITE_UNJUDGED while it may still act. */
  giveUp(actor: Actor, job: JobId, site: SiteId, reason: string): Promise<void>;
  /** The stage that a running step last reported; not durable. */
  stageOf(job: JobId, step: StepId): Stage | null;
}

/** Hands commands to the channel. */
export interface Dispatcher {
  /** Sends now if the site is connected, in the order given; else nothing: on connect the channel asks for `openCommands`. */
  send(siteId: SiteId, commands: readonly CommandToSend[]): void;
}

export interface FoundVm {
  readonly power: Power;
  readonly mode: ReplicationReport['mode'];
  readonly state: ReplicationReport['state'];
}

/** What can be asked of a site outside of any job, since it changes nothing. */
export interface SiteLooks {
  /** Those that a replica has now. Throws ERR_AGENT_OFFLINE, ERR_FABRIC_TIMEOUT, or what the site answers. */
  recoveryPoints(siteId: SiteId, vm: VmRef): Promise<readonly RecoveryPointReport[]>;
  /** How the VM stands there now; null where it is not there. Throws as the other does. */
  lookAt(siteId: SiteId, vm: VmRef): Promise<FoundVm | null>;
}

/** Who is here, as the hub sees it. */
export interface Presence {
  isConnected(siteId: SiteId): boolean;
  /** When the agent of the site was last heard; null since the start of this process if never. */
  lastHeardAt(siteId: SiteId): number | null;
  /** The scripts that plans may run at the site; null while its agent is not connected. */
  scriptsOf(siteId: SiteId): readonly { readonly name: string; readonly sha256: string }[] | null;
}
