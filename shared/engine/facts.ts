/**
 * The facts of a job. Its log of facts is the only truth of a job: progress, the state of every step, the report and
 * the restart are all read from it. A fact is written down before anything is done because of it.
 */
import { z } from 'zod';
import { ERROR_CODES } from '../errors.ts';
import { StepId } from '../ids.ts';

const StepError = z.strictObject({
  code: z.enum(ERROR_CODES),
  /** Where the log of the agent tells more; empty where there is no more. */
  logRef: z.string().max(36),
  /** Of a script that ended with another one than 0. */
  exitCode: z.int().optional(),
});
export type StepError = z.infer<typeof StepError>;

export const JobEnd = z.enum(['succeeded', 'completedWithFailures', 'failed', 'cancelled']);
export type JobEnd = z.infer<typeof JobEnd>;

export const JobState = z.enum(['inProgress', 'waiting', 'parked', ...JobEnd.options]);
export type JobState = z.infer<typeof JobState>;

/** What a person may decide about a step that waits for them. */
export const Decision = z.enum(['retry', 'skip', 'confirm']);
export type Decision = z.infer<typeof Decision>;

/** Why a job is held. */
export const HoldCode = z.enum(['ERR_NEWER_DECISION', 'ERR_SITE_UNHEARD']);
export type HoldCode = z.infer<typeof HoldCode>;

/** `upTo`: the number of the last command that it has told of; whoever lets the job go on has taken all up to there into account. */
export const HeldBySite = z.strictObject({ site: z.string().max(100), upTo: z.int().min(0) });
export type HeldBySite = z.infer<typeof HeldBySite>;

const at = { at: z.int().min(0) };
const attempt = z.int().min(1);

/** `at` is the moment on the engine's clock, milliseconds since 1970. */
export const Fact = z.discriminatedUnion('type', [
  /** The step is handed out. Nothing is sent before this is durable. */
  z.strictObject({ ...at, type: z.literal('started'), step: StepId, attempt }),
  /** A person is asked to do the step and to confirm it. */
  z.strictObject({ ...at, type: z.literal('asked'), step: StepId, attempt }),
  z.strictObject({ ...at, type: z.literal('done'), step: StepId, attempt, result: z.unknown() }),
  /** `retry`: it will be tried again by itself. */
  z.strictObject({ ...at, type: z.literal('failed'), step: StepId, attempt, error: StepError, retry: z.boolean() }),
  /** It was its turn, and nobody whom it would be done for was left: it is not begun, and what needs it goes on. */
  z.strictObject({ ...at, type: z.literal('notNeeded'), step: StepId }),
  z.strictObject({ ...at, type: z.literal('undoStarted'), step: StepId, attempt }),
  z.strictObject({ ...at, type: z.literal('undone'), step: StepId, attempt }),
  z.strictObject({ ...at, type: z.literal('undoFailed'), step: StepId, attempt, error: StepError, retry: z.boolean() }),
  /** Nothing goes on until a person confirms what was asked. */
  z.strictObject({ ...at, type: z.literal('waiting') }),
  /** Nothing more can be done without a person, because something failed. */
  z.strictObject({ ...at, type: z.literal('parked') }),
  /** Nothing is handed out any more: the sites named know, or may know, of decisions that the log does not have. */
  z.strictObject({ ...at, type: z.literal('held'), code: HoldCode, sites: z.array(HeldBySite) }),
  /** It goes on: a person has looked, or nothing stands against it any more. */
  z.strictObject({ ...at, type: z.literal('resumed'), by: z.string(), reason: z.string() }),
  /** A person decided a step that waits for them; `confirm` is of one that was asked, and its reason is the comment. */
  z.strictObject({
    ...at,
    type: z.literal('decided'),
    decision: Decision,
    step: StepId,
    /** Whether its work or its undoing waited. */
    direction: z.enum(['do', 'undo']),
    by: z.string(),
    reason: z.string(),
    /** Of a step that was given up and is skipped: its site was looked at, and has not done it. */
    isNotDone: z.literal(true).optional(),
  }),
  /** A person takes it that `executor` will not answer: what it has in hand fails, and what it would have to undo is left. */
  z.strictObject({ ...at, type: z.literal('givenUp'), executor: z.string().max(100), by: z.string(), reason: z.string() }),
  z.strictObject({ ...at, type: z.literal('cancelled'), by: z.string(), reason: z.string() }),
  z.strictObject({ ...at, type: z.literal('ended'), state: JobEnd }),
]);
export type Fact = z.infer<typeof Fact>;

export type Hold = Extract<Fact, { type: 'held' }>;

/** What holds the job now; null where it goes on. */
export function holdOf(facts: Iterable<Fact>): Hold | null {
  let hold: Hold | null = null;
  for (const fact of facts) {
    if (fact.type === 'held') hold = fact;
    if (fact.type === 'resumed' || fact.type === 'ended') hold = null;
  }
  return hold;
}

type OfTheJob = Extract<Fact, { type: 'waiting' | 'parked' | 'held' | 'resumed' | 'ended' }>;

/** It says which state the job is in from now on, and nothing else. */
export const isOfTheJob = (fact: Fact): fact is OfTheJob => ['waiting', 'parked', 'held', 'resumed', 'ended'].includes(fact.type);

export function stateFrom(fact: OfTheJob): JobState {
  if (fact.type === 'ended') return fact.state;
  if (fact.type === 'resumed') return 'inProgress';
  return fact.type === 'held' ? 'parked' : fact.type;
}

/** What was said of a job as a whole, and what it is called in reports. */
export const wordsOnTheJob = { cancelled: 'cancel', givenUp: 'giveUp', resumed: 'resume' } as const;
type WordOnTheJob = Extract<Fact, { type: keyof typeof wordsOnTheJob }>;

export const isWordOnTheJob = (fact: Fact): fact is WordOnTheJob => fact.type in wordsOnTheJob;
