/** Invariants about drills: a test copy reaches nobody, production does not notice it, and none is forgotten. */
import type { Operation } from '../../provider-agent/fabric/simulated/fault.ts';
import { isDrillEvent } from '../../shared/domain/drill.ts';
import { jobOf } from './checkers-sites.ts';
import type { TraceEvent } from './trace.ts';

const ofCopies: readonly Operation[] = ['startTestFailover', 'connectTestCopy', 'startTestVm', 'stopTestFailover'];
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
