/** Invariants about the actions of plans, worked out from the order of the plan that a job keeps, not from its graph. */
import { type ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { TraceEvent } from './trace.ts';

interface PlanOfJob {
  readonly actions: readonly ActionRecord[];
  /** By action with `stop`, the steps that come after it in the plan. */
  readonly behind: ReadonlyMap<string, readonly string[]>;
}

/** action-once: no action is begun a second time but by a person who said so, and no script is run twice for one command. */
export function actionOnce(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const ran = new Set<string>();
  for (const event of trace) {
    if (event.type !== 'script') continue;
    if (ran.has(event.commandId)) found.push(`${event.name} was run twice for ${event.commandId}`);
    ran.add(event.commandId);
  }
  const left = new Map<string, number>();
  eachFact(trace, ({ actions }, fact, jobId) => {
    if (!actions.some(({ step }) => step === fact.step)) return;
    const key = `${jobId}/${fact.step}`;
    if (fact.type === 'decided' && fact.decision === 'retry') left.set(key, (left.get(key) ?? 1) + 1);
    if (fact.type !== 'started' && fact.type !== 'asked') return;
    left.set(key, (left.get(key) ?? 1) - 1);
    if ((left.get(key) ?? 0) < 0) found.push(`action ${key} was begun again, and nobody had said so`);
  });
  return found;
}

/** stop-holds: nothing that comes after an action with `stop` starts once it has failed, until a person has decided it. */
export function stopHolds(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const failed = new Map<string, ReadonlySet<string>>();
  eachFact(trace, (plan, fact, jobId) => {
    const key = `${jobId}/${fact.step}`;
    if (fact.type === 'decided') failed.delete(key);
    if (fact.type === 'failed' && !fact.retry) failed.set(key, new Set(plan.behind.get(fact.step)));
    if (fact.type !== 'started' && fact.type !== 'asked') return;
    for (const [action, behind] of failed)
      if (action.startsWith(`${jobId}/`) && behind.has(fact.step))
        found.push(`${fact.step} of ${jobId} started after ${action} had failed`);
  });
  return found;
}

type StepFact = Extract<Fact, { step: unknown }>;

function eachFact(trace: readonly TraceEvent[], look: (plan: PlanOfJob, fact: StepFact, jobId: string) => void): void {
  const plans = new Map<string, PlanOfJob>();
  for (const event of trace) {
    if (event.type === 'opened') plans.set(event.job.job.id, planOf(event.job.job.input));
    const plan = event.type === 'facts' ? plans.get(event.jobId) : undefined;
    if (event.type !== 'facts' || plan === undefined) continue;
    for (const fact of event.facts) if ('step' in fact) look(plan, fact, event.jobId);
  }
}

function planOf(input: unknown): PlanOfJob {
  const groups = JobInput.safeParse(input).data?.groups ?? [];
  const actions = groups.flatMap((group) => group.actions ?? []);
  const behind = new Map<string, string[]>();
  let later: string[] = [];
  for (const { members, actions: own = [] } of groups.toReversed()) {
    const ofGroup = (when: 'before' | 'after') => own.filter((action) => action.member === undefined && action.when === when);
    const hold = (list: readonly ActionRecord[]) => {
      for (const { step, onFailure } of list.toReversed()) {
        if (onFailure === 'stop') behind.set(step, [...later]);
        later = [step, ...later];
      }
    };
    hold(ofGroup('after'));
    const ofMembers = members.flatMap(({ vm, name }) =>
      memberSteps(
        vm,
        own.filter(({ member }) => member === name),
        behind,
      ),
    );
    later = [...ofMembers, ...later];
    hold(ofGroup('before'));
  }
  return { actions, behind };
}

/** The way of a member: its actions and its start, in order. */
function memberSteps(vm: string, own: readonly ActionRecord[], behind: Map<string, string[]>): string[] {
  const of = (when: 'before' | 'after') => own.filter((action) => action.when === when).map(({ step }) => step as string);
  const way = [...of('before'), `start/${vm}`, ...of('after')];
  for (const { step, onFailure } of own) if (onFailure === 'stop') behind.set(step, way.slice(way.indexOf(step) + 1));
  return way;
}
