/** Invariants about what is done at the sites: who may start a VM, under which decision, because of which command. */

import type { NewJob } from '../../control-plane/store/job-store.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import { commandsIn, type TraceEvent } from './trace.ts';

/**
 * single-activation: per VM, among the starts that we issued and that still run, at most one site; and we start a VM that
 * runs elsewhere only with an override (who, reason, evidence) that was durable before.
 */
export function singleActivation(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const overrides = new Set<string>();
  const [connected, sources, moved] = [new Set<string>(), new Sources(), new Moved()];
  const runningAt = new Map<string, Map<string, 'theirs' | 'ours'>>();
  for (const event of trace) {
    if (event.type === 'connection') {
      if (event.isUp) connected.add(event.site);
      else connected.delete(event.site);
    }
    // From its reversal on, what we started is what people work on: as the VM was that we found when it was protected.
    for (const vmId of sources.take(event))
      for (const place of runningAt.get(vmId)?.keys() ?? []) runningAt.get(vmId)?.set(place, 'theirs');
    if (event.type === 'opened') {
      const reached = sources.sitesOf(event.job).filter((site) => connected.has(site));
      const under = hasOverride(event.job, reached) ? event.job.claims.map(({ id }) => id) : moved.coveredBy(event.job);
      for (const id of under) overrides.add(`${event.job.job.id} ${sources.vmIdOf(id)}`);
      moved.take(event.job, under);
    }
    if (event.type !== 'power') continue;
    const { change, site } = event;
    const place = `${site}/${change.cloudId}`;
    const places = runningAt.get(change.vmId) ?? new Map<string, 'theirs' | 'ours'>();
    runningAt.set(change.vmId, places);
    if (change.change === 'off') {
      places.delete(place);
      continue;
    }
    const isOurs = change.cause === 'startVm';
    if (isOurs && places.has(place)) found.push(`VM ${change.vmId} was started twice at ${place}`);
    const elsewhere = [...places].filter(([other]) => other !== place);
    if (isOurs && elsewhere.some(([, whose]) => whose === 'ours'))
      found.push(`VM ${change.vmId} was started at ${place} while it runs elsewhere by us`);
    if (isOurs && elsewhere.length > 0 && !overrides.has(`${jobOf(change.commandId ?? '')} ${change.vmId}`))
      found.push(`VM ${change.vmId} was started at ${place} by ${change.commandId} without an override while it runs elsewhere`);
    places.set(place, isOurs ? 'ours' : 'theirs');
  }
  return found;
}

/** VMs that were moved under an override: it holds for what is done with them at their new side, until they are taken back. */
class Moved {
  readonly #vms = new Set<string>();

