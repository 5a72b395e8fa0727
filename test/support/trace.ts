/**
 * What happened in a run, in the order in which it became true: commits of the control plane, synced writes of agents, calls
 * and effects at the sites, and every text on the wire. Checkers read nothing else, so a trace can be written by hand as well.
 */

import type { Job, NewJob, Projection } from '../../control-plane/store/job-store.ts';
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { PowerChange, TaskEntry } from '../../provider-agent/fabric/site/task-log.ts';
import type { Phase } from '../../shared/domain/protected-vm.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { JobId, SiteId, VmRef } from '../../shared/ids.ts';
import { SignedEnvelope } from '../../shared/protocol/envelope.ts';

export interface StoredJob {
  readonly job: Job;
  readonly facts: readonly Fact[];
}

export type TraceEvent = { readonly at: number } & (
  | { readonly type: 'opened'; readonly job: NewJob }
  /** Whoever asked was told that the job stands. */
  | { readonly type: 'acknowledged'; readonly jobId: JobId }
  | { readonly type: 'facts'; readonly jobId: JobId; readonly facts: readonly Fact[]; readonly projections: readonly Projection[] }
  /** What a control plane that starts finds in its database. */
  | { readonly type: 'reread'; readonly jobs: readonly StoredJob[] }
  /** The database was put back to an earlier state by a person: what came after it is known to be lost. */
  | { readonly type: 'restored'; readonly jobs: readonly StoredJob[] }
  | {
      readonly type: 'journal';
      readonly site: SiteId;
      readonly write: 'began' | 'refused' | 'concluded';
      readonly commandId: string;
      readonly epoch: number;
      readonly vm: VmRef | null;
    }
  | { readonly type: 'toAgent' | 'toCloud'; readonly site: SiteId; readonly text: string }
  /** The control plane sees the agent of a site come or go. */
  | { readonly type: 'connection'; readonly site: SiteId; readonly isUp: boolean }
  /** The agent asks the fabric to change something. */
  | {
      readonly type: 'call';
      readonly site: SiteId;
      readonly operation: Operation;
      readonly commandId: string;
      readonly epoch: number;
      readonly vm: VmRef | null;
    }
  /** A task of the site that had its effect. */
  | { readonly type: 'effect'; readonly site: SiteId; readonly task: TaskEntry }
  /** A script was run at the site. */
  | { readonly type: 'script'; readonly site: SiteId; readonly commandId: string; readonly name: string; readonly sha256: string }
  | { readonly type: 'power'; readonly site: SiteId; readonly change: PowerChange }
  /** The test copies at a site, whenever that has changed. */
  | { readonly type: 'copies'; readonly site: SiteId; readonly copies: readonly SeenCopy[] }
  /** What is promised, and what both sites have, when all has come to rest. */
  | { readonly type: 'promises'; readonly vms: readonly PromisedVm[] }
  /** The networks made for drills at a site, whenever that has changed. */
  | { readonly type: 'drillNetworks'; readonly site: SiteId; readonly networks: readonly SeenDrillNetwork[] }
  /** No fault is left, and whoever watched has waited as long as a job may take to end. */
  | { readonly type: 'finished' }
);

export interface PromisedVm {
  readonly id: string;
  readonly name: string;
  readonly phase: Phase;
  readonly isBusy: boolean;
  /** Mode and state of the replication at both ends, or `none`. */
  readonly source: string;
  readonly target: string;
  /** What its last failover left at the target: the step that did it, and the id of the point. */
  readonly failover: string | null;
}

export interface SeenCopy {
  readonly vmId: string;
  readonly replicaId: string;
  readonly power: string;
  /** Networks that lead somewhere, and that it is connected to. */
  readonly exposedTo: readonly string[];
}

export interface SeenDrillNetwork {
  readonly drill: string;
  /** The replicas whose test copies are connected to it. */
  readonly replicaIds: readonly string[];
}

/** What a trace event says beside its moment. */
export type Happening = TraceEvent extends infer E ? (E extends TraceEvent ? Omit<E, 'at'> : never) : never;

export class Trace {
  readonly events: TraceEvent[];
  readonly #now: () => number;

  /** Jobs that have neither ended nor wait for a person, and all that were ever opened. */
  readonly open = new Set<JobId>();
  readonly opened = new Set<JobId>();
  /** Those that wait for a person to confirm what was asked: a cancel makes them go on, as a decision does. */
  readonly #waiting = new Set<JobId>();

  constructor(now: () => number, earlier: readonly TraceEvent[] = []) {
    this.#now = now;
    this.events = [...earlier];
    for (const event of earlier) this.#count(event);
  }

  note(happening: Happening): void {
    const event = { at: this.#now(), ...happening } as TraceEvent;
    this.events.push(event);
    this.#count(event);
  }

  #count(event: TraceEvent): void {
    if (event.type === 'restored') {
      this.open.clear();
      for (const { job } of event.jobs) if (job.state === 'inProgress') this.open.add(job.id);
    }
    if (event.type === 'opened') {
      this.open.add(event.job.job.id);
      this.opened.add(event.job.job.id);
    }
    if (event.type !== 'facts') return;
    for (const { type } of event.facts) {
      if (type === 'ended' || type === 'parked' || type === 'waiting' || type === 'held') this.open.delete(event.jobId);
      const goesOn = type === 'decided' || type === 'resumed' || (type === 'cancelled' && this.#waiting.has(event.jobId));
      if (goesOn) this.open.add(event.jobId);
      if (type === 'waiting') this.#waiting.add(event.jobId);
      if (goesOn) this.#waiting.delete(event.jobId);
    }
  }
}

export interface SentCommand {
  readonly commandId: string;
  readonly jobId: string;
  readonly stepId: string;
  readonly epoch: number;
  readonly deadline: number;
}

/** The commands in a text to an agent; none in any other message. */
export function commandsIn(text: string): SentCommand[] {
  const message = JSON.parse(text) as { type: string; envelopes?: unknown[] };
  if (message.type !== 'commands') return [];
  return (message.envelopes ?? []).map((envelope) => JSON.parse(SignedEnvelope.parse(envelope).body) as SentCommand);
}

export interface SentOutcome {
  readonly commandId: string;
}

/** The outcomes in a text from an agent. */
export function outcomesIn(text: string): SentOutcome[] {
  const message = JSON.parse(text) as { type: string; finished?: SentOutcome[] };
  return message.type === 'command.finished' ? (message.finished ?? []) : [];
}

export function confirmedIn(text: string): string[] {
  const message = JSON.parse(text) as { type: string; commandIds?: string[] };
  return message.type === 'finished.ack' ? (message.commandIds ?? []) : [];
}
