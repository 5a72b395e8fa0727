/** What the facts of a job lead to when nothing runs any more. Pure. */
import type { JobEnd } from './facts.ts';
import { hasWork, isOfTheMatter, isPassedOver, type Scope } from './run-nodes.ts';

export type Verdict = JobEnd | 'parked' | 'waiting';

/** `isAsking`: a person was asked for something and has not answered. */
export function verdictOf(scopes: Iterable<Scope<unknown>>, isAsking: boolean, isCancelled: boolean): Verdict {
  let [done, lost, isFlawed, isHeld] = [0, 0, false, false];
  for (const scope of scopes) {
    if (scope.status === 'stuck' || scope.status === 'undoStuck') return 'parked';
    // An active scope with a step still waiting waits for one that is stuck, or for a person.
    isHeld ||= scope.nodes.some((node) => node.status === 'waiting');
    isFlawed ||= scope.nodes.some(isPassedOver);
    if (!hasWork(scope)) continue;
    if (scope.status === 'undone' || scope.nodes.some((node) => node.status === 'skipped')) lost++;
    else if (isOfTheMatter(scope)) done++;
  }
  if (isAsking) return 'waiting';
  if (isHeld) return 'parked';
  if (isCancelled && lost > 0) return 'cancelled';
  if (lost === 0) return isFlawed ? 'completedWithFailures' : 'succeeded';
  return done === 0 ? 'failed' : 'completedWithFailures';
}
