/** Jobs, states and stages in words for people. */
import type { JobAnswer, MemberStatus, StepAnswer } from '../../../shared/api/jobs.ts';
import type { JobState } from '../../../shared/engine/facts.ts';
import type { Stage } from '../../../shared/protocol/commands.ts';
import { plain } from '../output.ts';

const kinds: Record<JobAnswer['kind'], string> = {
  pair: 'Pair',
  protect: 'Protect',
  unplannedFailover: 'Unplanned failover:',
  commit: 'Commit',
  unprotect: 'Unprotect',
};

export function jobTitle({ kind, target }: Pick<JobAnswer, 'kind' | 'target'>): string {
  return `${kinds[kind]} ${plain(target)}`;
}

export const stateWords: Record<JobState, string> = {
  inProgress: 'in progress',
  parked: 'parked: waits for a person',
  succeeded: 'succeeded',
  completedWithFailures: 'completed with failures',
  failed: 'failed',
  cancelled: 'cancelled',
};

export const statusWords: Record<MemberStatus, string> = {
  waiting: 'waiting',
  running: 'between steps',
  done: 'done',
  failed: 'failed',
  undone: 'taken back',
  skipped: 'skipped by decision',
  waitsForPerson: 'waits for a person',
};

const stages: Record<Stage, string> = {
  waiting: 'waiting for its turn',
  preparing: 'preparing',
  copying: 'copying',
  failingOver: 'failing over',
  starting: 'starting',
  waitingForGuest: 'waiting for the guest',
  cleaningUp: 'cleaning up',
};

/** What goes on with a member, or what went wrong; since when and until when. Null when there is nothing to tell. */
export function activityOf({ steps, status }: { readonly steps: readonly StepAnswer[]; readonly status: MemberStatus }) {
  const begun = steps.filter(({ startedAt }) => startedAt !== null);
  const first = begun[0]?.startedAt;
  if (first == null) return null;
  const since = Date.parse(first);
  const faulty = steps.find(({ error, waitsForPerson }) => error !== null && (waitsForPerson || status !== 'running'));
  if (faulty?.error) return { words: `${plain(faulty.title)}: ${faulty.error.code}`, since, until: endOf(faulty) };
  if (status === 'done' || status === 'undone' || status === 'skipped') {
    const last = begun.map(endOf).reduce((a, b) => (a !== null && b !== null ? Math.max(a, b) : null), 0);
    return { words: statusWords[status], since, until: last };
  }
  const running = steps.find((step) => step.status === 'running' || step.status === 'undoing');
  if (running === undefined) return { words: statusWords[status], since, until: null };
  const again = running.attempt > 1 ? ` (attempt ${running.attempt})` : '';
  const words =
    running.status === 'undoing'
      ? `taking back: ${plain(running.title)}`
      : running.stage === null
        ? plain(running.title)
        : stages[running.stage];
  return { words: `${words}${again}`, since, until: null };
}

function endOf({ endedAt }: StepAnswer): number | null {
  return endedAt === null ? null : Date.parse(endedAt);
}
