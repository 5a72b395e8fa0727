/**
 * Take a failover back before it is committed: the VM goes off at the side it was failed over to, replicates as before, and
 * runs where it came from. What was written since the failover is lost, so a person says why, and that is kept. A VM is started
 * where it came from only after it is off at the other side; whoever skips that leaves it where it is.
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
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, startArgs, type TargetVm } from './compile.ts';
import { compileActions } from './plan-actions.ts';

export const compileTakeBack: Compile<'takeBack'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'takeBack', ['source', 'target'], actor, ports);
  const { groups, record } = compileActions(target, 'takeBack', (member) => ({ vm: member.vm.id, member }));
  const actions = groupsBeforeShutDown(groups, { needs: [], after: [] });
  const { steps, ...graph } = compileGroups(
    groups,
    (vm) => stepOf('release', vm),
    (member, turn, ends) => [
      ...goOff(member, lastOf(actions, [])),
      ...comeBack(member, { ...turn, needs: [...turn.needs, ...endsNeeded(member.member, ends)] }),
    ],
  );
  return {
    target: target.title,
    input: {
      target: request.target,
      ...record,
      reason: request.reason,
    },
    graph: { ...graph, steps: [...actions, ...steps] },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.takeBack, epoch: vm.nextEpoch })),
    newVms: [],
  };
};

type Member = ActingMember<StepWork> & { readonly member: TargetVm };

const common = ({ vm }: TargetVm) => ({ epoch: vm.nextEpoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS });
const stepFor = ({ vm }: TargetVm) => ({ scope: vm.id, pivot: true, attempts: 3 });

function goOff(acting: Member, first: readonly StepId[]): Step<StepWork>[] {
  const { member } = acting;
  const { id, name } = member.vm;
  const { target } = sidesOf(member);
  const { steps, ...before } = beforeShutDown(acting, { needs: first, after: [] });
  return [
    ...steps,
    {
      ...stepFor(member),
      ...before,
      id: stepOf('take-back', id),
      title: `take ${name} back at the ${target.location} site`,
      work: {
        ...common(member),
        siteId: target.siteId,
        kind: 'failover.cancel',
        args: { vm: target.ref },
        vm: {
          id,
          marks: { started: 'takeBackStarted', skipped: member.vm.phase === 'failedOver' ? 'takeBackGivenUp' : 'failoverInterrupted' },
        },
      },
      skipEndsScope: true,
    },
  ];
}

function comeBack(acting: Member, turn: Before): Step<StepWork>[] {
  const { member } = acting;
  const { id, name } = member.vm;
  const { source } = sidesOf(member);
  const atSource = { ...common(member), siteId: source.siteId };
  const release = stepOf('release', id);
  return [
    {
      ...stepFor(member),
      id: release,
      title: `let ${name} start at the ${source.location} site again`,
      work: { ...atSource, kind: 'failover.unprepare', args: { vm: source.ref, isRunning: false } },
      needs: [stepOf('take-back', id)],
      after: [],
    },
    ...withActions<StepWork>(acting, {
      ...stepFor(member),
      id: stepOf('start', id),
      title: `start ${name} at the ${source.location} site`,
      work: {
        ...atSource,
        kind: 'vm.start',
        args: startArgs(member, source.ref),
        vm: { id, marks: { done: 'failoverUndone', skipped: 'failoverInterrupted' } },
      },
      // It is left off on both sides: nothing is to be done behind its start.
      skipEndsScope: true,
      needs: [release, ...turn.needs],
      after: turn.after,
    }),
  ];
}
