/**
 * What a drill means for a protected VM. Pure. A drill is no phase: the VM stays what it is and goes on replicating; beside the
 * phase stands which drill has left its test copy at the site that holds the replica. It stands there from before the copy is
 * made until after it is known to be gone, so that no copy can be forgotten.
 */

export type DrillEvent = 'testCopyBegun' | 'testCopyRemoved';

export const isDrillEvent = (event: string): event is DrillEvent => event === 'testCopyBegun' || event === 'testCopyRemoved';

/** What may be done with the VM while a test copy of it is there. Everything else waits until it is cleaned up. */
const besideACopy: readonly string[] = ['plannedFailover', 'unplannedFailover', 'cleanUpTest', 'suspend', 'resume'];

/** Why an operation may not start because of a test copy that is there, or is not; empty when it may. */
export function whyNotBesideACopy(drill: string | null, operation: string): string {
  if (drill === null) return operation === 'cleanUpTest' ? 'no test copy of it is there' : '';
  return besideACopy.includes(operation) ? '' : `the test copy of drill ${drill} is there; clean the drill up first`;
}

/** What a person says of a drill when they clean it up. */
export const DRILL_OUTCOMES = ['passed', 'failed'] as const;
export type DrillOutcome = (typeof DRILL_OUTCOMES)[number];

export type DrillVerdict = 'open' | DrillOutcome;

/** What of a drill decides how it ended. */
export interface DrillRecord {
  /** Every copy ran, and the job has ended. */
  readonly hasSucceeded: boolean;
  readonly hasEnded: boolean;
  /** Protected VMs that tell of it. */
  readonly copiesLeft: number;
  /** Clean-ups have removed every copy. One whose VM was taken out of protection by force is told of by nobody, and may still run. */
  readonly isCleanedUp: boolean;
  /** The last clean-up: whether it has ended, and what the person said; null where there was none. */
  readonly cleanUp: { readonly hasEnded: boolean; readonly outcome: DrillOutcome } | null;
}

/** A drill has passed when every copy ran, a person says so, and every copy was cleaned up; it is open until then, or until nobody can do that any more. */
export function verdictOf({ hasSucceeded, hasEnded, copiesLeft, isCleanedUp, cleanUp }: DrillRecord): DrillVerdict {
  if (!hasEnded || copiesLeft > 0 || cleanUp?.hasEnded === false) return 'open';
  return hasSucceeded && isCleanedUp && cleanUp?.outcome === 'passed' ? 'passed' : 'failed';
}
