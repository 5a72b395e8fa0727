/** Invariants about drills: a test copy reaches nobody, production does not notice it, and none is forgotten. */
import { drillRecord } from '../../control-plane/reports/drill-record.ts';
import type { Projection } from '../../control-plane/store/job-store.ts';
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import { isDrillEvent } from '../../shared/domain/drill.ts';
import { jobOf } from './checkers-sites.ts';
import type { SeenCopy, SeenDrillNetwork, StoredJob, TraceEvent } from './trace.ts';

const ofCopies: readonly Operation[] = [
  'makeDrillNetwork',
  'removeDrillNetwork',
  'startTestFailover',
  'connectTestCopy',
  'startTestVm',
  'stopTestFailover',
];
const drillKinds: readonly string[] = ['testFailover', 'cleanUpTest'];

/** drill-isolated: no test copy is on a network that leads somewhere; a drill changes no replication, no recovery point, no epoch and no phase. */
export function drillIsolated(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const drills = new Set<string>();
  const copies = new Set<string>();
  for (const event of trace) {
    if (event.type === 'opened' && drillKinds.includes(event.job.job.kind)) {
      drills.add(event.job.job.id);
      for (const { id, epoch } of event.job.claims) if (epoch !== undefined) found.push(`a drill decides epoch ${epoch} for ${id}`);
    }
    if (event.type === 'facts' && drills.has(event.jobId)) {
      for (const projection of event.projections)
        if ('vm' in projection && !isDrillEvent(projection.event)) found.push(`a drill makes ${projection.event} of ${projection.vm}`);
    }
    if (event.type === 'effect' && drills.has(jobOf(event.task.commandId)) && !ofCopies.includes(event.task.operation))
      found.push(`${event.task.operation} of ${event.task.vmId} was done by a drill`);
    if (event.type === 'copies') {
      for (const { vmId, replicaId, exposedTo } of event.copies) {
        copies.add(vmId);
        if (exposedTo.length > 0)
          found.push(`the test copy of ${replicaId} is connected to ${exposedTo.join(', ')}, which leads somewhere`);
        if (vmId === replicaId) found.push(`the test copy of ${replicaId} has the id of its replica`);
      }
    }
    if (event.type === 'power' && event.change.cause === 'startTestVm' && !copies.has(event.change.vmId))
      found.push(`${event.change.vmId} was started as a test copy, and is none`);
  }
  return found;
}

/** drill-known: whenever a test copy is there, its protected VM says so; else nobody would ever clean it up. */
export function drillKnown(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const vmIds = new Map<string, string>();
  const known = new Set<string>();
  // What a backup does not know it cannot tell.
  let isRestored = false;
  for (const event of trace) {
    if (event.type === 'restored') isRestored = true;
    if (event.type === 'opened') for (const { id, vmId } of event.job.newVms) vmIds.set(id, vmId);
    if (event.type === 'facts') {
      for (const projection of event.projections) {
        if (!('vm' in projection)) continue;
        const vmId = vmIds.get(projection.vm) ?? '';
        if (projection.event === 'testCopyBegun') known.add(vmId);
        if (projection.event === 'testCopyRemoved' || projection.event === 'protectionEnded') known.delete(vmId);
      }
    }
    if (event.type !== 'copies' || isRestored) continue;
    for (const { vmId, replicaId } of event.copies)
      if (!known.has(replicaId)) found.push(`the test copy ${vmId} of ${replicaId} is there, and its protected VM tells of no drill`);
  }
  return [...found, ...(isRestored ? [] : forgotten(trace, known))];
}

/** What is left at the end of all. */
function forgotten(trace: readonly TraceEvent[], known: ReadonlySet<string>): string[] {
  if (!trace.some(({ type }) => type === 'finished')) return [];
  const last = new Map(trace.flatMap((event) => (event.type === 'copies' ? [[event.site, event.copies] as const] : [])));
  return [...last.values()]
    .flat()
    .flatMap(({ replicaId }) =>
      known.has(replicaId) ? [] : [`a test copy of ${replicaId} is left, and its protected VM tells of no drill`],
    );
}

/** drill-passed: while a test copy that it made is there, a drill does not count as passed. Looked at whenever its jobs are read again. */
export function drillPassed(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const madeBy = new Map<string, string>();
  const copies = new Map<string, readonly SeenCopy[]>();
  const drillOf = new Map<string, string>();
  for (const event of trace) {
    if (event.type === 'effect' && event.task.operation === 'startTestFailover')
      madeBy.set(`${event.site}/${event.task.vmId}`, jobOf(event.task.commandId));
    if (event.type === 'copies') copies.set(event.site, event.copies);
    if (event.type === 'facts') for (const projection of event.projections) noteMark(projection, event.jobId, drillOf);
    if (event.type !== 'reread') continue;
    const left = [...copies].flatMap(([site, seen]) => seen.map(({ replicaId }) => madeBy.get(`${site}/${replicaId}`)));
    for (const drill of passedOf(event.jobs, drillOf))
      if (left.includes(drill)) found.push(`drill ${drill} counts as passed, and its copy is there`);
  }
  return found;
}

function noteMark(projection: Projection, jobId: string, drillOf: Map<string, string>): void {
  if (!('vm' in projection)) return;
  if (projection.event === 'testCopyBegun') drillOf.set(projection.vm, jobId);
  if (['testCopyRemoved', 'protectionEnded', 'protectionGivenUp'].includes(projection.event)) drillOf.delete(projection.vm);
}

function passedOf(jobs: readonly StoredJob[], drillOf: ReadonlyMap<string, string>): string[] {
  const newestFirst = jobs.toSorted((a, b) => b.job.startedAt - a.job.startedAt);
  return newestFirst.flatMap(({ job }) => {
    if (job.kind !== 'testFailover') return [];
    const cleanUps = newestFirst.filter((one) => one.job.kind === 'cleanUpTest' && (one.job.input as { drill?: string }).drill === job.id);
    const copiesLeft = [...drillOf.values()].filter((drill) => drill === job.id).length;
    return drillRecord(job, cleanUps, copiesLeft).verdict === 'passed' ? [job.id] : [];
  });
}

/** drill-network: a network that was made for a drill holds copies of that drill and no others, and is gone when no VM tells of the drill. */
export function drillNetwork(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const drillOf = new Map<string, string>();
  const madeBy = new Map<string, string>();
  const last = new Map<string, readonly SeenDrillNetwork[]>();
  for (const event of trace) {
    if (event.type === 'effect' && event.task.operation === 'startTestFailover')
      madeBy.set(`${event.site}/${event.task.vmId}`, jobOf(event.task.commandId));
    if (event.type === 'facts') for (const projection of event.projections) noteMark(projection, event.jobId, drillOf);
    if (event.type === 'drillNetworks') {
      last.set(event.site, event.networks);
      for (const { drill, replicaIds } of event.networks)
        for (const replicaId of replicaIds)
          if (madeBy.get(`${event.site}/${replicaId}`) !== drill)
            found.push(`the test copy of ${replicaId} is on the network of drill ${drill}, which is not its own`);
    }
    if (event.type !== 'finished') continue;
    const known = new Set(drillOf.values());
    const left = [...last.values()].flat().filter(({ drill }) => !known.has(drill));
    found.push(...left.map(({ drill }) => `the network of drill ${drill} is left, and no VM tells of it`));
  }
  return found;
}
