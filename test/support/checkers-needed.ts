/** Whether the actions of groups are for somebody, told from what becomes of the members: the rules of the engine are not asked. */
import { JobInput } from '../../shared/api/job-input.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { TraceEvent } from './trace.ts';

/** action-needed: no action of a group is begun for nobody, and none is passed over while a member is up or still on its way. */
export function actionNeeded(trace: readonly TraceEvent[]): string[] {
  return [...jobsIn(trace)].flatMap(([jobId, { facts, groups }]) =>
    groups.flatMap(({ members, actions = [] }) => {
      const ofGroup = new Set(actions.flatMap(({ step, member }) => (member === undefined ? [step as string] : [])));
      return facts.flatMap((fact, index) => {
        if (!('step' in fact) || !ofGroup.has(fact.step)) return [];
        const before = facts.slice(0, index);
        const after = facts.slice(index + 1);
        const isBegun = (fact.type === 'started' || fact.type === 'asked') && fact.attempt === 1;
        if (isBegun && canBeTold(after) && !members.some(({ vm }) => isUp(vm, before) || goesOn(vm, after)))
          return [`${fact.step} of ${jobId} was begun, and nobody of its group was left`];
        if (fact.type === 'notNeeded' && members.some(({ vm }) => isUp(vm, before) || isBegunIn(vm, after)))
          return [`${fact.step} of ${jobId} was passed over, and somebody of its group was left`];
        return [];
      });
    }),
  );
}

interface JobFacts {
  readonly groups: NonNullable<JobInput['groups']>;
  readonly facts: Fact[];
}

function jobsIn(trace: readonly TraceEvent[]): ReadonlyMap<string, JobFacts> {
  const jobs = new Map<string, JobFacts>();
  for (const event of trace) {
    if (event.type === 'opened')
      jobs.set(event.job.job.id, { groups: JobInput.safeParse(event.job.job.input).data?.groups ?? [], facts: [] });
    if (event.type === 'facts') jobs.get(event.jobId)?.facts.push(...event.facts);
  }
  return jobs;
}

/** What still happens to members tells whether they were left, unless something else has stopped them. */
function canBeTold(after: readonly Fact[]): boolean {
  const isStop = (fact: Fact) => fact.type === 'cancelled' || (fact.type === 'failed' && !fact.retry);
  return after.some(({ type }) => type === 'ended') && !after.some(isStop);
}

const isAbout = (vm: string, fact: Fact) => 'step' in fact && fact.step.endsWith(`/${vm}`);

/** It was started, and nothing has gone wrong with it since. */
function isUp(vm: string, before: readonly Fact[]): boolean {
  const own = before.filter((fact) => isAbout(vm, fact));
  const started = own.findLastIndex((fact) => fact.type === 'done' && 'step' in fact && fact.step === `start/${vm}`);
  return started >= 0 && !own.slice(started).some((fact) => fact.type === 'failed' && !fact.retry);
}

/** Something is still done for it or decided about it, other than taking it back. */
function goesOn(vm: string, after: readonly Fact[]): boolean {
  return after.some(
    (fact) => isAbout(vm, fact) && !fact.type.startsWith('undo') && !(fact.type === 'decided' && fact.direction === 'undo'),
  );
}

const isBegunIn = (vm: string, after: readonly Fact[]) =>
  after.some((fact) => isAbout(vm, fact) && (fact.type === 'started' || fact.type === 'asked'));
