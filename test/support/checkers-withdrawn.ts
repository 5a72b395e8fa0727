/** withdrawn: nothing is changed at a site any more for a command that the control plane has given up, or whose job has ended. */
import type { Fact } from '../../shared/engine/facts.ts';
import { jobOf } from './checkers-sites.ts';
import type { TraceEvent } from './trace.ts';

export function withdrawn(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const givenUp = new Set<string>();
  /** The last act of a bounded attempt may come late: it is held back by the epoch of whatever follows. */
  const outOfTime = new Set<string>();
  const ended = new Set<string>();
  for (const event of trace) {
    // A control plane that was put back does not know what it has given up since.
    if (event.type === 'restored') for (const known of [givenUp, outOfTime, ended]) known.clear();
    if (event.type === 'facts')
      for (const fact of event.facts) {
        if (fact.type === 'ended') ended.add(event.jobId);
        const failure = failureOf(event.jobId, fact);
        if (failure?.code === 'ERR_SITE_GIVEN_UP') givenUp.add(failure.commandId);
        if (failure?.code === 'ERR_TIME_LIMIT') outOfTime.add(failure.commandId);
      }
    const change = event.type === 'call' ? event.operation : event.type === 'script' ? event.name : null;
    if (change === null || !('commandId' in event)) continue;
    const { commandId, site } = event;
    if (givenUp.has(commandId)) found.push(`${change} at ${site} for ${commandId}, which was given up`);
    else if (ended.has(jobOf(commandId)) && !outOfTime.has(commandId))
      found.push(`${change} at ${site} for ${commandId}, whose job has ended`);
  }
  return found;
}

function failureOf(jobId: string, fact: Fact): { readonly commandId: string; readonly code: string } | null {
  if (fact.type !== 'failed' && fact.type !== 'undoFailed') return null;
  const undo = fact.type === 'undoFailed' ? '/undo' : '';
  return { commandId: `${jobId}/${fact.step}/${fact.attempt}${undo}`, code: fact.error.code };
}
