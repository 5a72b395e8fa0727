/** A drill read from the jobs that made it up: the test failover, and its clean-ups. Pure. */
import type { DrillAnswer } from '../../shared/api/drills.ts';
import { JobInput } from '../../shared/api/job-input.ts';
import { verdictOf } from '../../shared/domain/drill.ts';
import { standsUntil } from '../../shared/domain/drill-schedule.ts';
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Job } from '../store/job-store.ts';

/** A clean-up, with its facts where it did not succeed: one that did has removed every copy that it was for. */
export interface CleanUp {
  readonly job: Job;
  readonly facts: readonly Fact[];
}

export const needsFacts = ({ state }: Job): boolean => state !== 'succeeded';

/** `cleanUps` are those of this drill, newest first. */
export function drillRecord(drill: Job, cleanUps: readonly CleanUp[], copiesLeft: number): DrillAnswer {
  const { id, target, startedBy, startedAt, endedAt, state } = drill;
  const cleanUp = cleanUpOf(cleanUps[0]?.job);
  const { groups = [], cleanUpAfterMinutes: minutes } = inputOf(drill);
  const members = groups.flatMap((group) => group.members);
  const cleaned = new Set(cleanUps.flatMap(cleanedBy));
  return {
    id,
    target,
    startedBy,
    startedAt: isoMoment(startedAt),
    endedAt: moment(endedAt),
    state,
    vms: members.length,
    copiesLeft,
    verdict: verdictOf({
      hasSucceeded: state === 'succeeded',
      hasEnded: endedAt !== null,
      copiesLeft,
      isCleanedUp: members.every(({ vm }) => cleaned.has(vm)),
      cleanUp: cleanUp && { hasEnded: cleanUp.endedAt !== null, outcome: cleanUp.outcome },
    }),
    cleansUpAt: copiesLeft > 0 && endedAt !== null && minutes !== undefined ? isoMoment(standsUntil(endedAt, minutes)) : null,
    cleanUp,
  };
}

/** Whose copies it is known to have removed. */
function cleanedBy({ job, facts }: CleanUp): ProtectedVmId[] {
  const vms = (inputOf(job).vms ?? []).map(({ vm }) => vm);
  if (!needsFacts(job)) return vms;
  const done = new Set(facts.flatMap((fact) => (fact.type === 'done' ? [fact.step] : [])));
  return vms.filter((vm) => done.has(stepOf('clean-up', vm)));
}

function cleanUpOf(job: Job | undefined): DrillAnswer['cleanUp'] {
  if (job === undefined) return null;
  const { outcome = 'failed', notes = '' } = inputOf(job);
  const { id, startedBy, startedAt, endedAt, state } = job;
  return { job: id, by: startedBy, startedAt: isoMoment(startedAt), endedAt: moment(endedAt), state, outcome, notes };
}

const inputOf = (job: Job): JobInput => JobInput.safeParse(job.input).data ?? {};

function moment(at: number | null): string | null {
  return at === null ? null : isoMoment(at);
}
