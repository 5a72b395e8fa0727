/** Who of a target takes part in a failover: whoever cannot be failed over now is left out and named, one that is busy is not. */
import { type VmOperation, whyNot } from '../../shared/domain/protected-vm.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { allVms, type ResolvedTarget } from './compile.ts';

export interface ChosenMembers {
  readonly chosen: ResolvedTarget;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Throws ERR_PLAN_EMPTY with the reason of each when nobody is left. A busy VM stays: claiming it will name the job. */
export function chooseMembers(target: ResolvedTarget, operation: VmOperation): ChosenMembers {
  const skipped: { name: string; reason: string }[] = [];
  const groups = target.groups.map((group) => ({
    ...group,
    vms: group.vms.filter(({ vm }) => {
      const reason = vm.busyWith ? '' : whyNot(vm, operation);
      if (reason !== '') skipped.push({ name: vm.name, reason });
      return reason === '';
    }),
  }));
  const chosen = { ...target, groups };
  if (allVms(chosen).length === 0) {
    throw new FarshoreError('ERR_PLAN_EMPTY', 'none of the VMs can be failed over now', {
      problems: skipped.map(({ name, reason }): Problem => ({ field: name, message: reason })),
    });
  }
  return { chosen, skipped };
}
