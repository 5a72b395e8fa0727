/**
 * The invariants of shared/invariants.md as functions over a trace. Each answers what was broken, in words, and nothing for
 * a good run. They know the protocol and the table of facts, and nothing of how the product keeps its promises.
 */

import { actionOnce, actionOrder, stopHolds } from './checkers-actions.ts';
import { drillIsolated, drillKnown, drillNetwork, drillPassed } from './checkers-drill.ts';
import { acknowledgedSurvives, boundedRetries, effectOnce, everyJobEnds, order, writtenFirst } from './checkers-jobs.ts';
import { metadataOnly } from './checkers-metadata.ts';
import { actionNeeded } from './checkers-needed.ts';
import { promiseKept } from './checkers-promises.ts';
import { restoredWaits } from './checkers-restored.ts';
import { causeChecker, deadSite, epochOrder, newestProtection, outageNeutral, singleActivation } from './checkers-sites.ts';
import { withdrawn } from './checkers-withdrawn.ts';
import type { TraceEvent } from './trace.ts';

export type Checker = (trace: readonly TraceEvent[]) => string[];

export const checkers = {
  'single-activation': singleActivation,
  'epoch-order': epochOrder,
  'newest-protection': newestProtection,
  'effect-once': effectOnce,
  cause: causeChecker,
  'outage-neutral': outageNeutral,
  withdrawn,
  'restored-waits': restoredWaits,
  'dead-site': deadSite,
  'acknowledged-survives': acknowledgedSurvives,
  'written-first': writtenFirst,
  order,
  'bounded-retries': boundedRetries,
  'action-once': actionOnce,
  'stop-holds': stopHolds,
  'action-order': actionOrder,
  'action-needed': actionNeeded,
  'every-job-ends': everyJobEnds,
  'metadata-only': metadataOnly,
  'drill-isolated': drillIsolated,
  'drill-known': drillKnown,
  'promise-kept': promiseKept,
  'drill-passed': drillPassed,
  'drill-network': drillNetwork,
} as const satisfies Record<string, Checker>;

export type Invariant = keyof typeof checkers;

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
}

export function violationsOf(trace: readonly TraceEvent[]): Violation[] {
  return (Object.keys(checkers) as Invariant[]).flatMap((invariant) => checkers[invariant](trace).map((what) => ({ invariant, what })));
}

/** One line each, the invariant first, at most three of each: the form that the planted bugs are recognised by. */
export function tellViolations(violations: readonly Violation[]): string {
  const byInvariant = Map.groupBy(violations, ({ invariant }) => invariant);
  return [...byInvariant.values()]
    .flatMap((some) => some.slice(0, 3))
    .map(({ invariant, what }) => `${invariant}: ${what}`)
    .join('\n');
}
