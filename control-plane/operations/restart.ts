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
  const vouched = vouchedFor(request);
  if (!attested && vouched.length > 0)
    throw refusal(`when it ran, a person vouched ${vouched.join(', and ')}: vouch for that anew (--attest)`);
  return withReason(request, reason);
}

/** What a person took upon themselves when it was asked for: it was so then. */
function vouchedFor(request: OperationRequest): string[] {
  const all = {
    'that the VMs are down where they are left': request.kind === 'unplannedFailover' && request.primary.evidence === 'attested',
    'that nobody needs what the former primary holds': 'shutDownFormerPrimary' in request && request.shutDownFormerPrimary,
    'that it is an emergency, which needs no approval': 'emergency' in request && request.emergency,
    'that it is done although a side is away': 'forced' in request && request.forced,
    'that recovery points may be deleted': 'deleteRecoveryPoints' in request && request.deleteRecoveryPoints,
    'that settings may differ from the policy': request.kind === 'adopt' && request.differences?.do === 'keep',
  };
  return Object.entries(all).flatMap(([what, isVouched]) => (isVouched ? [what] : []));
}

/** Every reason in it is that of the new run: nobody finds the words of then under the job of now. */
function withReason(request: OperationRequest, reason: string): OperationRequest {
  const anew = (value: unknown) => (typeof value === 'object' && value !== null && 'reason' in value ? { ...value, reason } : value);
  const fields = Object.entries(request).map(([name, value]) => [name, name === 'reason' ? reason : anew(value)]);
  return OperationRequest.parse(Object.fromEntries(fields));
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
