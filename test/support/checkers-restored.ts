/**
 * restored-waits: once a database was put back, nothing is sent for a job of which a site knows commands that the log lacks, before a
 * person has let it go on. Where a job need not wait for the word of a site, from when the site has told.
 */
import type { NewJob } from '../../control-plane/store/job-store.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { commandsIn, type StoredJob, type TraceEvent } from './trace.ts';

export function restoredWaits(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const jobs = new Map<string, NewJob>();
  /** Commands that each site has taken on, with their VMs. */
  const taken: { readonly site: string; readonly commandId: string; readonly vmId: string }[] = [];
  /** Sites that know more, by job. */
  let behind = new Map<string, Set<string>>();
  let told = new Set<string>();
  for (const event of trace) {
    if (event.type === 'opened') jobs.set(event.job.job.id, event.job);
    if (event.type === 'journal' && event.write === 'began' && event.vm)
      taken.push({ site: event.site, commandId: event.commandId, vmId: event.vm.vmId });
    if (event.type === 'restored') {
      const known = new Set(event.jobs.flatMap(commandsOf));
      const lost = taken.filter(({ commandId }) => !known.has(commandId));
      behind = new Map(event.jobs.flatMap((stored) => sitesAhead(stored, jobs.get(stored.job.id)?.graph, lost)));
      told = new Set();
    }
    if (event.type === 'toCloud' && (JSON.parse(event.text) as { type: string }).type === 'decisions.told') told.add(event.site);
    if (event.type === 'facts' && event.facts.some((fact) => fact.type === 'resumed' && fact.by !== 'Farshore')) behind.delete(event.jobId);
    if (event.type !== 'toAgent') continue;
    for (const { commandId, jobId } of commandsIn(event.text)) {
      const sites = [...(behind.get(jobId) ?? [])].filter((site) => told.has(site) || mustBeHeard(site, jobs.get(jobId)));
      if (sites.length > 0) found.push(`${commandId} was sent to ${event.site}, though ${sites.join(', ')} knows what the log does not`);
    }
  }
  return found;
}

function commandsOf({ job, facts }: StoredJob): string[] {
  return facts.flatMap((fact) => {
    if (fact.type === 'started') return [`${job.id}/${fact.step}/${fact.attempt}`];
    return fact.type === 'undoStarted' ? [`${job.id}/${fact.step}/${fact.attempt}/undo`] : [];
  });
}

const worksOf = (graph: Graph<StepWork>) => graph.steps.flatMap(({ work, undo }) => [work, undo].filter((one) => one !== undefined));

function sitesAhead(
  { job }: StoredJob,
  graph: Graph<StepWork> | undefined,
  lost: readonly { readonly site: string; readonly vmId: string }[],
): [string, Set<string>][] {
  if (job.endedAt !== null || graph === undefined) return [];
  const vms = new Set<string>(worksOf(graph).flatMap(({ args }) => ('vm' in args && args.vm ? [args.vm.vmId] : [])));
  return [[job.id, new Set(lost.filter(({ vmId }) => vms.has(vmId)).map(({ site }) => site))]];
}

/** Also before it has told: what starts VMs or turns replication round waits for all its sites, a failover for the one it leads to. */
function mustBeHeard(site: string, of: NewJob | undefined): boolean {
  if (of === undefined) return false;
  const works = worksOf(of.graph);
  if (of.job.kind === 'unplannedFailover') return works.some(({ kind, siteId }) => kind === 'vm.start' && siteId === site);
  const isWaiting = works.some(({ kind }) => kind === 'vm.start' || kind === 'replication.becomeReplica');
  return isWaiting && works.some(({ siteId }) => siteId === site);
}
