/** One reason why a job cannot be opened. */
import type { ErrorCode } from '../../shared/errors.ts';

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}
