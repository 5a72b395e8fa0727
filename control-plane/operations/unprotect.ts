/**
 * End protection cleanly on both sides. Which copy runs stays as it is; the idle replica is deleted only where the policy
 * says so and it was never failed over. What has begun is not taken back: a failure waits for a person.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { type Compile, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';

const BEGIN_WITHIN_SECONDS = 3600;

export const compileUnprotect: Compile<'unprotect'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'unprotect', ['source', 'target'], actor, ports);
  return {
    target: target.title,
    input: { target: request.target, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })) },
    graph: { steps: members.flatMap(unprotectSteps) },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.unprotect })),
    newVms: [],
  };
};

function unprotectSteps(member: TargetVm): Step<StepWork>[] {
  const { vm, pairing } = member;
  const { id, epoch, name } = vm;
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { after: [], scope: id, pivot: true, attempts: 3 };
  const disable = stepOf('disable', id);
  const { source, target } = sidesOf(member);
  // Only a replica that we made: after a reversal the idle copy is the VM that was there before us.
  const deleteReplica = pairing.policy.deleteReplicaOnUnprotect && target.location === 'recovery' && vm.activeLocation === 'primary';
  return [
    {
      ...step,
      id: disable,
      title: `end replication of ${name} at the ${source.location} site`,
      work: {
        ...common,
        siteId: source.siteId,
        kind: 'replication.disable',
        args: { vm: source.ref },
        vm: { id, marks: { started: 'protectionEnding' } },
      },
      needs: [],
    },
    {
      ...step,
      id: stepOf('remove', id),
      title: `end replication of ${name} at the ${target.location} site`,
      work: {
        ...common,
        siteId: target.siteId,
        kind: 'replica.remove',
        args: { vm: target.ref, deleteReplica },
        vm: { id, marks: { done: 'protectionEnded', skipped: 'protectionEnded' } },
      },
      needs: [disable],
    },
  ];
}
