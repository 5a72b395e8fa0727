/** What a failover does to one member: how it goes down at the source, where that is asked, and how it comes up at the target. */
import { lookAtSourceOf, type MemberWork } from '../../shared/domain/plan-compiler.ts';
import type { RecoveryPointChoice } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, sidesOf, startArgs, type TargetVm } from './compile.ts';

/** Where the failover of a VM begins, and with it the change of its promise. */
function beginning({ vm: { id, phase } }: TargetVm): Required<Pick<StepWork, 'vm'>> {
  // What an earlier failover left at the source is not taken back with this one.
  const undone = phase === 'interrupted' ? 'failoverInterrupted' : 'failoverUndone';
  return { vm: { id, marks: { started: 'failoverStarted', undone, undoneInPart: 'failoverInterrupted' } } };
}

/** How it comes up at the target, and is taken back as long as it has not been started. */
export function failoverWork(
  member: TargetVm,
  recoveryPoint: RecoveryPointChoice,
  { isShutDownBefore }: { readonly isShutDownBefore: boolean },
): MemberWork<StepWork> {
  const { vm, dependsOn } = member;
  const { siteId, ref } = sidesOf(member).target;
  const common = { siteId, epoch: vm.nextEpoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  return {
    vm: vm.id,
    name: vm.name,
    dependsOn,
    prepare: { ...common, kind: 'failover.execute', args: { vm: ref, recoveryPoint }, ...(!isShutDownBefore && beginning(member)) },
    takeBack: { ...common, kind: 'failover.cancel', args: { vm: ref, onlyOwn: true } },
    start: {
      ...common,
      kind: 'vm.start',
      args: startArgs(member, ref),
      // Whoever skips the start has taken the VM into their own hands there.
      vm: { id: vm.id, marks: { done: 'replicaStarted', skipped: 'replicaStarted' } },
    },
  };
}

export interface ShutDownWork {
  readonly look: StepWork;
  readonly work: StepWork;
  readonly undo: StepWork;
}

/** How it goes down at the source. Whether it ran is looked at before: what was off stays off when all is taken back. */
export function shutDownWork(member: TargetVm, beginWithinSeconds: number = BEGIN_WITHIN_SECONDS): ShutDownWork {
  const { siteId, ref } = sidesOf(member).source;
  const common = { siteId, epoch: member.vm.nextEpoch, beginWithinSeconds };
  return {
    look: { ...common, kind: 'failover.admit', args: { vm: ref, role: 'primary' } },
    work: { ...common, kind: 'failover.prepare', args: { vm: ref }, ...beginning(member) },
    undo: {
      ...common,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'failover.unprepare',
      args: { vm: ref },
      from: { isRunning: lookAtSourceOf(member.vm.id) },
    },
  };
}
