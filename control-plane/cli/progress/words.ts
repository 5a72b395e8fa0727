/** Jobs, states and stages in words for people. */
import type { JobAnswer, JobDetailAnswer, MemberStatus, StepAnswer } from '../../../shared/api/jobs.ts';
import type { RunApproval } from '../../../shared/api/run-approval.ts';
import type { Phase } from '../../../shared/domain/protected-vm.ts';
import type { JobState } from '../../../shared/engine/facts.ts';
import type { Stage } from '../../../shared/protocol/commands.ts';
import { moment, plain } from '../output.ts';

const kinds: Record<JobAnswer['kind'], string> = {
  pair: 'Pair',
  changePairing: 'Change the pairing',
  movePairing: 'Move the pairing',
  unpair: 'Remove the pairing',
  protect: 'Protect',
  adopt: 'Adopt',
  plannedFailover: 'Planned failover of',
  unplannedFailover: 'Unplanned failover of',
  takeBack: 'Take back',
  changeRecoveryPoint: 'Change the recovery point of',
  commit: 'Commit',
  reverseReplication: 'Reverse the replication of',
  importFirstCopy: 'Take in the first copy of',
  suspend: 'Suspend the replication of',
  resume: 'Resume the replication of',
  resynchronize: 'Resynchronize',
  testFailover: 'Test failover of',
  cleanUpTest: 'Clean up the test failover of',
  unprotect: 'Unprotect',
};

export function jobTitle({ kind, target }: Pick<JobAnswer, 'kind' | 'target'>): string {
  return `${kinds[kind]} ${plain(target)}`;
}

export function approvalText(approval: RunApproval): string {
  if (approval.state === 'approved') return `approved by ${plain(approval.by)} on ${moment(approval.at)}`;
  return `EMERGENCY: nobody had approved it; ${plain(approval.reason)}`;
}

export const stateWords: Record<JobState, string> = {
  inProgress: 'in progress',
  waiting: 'waiting for a person to confirm',
  parked: 'parked: waits for a person',
  succeeded: 'succeeded',
  completedWithFailures: 'completed with failures',
  failed: 'failed',
  cancelled: 'cancelled',
};

export const statusWords: Record<MemberStatus, string> = {
  waiting: 'waiting',
  running: 'running',
  done: 'done',
  failed: 'failed',
  undone: 'taken back',
  skipped: 'skipped by decision',
  notNeeded: 'not needed: nobody of the group is left',
  waitsForPerson: 'waits for a person',
};

export const phaseWords: Record<Phase, string> = {
  enabling: 'being protected',
  seeding: 'first copy under way',
  protected: 'protected',
  failingOver: 'being failed over',
  interrupted: 'its failover was broken off',
  failedOver: 'failed over',
  committed: 'failed over and committed',
  reversing: 'its replication is being reversed',
  disabling: 'being unprotected',
};

const stages: Record<Stage, string> = {
  waiting: 'waiting for its turn',
  preparing: 'preparing',
  copying: 'copying',
  shuttingDown: 'shutting the guest down',
  sendingLastChanges: 'sending the last changes',
  failingOver: 'failing over',
  makingTestCopy: 'making the test copy',
  checkingNetwork: 'checking that the network leads nowhere',
  starting: 'starting',
  waitingForGuest: 'waiting for the guest',
  waitingForCondition: 'waiting until it is so',
  runningScript: 'running the script',
  cleaningUp: 'cleaning up',
  reversing: 'turning replication round',
};

/** Which agents the job waits for that are not there; empty when there are none. */
export function awaitedText({ awaitedAgents }: Pick<JobDetailAnswer, 'awaitedAgents'>): string {
  return awaitedAgents
    .map(({ site, lastHeardAt, steps, overdueSteps }) => {
      const since = lastHeardAt === null ? 'never heard' : `last heard ${moment(lastHeardAt)}`;
      const overdue = overdueSteps === 0 ? '' : `, ${overdueSteps} of them too late to begin (ERR_COMMAND_OVERDUE)`;
      return `waits for the agent of ${plain(site)}, which is not connected (${since}): ${steps} ${steps === 1 ? 'step' : 'steps'}${overdue}`;
    })
    .join('; ');
}

export interface Activity {
  readonly words: string;
  /** How long its steps have been worked on; null where none was begun. */
  readonly seconds: number | null;
}

/** What goes on with a member, or what went wrong with it. */
export function activityOf(
  { steps, status }: { readonly steps: readonly StepAnswer[]; readonly status: MemberStatus },
  now: number,
): Activity {
  const times = steps.flatMap((step) => workedMs(step, now) ?? []);
  const seconds = times.length === 0 ? null : times.reduce((sum, ms) => sum + ms, 0) / 1000;
  const faulty = steps.find(
    ({ error, waitsForPerson }) => error !== null && (waitsForPerson || status === 'failed' || status === 'undone'),
  );
  if (faulty?.error) return { words: `${plain(faulty.title)}: ${faulty.error.code}`, seconds };
  const running = steps.find((step) => step.status === 'running' || step.status === 'undoing');
  if (running === undefined) {
    const isPrepared = status === 'waiting' && steps.some((step) => step.status === 'done');
    return { words: isPrepared ? 'prepared, waits for its turn' : statusWords[status], seconds };
  }
  const again = running.attempt > 1 ? ` (attempt ${running.attempt})` : '';
  return { words: `${workOf(running)}${again}`, seconds: (workedMs(running, now) ?? 0) / 1000 };
}

function workOf({ status, stage, title }: StepAnswer): string {
  if (status === 'undoing') return `taking back: ${plain(title)}`;
  return stage === null ? plain(title) : stages[stage];
}

function workedMs({ startedAt, endedAt }: StepAnswer, now: number): number | null {
  return startedAt === null ? null : Math.max(0, (endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt));
}
