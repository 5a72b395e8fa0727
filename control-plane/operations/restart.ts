/** A new run of a job that did not go well: asked for as it was, for those of its VMs that were not done. Pure. */
import { JobInput } from '../../shared/api/job-input.ts';
import { OperationRequest, type Target } from '../../shared/api/operations.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, ProtectedVmId, VmId } from '../../shared/ids.ts';
import type { Job } from '../store/job-store.ts';

export interface Restart {
  readonly id: JobId;
  readonly reason: string;
  /** A person vouches anew for what was vouched for when it ran. */
  readonly attested: boolean;
}

/** What became of the job's VMs. */
export interface JobVms {
  readonly all: readonly ProtectedVmId[];
  readonly left: readonly ProtectedVmId[];
  /** VMs that are protected now, by whatever. */
  readonly protectedNow: ReadonlySet<VmId>;
}

/** Throws ERR_OPERATION_NOT_ALLOWED. */
export function restartRequest(job: Job, vms: JobVms, { id, reason, attested }: Restart): OperationRequest {
  if (job.endedAt === null) throw refusal('the job has not ended: decide what waits for a person, or cancel it first');
  if (job.state === 'succeeded') throw refusal('the job succeeded: nothing of it is left to do');
  const stored = OperationRequest.safeParse(JobInput.safeParse(job.input).data?.request);
  if (!stored.success) throw refusal('what was asked for is not kept with this job: ask for the operation itself');
  const request = narrowed({ ...stored.data, id }, vms);
  // What somebody vouched for was true then.
  if (!attested && request.kind === 'unplannedFailover' && request.primary.evidence === 'attested')
    throw refusal('a person vouched for the VMs being down when it ran: vouch for it anew (--attest)');
  if (!attested && request.kind === 'reverseReplication' && request.shutDownFormerPrimary !== undefined)
    throw refusal('a person gave up what the former primary holds when it ran: vouch anew that nobody needs it (--attest)');
  if (request.kind === 'unplannedFailover') return { ...request, primary: { ...request.primary, reason } };
  return 'reason' in request ? { ...request, reason } : request;
}

function narrowed(request: OperationRequest, vms: JobVms): OperationRequest {
  if ('target' in request) return { ...request, target: narrowedTo(vms, request.target) };
  if (request.kind !== 'protect' && request.kind !== 'adopt') return request;
  const left = request.vms.filter((vm) => !vms.protectedNow.has(vm));
  if (left.length === 0) throw refusal('every VM of the job is protected');
  return { ...request, vms: left };
}

function narrowedTo({ all, left }: JobVms, target: Target): Target {
  if (left.length === all.length) return target;
  if (left.length === 0)
    throw refusal('every VM of the job is done, only actions of the plan failed: they are run with VMs and not by themselves');
  return 'plan' in target ? { ...target, only: [...left] } : { vms: [...left] };
}

const refusal = (message: string) => new FarshoreError('ERR_OPERATION_NOT_ALLOWED', message);
