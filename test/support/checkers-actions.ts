/** Invariants about the actions of plans, worked out from the order of the plan that a job keeps, not from its graph. */
import { type ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import type { ActionPlace } from '../../shared/domain/plan-actions.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { TraceEvent } from './trace.ts';

interface PlanOfJob {
  readonly actions: readonly ActionRecord[];
  /** By action, the steps that come after it in the plan. */
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
    const stops = plan.actions.some(({ step, onFailure }) => step === fact.step && onFailure === 'stop');
    if (fact.type === 'failed' && !fact.retry && stops) failed.set(key, new Set(plan.behind.get(fact.step)));
    if (fact.type !== 'started' && fact.type !== 'asked') return;
    for (const [action, behind] of failed)
      if (action.startsWith(`${jobId}/`) && behind.has(fact.step))
        found.push(`${fact.step} of ${jobId} started after ${action} had failed`);
  });
  return found;
}

/** action-order: nothing starts before an action that comes before it in the plan has settled. */
export function actionOrder(trace: readonly TraceEvent[]): string[] {
  const found: string[] = [];
  const settled = new Set<string>();
  eachFact(trace, (plan, fact, jobId) => {
    const key = `${jobId}/${fact.step}`;
    if (fact.type === 'decided' && fact.decision === 'retry') settled.delete(key);
    else if (fact.type === 'done' || fact.type === 'notNeeded' || fact.type === 'decided' || (fact.type === 'failed' && !fact.retry))
      settled.add(key);
    if (fact.type !== 'started' && fact.type !== 'asked') return;
    for (const { step } of plan.actions)
      if (!settled.has(`${jobId}/${step}`) && plan.behind.get(step)?.includes(fact.step))
        found.push(`${fact.step} of ${jobId} started before ${step}`);
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
  const behind = new Map<string, readonly string[]>();
  let later: string[] = [];
  const hold = (list: readonly ActionRecord[]) => {
    for (const { step } of list.toReversed()) {
      behind.set(step, later);
      later = [step, ...later];
    }
  };
  const ofGroup = (group: (typeof groups)[number], place: ActionPlace) =>
    (group.actions ?? []).filter((action) => action.member === undefined && action.when === place);
  for (const group of groups.toReversed()) {
    hold(ofGroup(group, 'after'));
    later = [...group.members.flatMap((member) => wayOf(member, group.actions ?? [], behind)), ...later];
    hold(ofGroup(group, 'before'));
  }
  const ofMembers = actions.flatMap(({ member, when, step }) => (member !== undefined && when === 'beforeShutDown' ? [step] : []));
  later = [...ofMembers, ...groups.flatMap(({ members }) => members.flatMap(({ vm }) => goingOff(vm))), ...later];
  for (const group of groups) hold(ofGroup(group, 'beforeShutDown'));
  return { actions, behind };
}

const goingOff = (vm: string) => [`shut-down/${vm}`, `take-back/${vm}`];

/** The way of a member once it comes up: its actions and its start, in order. */
function wayOf({ vm, name }: { vm: string; name: string }, all: readonly ActionRecord[], behind: Map<string, readonly string[]>): string[] {
  const own = all.filter(({ member }) => member === name);
  const at = (place: ActionPlace) => own.filter((action) => action.when === place).map(({ step }) => step as string);
  const up = [...at('before'), `start/${vm}`, ...at('after')];
  const way = [...at('beforeShutDown'), ...goingOff(vm), ...up];
  for (const { step } of own) behind.set(step, way.slice(way.indexOf(step) + 1));
  return up;
}
