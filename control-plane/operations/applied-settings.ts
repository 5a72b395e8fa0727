/** What a step has set at its VM of what a pairing says, once it is done: read off the command itself. */
import type { ProtectedVmId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Projection } from '../store/job-store.ts';
import { networksDigest, policyDigest, type VmSettings } from '../store/vm-settings.ts';

/** Steps of a VM have its id as their scope. */
export function appliedBy({ scope, work }: { readonly scope: string; readonly work?: StepWork }): Projection[] {
  const settings = work === undefined ? null : settingsOf(work);
  return settings === null ? [] : [{ appliedTo: scope as ProtectedVmId, settings }];
}

function settingsOf({ kind, args }: StepWork): Partial<VmSettings> | null {
  if (kind === 'replication.enable' || kind === 'replication.setPolicy' || kind === 'replication.reverse')
    return args.policy ? { policy: policyDigest(args.policy) } : null;
  if (kind === 'replica.configure') return args.networks ? { networks: networksDigest(args.networks) } : null;
  return null;
}