  coveredBy({ job, claims }: NewJob): string[] {
    return job.kind === 'changeRecoveryPoint' ? claims.flatMap(({ id }) => (this.#vms.has(id) ? [id] : [])) : [];
  }

  take({ job, claims }: NewJob, underOverride: readonly string[]): void {
    for (const id of underOverride) this.#vms.add(id);
    if (job.kind === 'takeBack') for (const { id } of claims) this.#vms.delete(id);
  }
}

/** That the primary is unreachable is no evidence while it is connected. */
function hasOverride({ job }: NewJob, reachable: readonly string[]): boolean {
  const { primary } = job.input as { primary?: { evidence?: string; reason?: string } };
  if (primary?.evidence === 'unreachable' && reachable.length > 0) return false;
  return job.startedBy !== '' && (primary?.evidence === 'unreachable' || primary?.evidence === 'attested') && (primary.reason ?? '') !== '';
}

/** The site that each protected VM replicates from, as jobs tell it: the primary site, until its replication is reversed. */
class Sources {
  readonly #ends = new Map<string, readonly [source: string, target: string]>();
  readonly #ofVm = new Map<string, readonly [source: string, target: string]>();
  readonly #vmIds = new Map<string, string>();

  /** Answers the VMs, by the ids of the fabric, whose replication was reversed with this. */
  take(event: TraceEvent): string[] {
    if (event.type === 'opened') {
      const { newPairing, newVms } = event.job;
      // Between two clouds of one site no site is ever "gone".
      if (newPairing && newPairing.primary.siteId !== newPairing.recovery.siteId)
        this.#ends.set(newPairing.id, [newPairing.primary.siteId, newPairing.recovery.siteId]);
      for (const vm of newVms) {
        const [primary, recovery] = this.#ends.get(vm.pairingId) ?? ['', ''];
        this.#ofVm.set(vm.id, vm.replicatesFrom === 'primary' ? [primary, recovery] : [recovery, primary]);
        this.#vmIds.set(vm.id, vm.vmId);
      }
    }
    if (event.type !== 'facts') return [];
    return event.facts.flatMap((fact) => {
      if (fact.type !== 'done' || !fact.step.startsWith('reverse/')) return [];
      const vm = fact.step.slice('reverse/'.length);
      const [source, target] = this.#ofVm.get(vm) ?? ['', ''];
      this.#ofVm.set(vm, [target, source]);
      return [this.#vmIds.get(vm) ?? ''];
    });
  }

  /** The id that the fabric gave a protected VM. */
  vmIdOf(id: string): string {
    return this.#vmIds.get(id) ?? '';
  }

  sitesOf({ claims }: NewJob): string[] {
    return [...new Set(claims.map(({ id }) => this.#ofVm.get(id)?.[0] ?? ''))];
  }
}

/**
 * epoch-order: no mutation under an epoch older than the agent has durably seen for the VM; decisions strictly increase it, also
 * above what sites have told to a control plane whose database was put back; a VM is started only when the epoch stands with it at the site.
 */
export function epochOrder(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const told = new ToldEpochs();
  const seen = new Map<string, number>();
  const decided = new Map<string, number>();
  const fenced = new Map<string, number>();
  for (const event of trace) {
    if (event.type === 'restored') decided.clear();
    told.take(event);
    if (event.type === 'opened') {
      for (const { id, epoch } of event.job.claims) {
        if (epoch === undefined) continue;
        const before = Math.max(decided.get(id) ?? 0, told.of(id));
        if (epoch <= before) found.push(`job ${event.job.job.id} decides epoch ${epoch} for ${id}, and ${before} was decided already`);
        decided.set(id, epoch);
      }
    }
    if (event.type === 'effect' && event.task.operation === 'writeEpoch') {
      const key = `${event.site}/${event.task.cloudId}/${event.task.vmId}`;
      fenced.set(key, Math.max(fenced.get(key) ?? 0, event.task.epoch));
    }
    if (event.type === 'power' && event.change.cause === 'startVm') {
      const { cloudId, vmId, epoch } = event.change;
      const stands = fenced.get(`${event.site}/${cloudId}/${vmId}`) ?? 0;
      if (stands < (epoch ?? 0)) found.push(`VM ${vmId} was started under epoch ${epoch}, and ${stands} stood with it at the site`);
    }
    if (event.type !== 'journal' && event.type !== 'call') continue;
    if (event.vm === null) continue;
    const key = `${event.site}/${event.vm.cloudId}/${event.vm.vmId}`;
    const highest = seen.get(key) ?? 0;
    if (event.type === 'call' && event.epoch < highest)
      found.push(`${event.operation} of ${event.vm.vmId} ran under epoch ${event.epoch}, and the site had seen ${highest}`);
    if (event.type === 'journal' && event.write === 'began') seen.set(key, Math.max(highest, event.epoch));
  }
  return found;
}

/** The newest epochs that sites had seen when they told of them. */
class ToldEpochs {
  readonly #vmIds = new Map<string, string>();
  readonly #seen = new Map<string, Map<string, number>>();
  readonly #told = new Map<string, number>();

  take(event: TraceEvent): void {
    if (event.type === 'opened') for (const { id, vmId } of event.job.newVms) this.#vmIds.set(id, vmId);
    if (event.type === 'journal' && event.write === 'began' && event.vm) {
      const atSite = this.#seen.get(event.site) ?? new Map<string, number>();
      this.#seen.set(event.site, atSite.set(event.vm.vmId, Math.max(event.epoch, atSite.get(event.vm.vmId) ?? 0)));
    }
    if (event.type !== 'toCloud' || !event.text.includes('decisions.told')) return;
    for (const [vm, epoch] of this.#seen.get(event.site) ?? []) this.#told.set(vm, Math.max(epoch, this.#told.get(vm) ?? 0));
  }

  of(id: string): number {
    return this.#told.get(this.#vmIds.get(id) ?? '') ?? 0;
  }
}

/** newest-protection: once a VM is protected anew, no job from before that changes it at a site. */
export function newestProtection(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const [openedAt, protectedAt] = [new Map<string, number>(), new Map<string, number>()];
  for (const [index, event] of trace.entries()) {
    if (event.type === 'restored') protectedAt.clear();
    if (event.type === 'opened') {
      openedAt.set(event.job.job.id, index);
      for (const { vmId } of event.job.newVms) protectedAt.set(vmId, index);
    }
    if (event.type !== 'effect') continue;
    const { operation, commandId, vmId } = event.task;
    const since = protectedAt.get(vmId ?? '') ?? 0;
    if ((openedAt.get(jobOf(commandId)) ?? since) < since)
      found.push(`${operation} of ${vmId} at ${event.site} by ${commandId}, though it has been protected anew`);
  }
  return found;
}

/** cause: each mutation belongs to a step that was handed out durably before the agent took it on, and in time. */
export function causeChecker(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const handedOut = new Set<string>();
  const taken = new Set<string>();
  const deadlines = new Map<string, number>();
  for (const event of trace) {
    if (event.type === 'facts') for (const fact of event.facts) for (const id of commandIdsOf(event.jobId, fact)) handedOut.add(id);
    if (event.type === 'toAgent') for (const { commandId, deadline } of commandsIn(event.text)) deadlines.set(commandId, deadline);
    if (event.type === 'journal' && event.write === 'began') {
      if (event.at > (deadlines.get(event.commandId) ?? event.at)) found.push(`${event.commandId} was begun past its deadline`);
      if (!handedOut.has(event.commandId)) found.push(`site ${event.site} took on ${event.commandId}, which no job had handed out`);
      taken.add(`${event.site} ${event.commandId}`);
    }
    if (event.type === 'effect' && !taken.has(`${event.site} ${event.task.commandId}`))
      found.push(`${event.task.operation} at ${event.site} was caused by ${event.task.commandId}, which the agent there never took on`);
  }
  return found;
}

function commandIdsOf(jobId: string, fact: Fact): string[] {
  if (fact.type === 'started') return [`${jobId}/${fact.step}/${fact.attempt}`];
  return fact.type === 'undoStarted' ? [`${jobId}/${fact.step}/${fact.attempt}/undo`] : [];
}

/** outage-neutral: nothing is changed, started or stopped at a site but by a command that was sent to it. */
export function outageNeutral(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const sent = new Set<string>();
  for (const event of trace) {
    if (event.type === 'toAgent') for (const { commandId } of commandsIn(event.text)) sent.add(`${event.site} ${commandId}`);
    if (event.type === 'call' && !sent.has(`${event.site} ${event.commandId}`))
      found.push(`${event.operation} at ${event.site} for ${event.commandId}, which was never sent there`);
    if (event.type !== 'power') continue;
    const { cause, commandId, change, vmId } = event.change;
    if (cause === 'siteFile' || cause === 'hostDies') continue;
    if (commandId === null || !sent.has(`${event.site} ${commandId}`))
      found.push(`VM ${vmId} went ${change} at ${event.site} without a command`);
  }
  return found;
}

/** dead-site: an unplanned failover neither plans nor sends anything for the site that a VM is moved away from. */
export function deadSite(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const sources = new Sources();
  const forbidden = new Map<string, { readonly dead: ReadonlySet<string>; readonly mayTry: ReadonlySet<string> }>();
  for (const event of trace) {
    if (event.type === 'toAgent') {
      for (const { jobId, stepId, commandId } of commandsIn(event.text)) {
        const of = forbidden.get(jobId);
        if (of?.dead.has(event.site) && !of.mayTry.has(stepId))
          found.push(`${commandId} was sent to ${event.site}, the site its failover leads away from`);
      }
    }
    sources.take(event);
    if (event.type !== 'opened') continue;
    const { job, graph } = event.job;
    if (job.kind !== 'unplannedFailover') continue;
    const dead = new Set(sources.sitesOf(event.job));
    const { primary } = job.input as { primary?: { evidence?: string } };
    // Where a person attests, what still runs may be asked to shut down. Nothing waits for that for long, and nothing needs it.
    const optional = graph.steps.filter(({ aside, limitSeconds }) => aside === 'continue' && limitSeconds !== undefined);
    const mayTry = new Set<string>(primary?.evidence === 'attested' ? optional.map(({ id }) => id) : []);
    forbidden.set(job.id, { dead, mayTry });
    for (const { id, work, undo } of graph.steps) {
      if (mayTry.has(id)) continue;
      for (const part of [work, undo])
        if (part && dead.has(part.siteId)) found.push(`step ${id} of ${job.id} is for the site it leads away from, ${part.siteId}`);
    }
  }
  return found;
}

export const jobOf = (commandId: string): string => commandId.slice(0, commandId.indexOf('/'));
