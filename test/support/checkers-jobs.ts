/** Invariants about jobs: what was acknowledged is there, what is done was written first, steps keep their order and their number. */
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import { type Graph, isGate, type Step } from '../../shared/engine/graph.ts';
import { isUnknown } from '../../shared/engine/run-nodes.ts';
import { commandsIn, confirmedIn, outcomesIn, type TraceEvent } from './trace.ts';

/** Repeating these leaves the same state. */
const idempotent: readonly Operation[] = [
  'prepareHosts',
  'releaseHosts',
  'configureReplica',
  'setReplicationPolicy',
  'makeDrillNetwork',
  'removeDrillNetwork',
  'connectTestCopy',
  'writeEpoch',
];

/** effect-once: for each command at most one effect of an operation that must not be repeated. */
export function effectOnce(trace: readonly TraceEvent[]): string[] {
  const counts = new Map<string, number>();
  for (const event of trace) {
    if (event.type !== 'effect' || idempotent.includes(event.task.operation)) continue;
    const key = `${event.task.operation} for ${event.task.commandId}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].flatMap(([key, count]) => (count > 1 ? [`${key} had its effect ${count} times`] : []));
}

/** acknowledged-survives: a job that somebody was told of, and every fact of it that was durable, is there after each start. */
export function acknowledgedSurvives(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const jobs = new Map<string, { readonly asked: string; facts: Fact[]; isAcknowledged: boolean }>();
  for (const event of trace) {
    if (event.type === 'opened') jobs.set(event.job.job.id, { asked: identity(event.job.job), facts: [], isAcknowledged: false });
    if (event.type === 'facts') jobs.get(event.jobId)?.facts.push(...event.facts);
    if (event.type === 'acknowledged') {
      const job = jobs.get(event.jobId);
      if (job) job.isAcknowledged = true;
      else found.push(`job ${event.jobId} was acknowledged and never stored`);
    }
    if (event.type === 'restored') {
      jobs.clear();
      for (const { job, facts } of event.jobs) jobs.set(job.id, { asked: identity(job), facts: [...facts], isAcknowledged: true });
    }
    if (event.type !== 'reread') continue;
    const stored = new Map(event.jobs.map((entry) => [entry.job.id as string, entry]));
    for (const [id, { asked, facts, isAcknowledged }] of jobs) {
      const now = stored.get(id);
      if (now === undefined) {
        if (isAcknowledged) found.push(`job ${id} was acknowledged and is gone`);
        continue;
      }
      if (identity(now.job) !== asked) found.push(`job ${id} is not the one that was acknowledged`);
      const kept = JSON.stringify(now.facts.slice(0, facts.length)) === JSON.stringify(facts);
      if (!kept) found.push(`job ${id} has lost or changed facts that were durable: ${facts.length} were, ${now.facts.length} are there`);
    }
  }
  return found;
}

function identity({
  id,
  kind,
  target,
  startedBy,
  startedAt,
  requestDigest,
}: {
  id: string;
  kind: string;
  target: string;
  startedBy: string;
  startedAt: number;
  requestDigest: string;
}): string {
  return JSON.stringify([id, kind, target, startedBy, startedAt, requestDigest]);
}

/**
 * written-first (rule 4): a command is sent after its step is in the log, acted on after its intent is in the journal, told
 * as ended after its result is, and confirmed after the log has it.
 */
export function writtenFirst(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const [started, settled] = [new Set<string>(), new Set<string>()];
  const [begun, concluded] = [new Set<string>(), new Set<string>()];
  const overJobs = new Set<string>();
  for (const event of trace) {
    if (event.type === 'restored') {
      for (const known of [started, settled, overJobs]) known.clear();
      for (const { job, facts } of event.jobs) {
        for (const fact of facts) noteFact(job.id, fact, started, settled);
        if (job.endedAt !== null) overJobs.add(job.id);
      }
    }
    if (event.type === 'facts') {
      for (const fact of event.facts) noteFact(event.jobId, fact, started, settled);
      if (event.facts.some(({ type }) => type === 'ended')) overJobs.add(event.jobId);
    }
    if (event.type === 'journal') {
      const key = `${event.site} ${event.commandId}`;
      if (event.write === 'began') begun.add(key);
      else concluded.add(key);
    }
    if (event.type === 'call' && !begun.has(`${event.site} ${event.commandId}`))
      found.push(`${event.operation} was called for ${event.commandId} before its intent was synced`);
    if (event.type === 'toCloud') {
      for (const { commandId } of outcomesIn(event.text))
        if (!concluded.has(`${event.site} ${commandId}`)) found.push(`the end of ${commandId} was told before it was synced`);
    }
    if (event.type === 'toAgent') {
      for (const { commandId } of commandsIn(event.text))
        if (!started.has(commandId)) found.push(`${commandId} was sent before the log had its step`);
      for (const commandId of confirmedIn(event.text)) {
        const job = commandId.slice(0, commandId.indexOf('/'));
        if (started.has(commandId) && !settled.has(commandId) && !overJobs.has(job))
          found.push(`the end of ${commandId} was confirmed before the log had it`);
      }
    }
  }
  return found;
}

function noteFact(jobId: string, fact: Fact, started: Set<string>, settled: Set<string>): void {
  if (!('attempt' in fact)) return;
  const id = `${jobId}/${fact.step}/${fact.attempt}`;
  switch (fact.type) {
    case 'started':
      return void started.add(id);
    case 'undoStarted':
      return void started.add(`${id}/undo`);
    case 'done':
    case 'failed':
      return void settled.add(id);
    case 'undone':
    case 'undoFailed':
      return void settled.add(`${id}/undo`);
  }
}

interface JobFold {
  readonly steps: ReadonlyMap<string, Step<unknown>>;
  readonly status: Map<string, 'running' | 'failed' | 'passedOver' | 'done' | 'skipped' | 'notNeeded' | 'undoing' | 'undone'>;
  readonly pastPivot: Set<string>;
  readonly attempts: Map<string, number>;
}

const foldOf = (graph: Graph<unknown>): JobFold => ({
  steps: new Map(graph.steps.map((step) => [step.id, step])),
  status: new Map(),
  pastPivot: new Set(),
  attempts: new Map(),
});

/** order: a step starts only after its predecessors, an undo goes backwards, and nothing past its pivot is undone. */
export function order(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  foldJobs(
    trace,
    () => {},
    (job, fact, jobId) => {
      const step = job.steps.get(fact.step);
      if (!step) return void found.push(`job ${jobId} has a fact about ${fact.step}, which is not in its graph`);
      if (fact.type === 'started' || fact.type === 'asked' || fact.type === 'notNeeded') {
        for (const id of step.needs) if (!isMet(job, id)) found.push(`${fact.step} of ${jobId} started before ${id} was done`);
        for (const id of step.after) if (!isSettled(job, id)) found.push(`${fact.step} of ${jobId} started before ${id} had settled`);
      }
      if (fact.type === 'undoStarted') {
        if (job.pastPivot.has(step.scope)) found.push(`${fact.step} of ${jobId} is undone past the pivot of its scope`);
        const left = [...job.steps.values()].filter(
          (other) => other.undo !== undefined && needsIt(job, other, step.id) && hasActed(job, other),
        );
        if (left.length > 0) found.push(`${fact.step} of ${jobId} is undone before ${left.map(({ id }) => id).join(', ')}`);
      }
    },
  );
  return found;
}

/** bounded-retries: no step is begun more often by itself than its graph allows; a person may add one each time. */
export function boundedRetries(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const budget = new Map<string, number>();
  const forget = () => budget.clear();
  foldJobs(trace, forget, (job, fact, jobId) => {
    const most = job.steps.get(fact.step)?.attempts ?? 1;
    const key = `${jobId}/${fact.step}/${fact.type === 'undoStarted' || (fact.type === 'decided' && fact.direction === 'undo') ? 'undo' : 'do'}`;
    const left = budget.get(key) ?? most;
    if (fact.type === 'decided') budget.set(key, Math.max(left, 0) + 1);
    if (fact.type !== 'started' && fact.type !== 'asked' && fact.type !== 'undoStarted') return;
    if (left <= 0) found.push(`${key} was begun more often than the ${most} times it may`);
    budget.set(key, left - 1);
  });
  return found;
}

type StepFact = Extract<Fact, { step: unknown }>;

/** Calls back before each fact is folded in. What a backup has is folded anew, once whoever looks has forgotten what came after it. */
function foldJobs(trace: readonly TraceEvent[], forget: () => void, look: (job: JobFold, fact: StepFact, jobId: string) => void): void {
  const graphs = new Map<string, Graph<unknown>>();
  const jobs = new Map<string, JobFold>();
  const foldAll = (jobId: string, facts: readonly Fact[]) => {
    const job = jobs.get(jobId);
    for (const fact of facts) {
      if (!job || !('step' in fact)) continue;
      look(job, fact, jobId);
      fold(job, fact);
    }
  };
  for (const event of trace) {
    if (event.type === 'opened') {
      graphs.set(event.job.job.id, event.job.graph);
      jobs.set(event.job.job.id, foldOf(event.job.graph));
    }
    if (event.type === 'restored') {
      forget();
      for (const { job, facts } of event.jobs) {
        jobs.set(job.id, foldOf(graphs.get(job.id) ?? { steps: [] }));
        foldAll(job.id, facts);
      }
    }
    if (event.type === 'facts') foldAll(event.jobId, event.facts);
  }
}

function fold(job: JobFold, fact: StepFact): void {
  const step = job.steps.get(fact.step);
  if (!step) return;
  switch (fact.type) {
    case 'started':
    case 'asked':
      job.status.set(step.id, 'running');
      if (step.pivot) job.pastPivot.add(step.scope);
      return;
    case 'done':
    case 'notNeeded':
      return void job.status.set(step.id, fact.type);
    case 'failed':
      return void job.status.set(step.id, step.aside === 'continue' && !isUnknown(step, fact.error.code) ? 'passedOver' : 'failed');
    case 'undoStarted':
      return void job.status.set(step.id, 'undoing');
    case 'undone':
      return void job.status.set(step.id, 'undone');
    case 'undoFailed':
      return;
    case 'decided':
      if (fact.decision === 'confirm') job.status.set(step.id, 'done');
      if (fact.decision === 'skip') job.status.set(step.id, fact.direction === 'do' ? 'skipped' : 'undone');
      if (fact.decision === 'skip' && fact.direction === 'do' && step.skipEndsScope) endScope(job, step.scope);
  }
}

/** A person has given the rest of it up. */
function endScope(job: JobFold, scope: string): void {
  for (const step of job.steps.values()) if (step.scope === scope && !job.status.has(step.id)) job.status.set(step.id, 'skipped');
}

/** Directly or through others of its scope. */
function needsIt(job: JobFold, step: Step<unknown>, id: string): boolean {
  return step.needs.some((before) => {
    const other = job.steps.get(before);
    return before === id || (other !== undefined && other.scope === step.scope && needsIt(job, other, id));
  });
}

/** It was begun, and what it did has not been taken back. One that only looks has done nothing when it fails. */
function hasActed(job: JobFold, step: Step<unknown>): boolean {
  const status = job.status.get(step.id);
  if (status === 'failed') return step.looksOnly !== true;
  return status === 'running' || status === 'done' || status === 'undoing';
}

function isMet(job: JobFold, id: string): boolean {
  const step = job.steps.get(id);
  if (!step) return false;
  if (isGate(step)) return step.needs.every((before) => isMet(job, before)) && step.after.every((before) => isSettled(job, before));
  const status = job.status.get(id);
  return status === 'done' || status === 'skipped' || status === 'notNeeded' || status === 'passedOver';
}

/** Well or not: a step whose scope failed before it could begin has settled too. */
function isSettled(job: JobFold, id: string): boolean {
  const step = job.steps.get(id);
  if (!step) return false;
  if (isGate(step)) return step.needs.every((before) => isSettled(job, before)) && step.after.every((before) => isSettled(job, before));
  const status = job.status.get(id);
  if (status !== undefined && status !== 'running') return true;
  const scope = [...job.steps.values()].filter((other) => other.scope === step.scope);
  const hasFailed = scope.some((other) => ['failed', 'undoing', 'undone'].includes(job.status.get(other.id) ?? ''));
  return status === undefined && (hasFailed || isDenied(job, scope));
}

/** It needs what has fallen in another scope, or what is denied there in its turn. */
function isDenied(job: JobFold, scope: readonly Step<unknown>[]): boolean {
  const needed = new Set(scope.flatMap(({ needs }) => needs.flatMap((id) => job.steps.get(id) ?? [])));
  return [...needed].some((step) => {
    const status = job.status.get(step.id);
    if (step.scope === scope[0]?.scope || job.pastPivot.has(step.scope)) return false;
    const others = () => [...job.steps.values()].filter((other) => other.scope === step.scope);
    return status === undefined ? isDenied(job, others()) : status === 'failed' || status === 'undone';
  });
}

/** every-job-ends: once faults stop, each job has ended or waits visibly for a person. */
export function everyJobEnds(trace: readonly TraceEvent[]): string[] {
  if (!trace.some(({ type }) => type === 'finished')) return [];
  const state = new Map<string, 'open' | 'ended' | 'parked' | 'waiting'>();
  for (const event of trace) {
    if (event.type === 'restored') {
      state.clear();
      for (const { job } of event.jobs)
        state.set(job.id, job.endedAt !== null ? 'ended' : job.state === 'parked' || job.state === 'waiting' ? job.state : 'open');
    }
    if (event.type === 'opened') state.set(event.job.job.id, 'open');
    if (event.type !== 'facts') continue;
    for (const fact of event.facts) {
      if (fact.type === 'ended') state.set(event.jobId, 'ended');
      if (fact.type === 'parked' || fact.type === 'waiting') state.set(event.jobId, fact.type);
      if (fact.type === 'held') state.set(event.jobId, 'parked');
      if (fact.type === 'decided' || fact.type === 'resumed' || (fact.type === 'cancelled' && state.get(event.jobId) === 'waiting'))
        state.set(event.jobId, 'open');
    }
  }
  return [...state].flatMap(([id, now]) => (now === 'open' ? [`job ${id} has neither ended nor been parked`] : []));
}
