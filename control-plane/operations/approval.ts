/** Whether a target may be failed over, or run scripts in a drill, in a vault that asks for approval: an approved version of a plan, or an emergency with its reason. */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import type { RunApproval } from '../../shared/api/run-approval.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Store } from '../store/store.ts';
import type { ResolvedTarget } from './compile.ts';
import type { Actor } from './operations.ts';

/**
 * Null where the vault asks for none. VMs that are named one by one are no approved plan, or listing them would be the way round it.
 * Throws ERR_PLAN_NOT_APPROVED.
 */
export async function approvalOf(
  { plan }: ResolvedTarget,
  emergency: OperationRequestOf<'plannedFailover'>['emergency'],
  { vaultId }: Actor,
  { wishes, accounts }: Store,
): Promise<RunApproval | null> {
  const { settings } = await wishes.settings(vaultId);
  if (!settings.requirePlanApproval) return null;
  if (plan?.approval) {
    const { by, at } = plan.approval;
    return { state: 'approved', by: (await accounts.findUser(vaultId, by))?.name ?? '', at: isoMoment(at) };
  }
  if (emergency) return { state: 'emergency', reason: emergency.reason };
  const what = plan === null ? 'VMs that are named one by one' : `version ${plan.version} of ${plan.name}`;
  throw new FarshoreError('ERR_PLAN_NOT_APPROVED', `nobody has approved ${what}`);
}
