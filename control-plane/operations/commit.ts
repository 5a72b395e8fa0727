/** Commit a failover: the other recovery points are given up, and it can no longer be taken back. Never automatic. */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
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
    // To keep what nobody knew of is a decision of its own; else it goes on under that of the failover.
    claims: members.map(({ vm }) => ({
      id: vm.id,
      phases: operationPhases.commit,
      ...(vm.phase === 'interrupted' && { epoch: vm.nextEpoch }),
    })),
    newVms: [],
  };
};

function commitStep(member: TargetVm): Step<StepWork> {
  const { id, name, epoch, nextEpoch, phase } = member.vm;
  // What was broken off may have left it anywhere: it is looked at, and stays as it is where it does not run there.
  const isKnown = phase === 'failedOver';
  const { target } = sidesOf(member);
  return {
    id: stepOf('commit', id),
    title: `commit ${name}`,
    work: {
      siteId: target.siteId,
      epoch: isKnown ? epoch : nextEpoch,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'failover.commit',
      args: { vm: target.ref, ...(!isKnown && { onlyRunning: true as const }) },
      vm: { id, marks: { done: 'failoverCommitted' } },
    },
    needs: [],
    after: [],
    scope: id,
    pivot: isKnown,
    attempts: 3,
  };
}
