/** How one member of a job stands, told from its steps. Server and command line say it with the same words. */
import type { MemberStatus, StepAnswer } from './jobs.ts';

export function memberStatus(steps: readonly Pick<StepAnswer, 'status' | 'waitsForPerson'>[]): MemberStatus {
  const has = (...wanted: StepAnswer['status'][]) => steps.some(({ status }) => wanted.includes(status));
  if (steps.some(({ waitsForPerson }) => waitsForPerson)) return 'waitsForPerson';
  if (has('running', 'undoing')) return 'running';
  if (has('failed', 'undoFailed')) return 'failed';
  if (has('undone')) return 'undone';
  if (has('blocked')) return 'failed';
  // Between two steps it waits: for its group, or for its turn.
  if (has('waiting')) return 'waiting';
  if (has('notNeeded')) return 'notNeeded';
  return has('skipped') ? 'skipped' : 'done';
}
