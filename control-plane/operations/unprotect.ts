/**
 * End protection cleanly on both sides. Which copy runs stays as it is; the idle replica is deleted only where the policy
 * says so and it was never failed over. What has begun is not taken back: a failure waits for a person.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { type Compile, primaryRef, recoveryRef, resolveAllowed, type TargetVm } from './compile.ts';

const BEGIN_WITHIN_SECONDS = 3600;

export const compileUnprotect: Compile<'unprotect'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'unprotect', ['primary', 'recovery'], actor, ports);
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
  const deleteReplica = pairing.policy.deleteReplicaOnUnprotect && vm.activeLocation === 'primary';
  return [
    {
      ...step,
      id: disable,
      title: `end replication of ${name} at the primary site`,
      work: {
        ...common,
        siteId: pairing.primary.siteId,
        kind: 'replication.disable',
        args: { vm: primaryRef(member) },
        vm: { id, marks: { started: 'protectionEnding' } },
      },
      needs: [],
    },
    {
      ...step,
      id: stepOf('remove', id),
      title: `end replication of ${name} at the recovery site`,
      work: {
        ...common,
        siteId: pairing.recovery.siteId,
        kind: 'replica.remove',
        args: { vm: recoveryRef(member), deleteReplica },
        vm: { id, marks: { done: 'protectionEnded', skipped: 'protectionEnded' } },
      },
      needs: [disable],
    },
  ];
}
