/** A recovery point as a person names it on the command line. */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { FarshoreError } from '../../shared/errors.ts';

export const POINTS = 'latest, latest-application-consistent, or the id of one that `vms points` lists';

/** Hyper-V Replica numbers its points with GUIDs. */
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function pointOf(text: string): OperationRequestOf<'unplannedFailover'>['recoveryPoint'] {
  if (text === 'latest') return { choose: 'latest' };
  if (text === 'latest-application-consistent') return { choose: 'latestApplicationConsistent' };
  if (guid.test(text)) return { choose: 'given', id: text };
  throw new FarshoreError('ERR_REQUEST_INVALID', `--recovery-point knows: ${POINTS}; not '${text}'`);
}
