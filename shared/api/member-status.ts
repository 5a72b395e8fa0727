/** How one member of a job stands, told from its steps. Server and command line say it with the same words. */
import type { MemberStatus, StepAnswer } from './jobs.ts';

export function memberStatus(steps: readonly Pick<StepAnswer, 'status' | 'waitsForPerson'>[]): MemberStatus {
  const has = (...wanted: StepAnswer['status'][]) => steps.some(({ status }) => wanted.includes(status));
  if (steps.some(({ waitsForPerson }) => waitsForPerson)) return 'waitsForPerson';
  if (has('running', 'undoing')) return 'running';
  if (has('failed', 'undoFailed')) return 'failed';
  if (has('undone')) return 'undone';
  if (has('blocked')) return 'failed';
  if (has('skipped')) return has('waiting') ? 'running' : 'skipped';
  if (!has('waiting')) return 'done';
  return has('done') ? 'running' : 'waiting';
}
