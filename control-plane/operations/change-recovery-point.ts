/**
 * Try another recovery point of VMs that were failed over and not committed: each goes off, back to a replica, and comes up from
 * the point chosen, all at the site it was failed over to. What was written there since the failover is lost, so a person says why, and that is kept.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { RecoveryPointChoice } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, startArgs, type TargetVm } from './compile.ts';

export const compileChangeRecoveryPoint: Compile<'changeRecoveryPoint'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'changeRecoveryPoint', ['target'], actor, ports);
  return {
    target: target.title,
    input: {
      target: request.target,
      vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })),
      recoveryPoint: request.recoveryPoint,
      reason: request.reason,
    },
    graph: { steps: members.flatMap((member) => changeSteps(member, request.recoveryPoint)) },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['failedOver'], epoch: vm.epoch + 1 })),
    newVms: [],
  };
};

function changeSteps(member: TargetVm, recoveryPoint: RecoveryPointChoice): Step<StepWork>[] {
  const { vm } = member;
  const { id, name } = vm;
  const { siteId, ref } = sidesOf(member).target;
  const work = { siteId, epoch: vm.epoch + 1, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { scope: id, pivot: true, attempts: 3, after: [] };
  const [look, back, again] = [stepOf('look', id), stepOf('take-back', id), stepOf('failover', id)];
  return [
    {
      ...step,
      id: look,
      title: `look for the recovery point of ${name}`,
      work: { ...work, kind: 'failover.findPoint', args: { vm: ref, recoveryPoint } },
      // Nothing is switched off for a point that is not there.
      looksOnly: true,
      pivot: false,
      needs: [],
    },
    {
      ...step,
      id: back,
      title: `take ${name} back to a replica`,
      work: {
        ...work,
        kind: 'failover.cancel',
        args: { vm: ref },
        vm: { id, marks: { started: 'takeBackStarted', skipped: 'takeBackGivenUp' } },
      },
      // It still runs from the point it had: nothing is to be done to it.
      skipEndsScope: true,
      needs: [look],
    },
    {
      ...step,
      id: again,
      title: `fail over ${name} to the point chosen`,
      work: {
        ...work,
        kind: 'failover.execute',
        args: { vm: ref, recoveryPoint },
        vm: { id, marks: { skipped: 'failoverInterrupted' } },
      },
      // It is a replica again, which nobody can start: to be failed over once more, or taken back.
      skipEndsScope: true,
      needs: [back],
    },
    {
      ...step,
      id: stepOf('start', id),
      title: `start ${name}`,
      work: {
        ...work,
        kind: 'vm.start',
        args: startArgs(member, ref),
        vm: { id, marks: { done: 'replicaStarted', skipped: 'replicaStarted' } },
      },
      needs: [again],
    },
  ];
}
