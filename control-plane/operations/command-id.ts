/** The id of the command that an attempt of a step is: the same on every delivery, and from a log alone. */
import type { Direction } from '../../shared/engine/engine.ts';
import { CommandId, type JobId, type StepId } from '../../shared/ids.ts';

export interface StepAttempt {
  readonly step: StepId;
  readonly direction: Direction;
  readonly attempt: number;
}

export function commandIdOf(job: JobId, { step, direction, attempt }: StepAttempt): CommandId {
  return CommandId.parse(`${job}/${step}/${attempt}${direction === 'undo' ? '/undo' : ''}`);
}
