/** What the exit code tells a script. */
import type { JobState } from '../../shared/engine/facts.ts';
import { type ErrorCode, errorCodes } from '../../shared/errors.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3, withFailures: 4, parked: 5, unreachable: 6, interrupted: 130 } as const;

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    failed
  2    a mistake in the command line or in a file, or a name that is not there
  3    not signed in, or not allowed
  4    the job completed with failures
  5    the job waits for a person: to confirm what was asked, or to decide what failed
  6    the control plane cannot be reached
  130  you stopped watching (Ctrl-C); the job goes on`;

export function exitCodeOfJob(state: JobState): number {
  if (state === 'completedWithFailures') return EXIT.withFailures;
  if (state === 'parked' || state === 'waiting') return EXIT.parked;
  return state === 'failed' || state === 'cancelled' ? EXIT.failed : EXIT.ok;
}

const unreachable: readonly ErrorCode[] = ['ERR_CONTROL_PLANE_UNREACHABLE', 'ERR_PROXY_REFUSED'];
const mistakes: readonly ErrorCode[] = ['ERR_NOT_FOUND', 'ERR_REQUEST_INVALID', 'ERR_DOCUMENT_INVALID'];

export function exitCodeOfError(code: ErrorCode): number {
  if (unreachable.includes(code)) return EXIT.unreachable;
  if (mistakes.includes(code)) return EXIT.usage;
  const { http } = errorCodes[code];
  return http === 401 || http === 403 ? EXIT.refused : EXIT.failed;
}
