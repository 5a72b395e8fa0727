/** Commit a failover: the other recovery points are given up, and it can no longer be taken back. Never automatic. */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';

export const compileCommit: Compile<'commit'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'commit', ['target'], actor, ports);
  return {
    target: target.title,
    input: { target: request.target, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })), reason: request.reason },
    graph: {
      steps: members.map(commitStep),
    },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['failedOver'] })),
    newVms: [],
  };
};

function commitStep(member: TargetVm): Step<StepWork> {
  const { id, name, epoch } = member.vm;
  const { target } = sidesOf(member);
  return {
    id: stepOf('commit', id),
    title: `commit ${name}`,
    work: {
      siteId: target.siteId,
      epoch,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'failover.commit',
      args: { vm: target.ref },
      vm: { id, marks: { done: 'failoverCommitted' } },
    },
    needs: [],
    after: [],
    scope: id,
    pivot: true,
    attempts: 3,
  };
}
