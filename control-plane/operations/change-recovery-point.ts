/**
 * Try another recovery point of VMs that were failed over and not committed: each goes off, back to a replica, and comes up from
 * the point chosen, all at the site it was failed over to. What was written there since the failover is lost, so a person says why, and that is kept.
 */
import {
  type ActingMember,
  type Before,
  beforeShutDown,
  compileGroups,
  endsNeeded,
  groupsBeforeShutDown,
  lastOf,
  stepOf,
  withActions,
} from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepId } from '../../shared/ids.ts';
import type { RecoveryPointChoice } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, startArgs, type TargetVm } from './compile.ts';
import { compileActions } from './plan-actions.ts';

export const compileChangeRecoveryPoint: Compile<'changeRecoveryPoint'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'changeRecoveryPoint', ['target'], actor, ports);
  const { recoveryPoint } = request;
  const { groups, record } = compileActions(target, 'changeRecoveryPoint', (member) => ({ vm: member.vm.id, member }));
  // Nobody does anything for points that are not there.
  const actions = groupsBeforeShutDown(groups, { needs: [], after: members.map(({ vm }) => lookOf(vm.id)) });
  const { steps, ...graph } = compileGroups(
    groups,
    (vm) => stepOf('failover', vm),
    (member, turn, ends) => [
      ...goBack(member, recoveryPoint, lastOf(actions, [])),
      ...comeUp(member, recoveryPoint, { ...turn, needs: [...turn.needs, ...endsNeeded(member.member, ends)] }),
    ],
  );
  return {
    target: target.title,
    input: { target: request.target, ...record, recoveryPoint, reason: request.reason },
    graph: { ...graph, steps: [...actions, ...steps] },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['failedOver'], epoch: vm.nextEpoch })),
    newVms: [],
  };
};

type Member = ActingMember<StepWork> & { readonly member: TargetVm };

const lookOf = (vm: string): StepId => stepOf('look', vm);

/** All of it is done where the VM runs. */
const workFor = (member: TargetVm) => ({
  siteId: sidesOf(member).target.siteId,
  epoch: member.vm.nextEpoch,
  beginWithinSeconds: BEGIN_WITHIN_SECONDS,
});
const stepFor = ({ vm }: TargetVm) => ({ scope: vm.id, pivot: true, attempts: 3 });

function goBack(acting: Member, recoveryPoint: RecoveryPointChoice, first: readonly StepId[]): Step<StepWork>[] {
  const { member } = acting;
  const { id, name } = member.vm;
  const { ref } = sidesOf(member).target;
  const { steps, ...before } = beforeShutDown(acting, { needs: [lookOf(id), ...first], after: [] });
  return [
    {
      ...stepFor(member),
      id: lookOf(id),
      title: `look for the recovery point of ${name}`,
      work: { ...workFor(member), kind: 'failover.findPoint', args: { vm: ref, recoveryPoint } },
      // Nothing is switched off for a point that is not there.
      looksOnly: true,
      pivot: false,
      needs: [],
      after: [],
    },
    ...steps,
    {
      ...stepFor(member),
      ...before,
      id: stepOf('take-back', id),
      title: `take ${name} back to a replica`,
      work: {
        ...workFor(member),
        kind: 'failover.cancel',
        args: { vm: ref },
        vm: { id, marks: { started: 'takeBackStarted', skipped: 'takeBackGivenUp' } },
      },
      // It still runs from the point it had: nothing is to be done to it.
      skipEndsScope: true,
    },
  ];
}

function comeUp(acting: Member, recoveryPoint: RecoveryPointChoice, turn: Before): Step<StepWork>[] {
  const { member } = acting;
  const { id, name } = member.vm;
  const { ref } = sidesOf(member).target;
  const again = stepOf('failover', id);
  return [
    {
      ...stepFor(member),
      id: again,
      title: `fail over ${name} to the point chosen`,
      work: {
        ...workFor(member),
        kind: 'failover.execute',
        args: { vm: ref, recoveryPoint },
        vm: { id, marks: { skipped: 'failoverInterrupted' } },
      },
      // It is a replica again, which nobody can start: to be failed over once more, or taken back.
      skipEndsScope: true,
      needs: [stepOf('take-back', id)],
      after: [],
    },
    ...withActions<StepWork>(acting, {
      ...stepFor(member),
      id: stepOf('start', id),
      title: `start ${name}`,
      work: {
        ...workFor(member),
        kind: 'vm.start',
        args: startArgs(member, ref),
        vm: { id, marks: { done: 'replicaStarted', skipped: 'replicaStarted' } },
      },
      needs: [again, ...turn.needs],
      after: turn.after,
    }),
  ];
}
