/** A new run of a job that did not go well: asked for as it was, for those of its VMs that were not done. Pure. */
import { JobInput } from '../../shared/api/job-input.ts';
import { OperationRequest, type Target } from '../../shared/api/operations.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, ProtectedVmId } from '../../shared/ids.ts';
import type { Job } from '../store/store.ts';

export interface Restart {
  readonly id: JobId;
  readonly reason: string;
  /** A person vouches anew that the VMs are down where they are moved away from. */
  readonly attested: boolean;
}

/** `left` are the VMs of the job that were not done. Throws ERR_OPERATION_NOT_ALLOWED. */
export function restartRequest(job: Job, left: readonly ProtectedVmId[], { id, reason, attested }: Restart): OperationRequest {
  if (job.endedAt === null) throw refusal('the job has not ended: decide what waits for a person, or cancel it first');
  if (job.state === 'succeeded') throw refusal('the job succeeded: nothing of it is left to do');
  const stored = OperationRequest.safeParse(JobInput.safeParse(job.input).data?.request);
  if (!stored.success) throw refusal('what was asked for is not kept with this job: ask for the operation itself');
  const request = { ...stored.data, id };
  const narrowed = 'target' in request ? { ...request, target: narrowedTo(left, request.target, job) } : request;
  // What somebody vouched for was true then.
  if (narrowed.kind === 'unplannedFailover' && narrowed.primary.evidence === 'attested' && !attested)
    throw refusal('a person vouched for the VMs being down when it ran: vouch for it anew (--attest)');
  if (narrowed.kind === 'unplannedFailover') return { ...narrowed, primary: { ...narrowed.primary, reason } };
  return 'reason' in narrowed ? { ...narrowed, reason } : narrowed;
}

function narrowedTo(left: readonly ProtectedVmId[], target: Target, { state }: Job): Target {
  if (state !== 'completedWithFailures') return target;
  if (left.length === 0)
    throw refusal('every VM of the job is done, only actions of the plan failed: they are run with VMs and not by themselves');
  return 'plan' in target ? { ...target, only: [...left] } : { vms: [...left] };
}

const refusal = (message: string) => new FarshoreError('ERR_OPERATION_NOT_ALLOWED', message);
