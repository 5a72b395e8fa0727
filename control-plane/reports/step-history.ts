/** What happened to each step of a job, read from its facts. Pure. */
import type { Fact, StepError } from '../../shared/engine/facts.ts';
import type { StepId } from '../../shared/ids.ts';
import type { Interval } from './time-split.ts';

export interface StepFailure {
  readonly at: number;
  readonly error: StepError;
  /** It is not tried again by itself. */
  readonly isFinal: boolean;
}

/** An attempt that is under way has no end yet: its `to` is Infinity. */
export interface Attempt extends Interval {
  /** Undefined unless it was done. */
  readonly result: unknown;
}

export interface StepHistory {
  readonly firstStartedAt: number | null;
  /** When it last settled; null while it is under way. */
  readonly endedAt: number | null;
  /** When its last `done` was logged, and with which result. */
  readonly doneAt: number | null;
  readonly result: unknown;
  readonly failures: readonly StepFailure[];
  /** A site had it in hand. */
  readonly atSite: readonly Attempt[];
  /** From a failure, or from the asking, until a person decided it. */
  readonly forPerson: readonly Interval[];
}

interface Draft {
  firstStartedAt: number | null;
  endedAt: number | null;
  doneAt: number | null;
  result: unknown;
  failures: StepFailure[];
  atSite: { from: number; to: number; result: unknown }[];
  forPerson: Interval[];
  /** Since when a person is asked. */
  askedAt: number | null;
}

export function historiesOf(facts: Iterable<Fact>): ReadonlyMap<StepId, StepHistory> {
  const drafts = new Map<StepId, Draft>();
  const draftOf = (step: StepId): Draft => {
    const known = drafts.get(step);
    if (known) return known;
    const fresh: Draft = {
      firstStartedAt: null,
      endedAt: null,
      doneAt: null,
      result: undefined,
      failures: [],
      atSite: [],
      forPerson: [],
      askedAt: null,
    };
    drafts.set(step, fresh);
    return fresh;
  };
  for (const fact of facts) {
    if ('step' in fact) fold(draftOf(fact.step), fact);
  }
  for (const { askedAt, forPerson } of drafts.values())
    if (askedAt !== null) forPerson.push({ from: askedAt, to: Number.POSITIVE_INFINITY });
  return drafts;
}

function fold(draft: Draft, fact: Extract<Fact, { step: StepId }>): void {
  switch (fact.type) {
    case 'started':
    case 'undoStarted':
      draft.firstStartedAt ??= fact.at;
      draft.endedAt = null;
      draft.atSite.push({ from: fact.at, to: Number.POSITIVE_INFINITY, result: undefined });
      return;
    case 'asked':
      draft.firstStartedAt ??= fact.at;
      draft.endedAt = null;
      draft.askedAt = fact.at;
      return;
    case 'done':
      draft.doneAt = fact.at;
      draft.result = fact.result;
      return settle(draft, fact.at, fact.result);
    case 'undone':
      draft.doneAt = null;
      return settle(draft, fact.at);
    case 'failed':
    case 'undoFailed':
      draft.failures.push({ at: fact.at, error: fact.error, isFinal: !fact.retry });
      return settle(draft, fact.at);
    case 'notNeeded':
      draft.endedAt = fact.at;
      return;
    case 'decided':
      return decide(draft, fact.at);
  }
}

function decide(draft: Draft, at: number): void {
  const from = draft.askedAt ?? draft.endedAt;
  if (from !== null) draft.forPerson.push({ from, to: at });
  if (draft.askedAt !== null) draft.endedAt = at;
  draft.askedAt = null;
}

function settle(draft: Draft, at: number, result?: unknown): void {
  draft.endedAt = at;
  const open = draft.atSite.at(-1);
  if (open) Object.assign(open, { to: at, result });
}
