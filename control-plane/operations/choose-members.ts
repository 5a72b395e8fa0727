/** Who of a target takes part in a failover: whoever cannot be failed over now is left out and named; one that is busy or has a test copy is not. */
import type { Direction } from '../../shared/api/operations.ts';
import { type VmOperation, whyNot } from '../../shared/domain/protected-vm.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { allVms, type ResolvedTarget, type TargetVm } from './compile.ts';

export interface ChosenMembers {
  readonly chosen: ResolvedTarget;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Throws ERR_PLAN_EMPTY with the reason of each when nobody is left. A busy VM stays: claiming it will name the job. */
export function chooseMembers(target: ResolvedTarget, operation: VmOperation, direction: Direction): ChosenMembers {
  const source = direction === 'toRecovery' ? 'primary' : 'recovery';
  const skipped: { name: string; reason: string }[] = [];
  const groups = target.groups.map((group) => ({
    ...group,
    vms: group.vms.filter(({ vm }) => {
      const isOtherWay = whyNot(vm, operation) === '' && vm.replicatesFrom !== source;
      const elsewhere = `it runs at the ${vm.activeLocation} site already: only the other direction is open to it`;
      const reason = vm.busyWith ? '' : isOtherWay ? elsewhere : whyNot(vm, operation);
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

/** Throws ERR_DRILL_COPIES naming each member with a test copy, unless whoever asked has said that the copies may stay. */
export function refuseUndecidedDrills(members: readonly TargetVm[], drillCopies: 'leave' | undefined): void {
  if (drillCopies === 'leave') return;
  const problems = members.flatMap(({ vm }): Problem[] =>
    vm.drill === null ? [] : [{ field: vm.name, message: `the test copy of drill ${vm.drill} is there` }],
  );
  if (problems.length > 0) throw new FarshoreError('ERR_DRILL_COPIES', 'test copies of a drill are there', { problems });
}
