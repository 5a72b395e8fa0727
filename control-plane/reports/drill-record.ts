/** A drill read from the jobs that made it up: the test failover, and its clean-ups. Pure. */
import type { DrillAnswer } from '../../shared/api/drills.ts';
import { JobInput } from '../../shared/api/job-input.ts';
import { verdictOf } from '../../shared/domain/drill.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Job } from '../store/store.ts';

/** `cleanUps` are those of this drill, newest first. */
export function drillRecord(drill: Job, cleanUps: readonly Job[], copiesLeft: number): DrillAnswer {
  const { id, target, startedBy, startedAt, endedAt, state } = drill;
  const cleanUp = cleanUpOf(cleanUps[0]);
  return {
    id,
    target,
    startedBy,
    startedAt: isoMoment(startedAt),
    endedAt: moment(endedAt),
    state,
    vms: (JobInput.safeParse(drill.input).data?.groups ?? []).reduce((sum, { members }) => sum + members.length, 0),
    copiesLeft,
    verdict: verdictOf({
      hasSucceeded: state === 'succeeded',
      hasEnded: endedAt !== null,
      copiesLeft,
      cleanUp: cleanUp && { hasEnded: cleanUp.endedAt !== null, outcome: cleanUp.outcome },
    }),
    cleanUp,
  };
}

function cleanUpOf(job: Job | undefined): DrillAnswer['cleanUp'] {
  if (job === undefined) return null;
  const { outcome = 'failed', notes = '' } = JobInput.safeParse(job.input).data ?? {};
  const { id, startedBy, startedAt, endedAt, state } = job;
  return { job: id, by: startedBy, startedAt: isoMoment(startedAt), endedAt: moment(endedAt), state, outcome, notes };
}

function moment(at: number | null): string | null {
  return at === null ? null : isoMoment(at);
}
