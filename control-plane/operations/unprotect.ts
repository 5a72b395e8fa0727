/**
 * End protection on both sides. Which copy runs stays as it is; the idle replica is deleted only where the policy says so and
 * it was never failed over. What has begun is not taken back: a failure waits for a person.
 *
 * Forced, it waits for nobody: the VM is forgotten at once, and the steps of a side that is away stay open, which is the list of
 * what is left there. They are done when the side is back, or the side is given up and a person cleans it.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases, PHASES } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import {
  allVms,
  BEGIN_WITHIN_SECONDS,
  type Compile,
  LEFT_WITHIN_SECONDS,
  resolveAllowed,
  resolveTarget,
  type Side,
  sidesOf,
  type TargetVm,
} from './compile.ts';

export const compileUnprotect: Compile<'unprotect'> = async (request, actor, ports) => {
  const { forced } = request;
  const target = forced
    ? await resolveTarget(request.target, actor, ports.store)
    : (await resolveAllowed(request.target, 'unprotect', ['source', 'target'], actor, ports)).target;
  const members = allVms(target);
  const isAway = ({ siteId }: Side) => !ports.presence.isConnected(siteId);
  return {
    target: target.title,
    input: {
      target: request.target,
      vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })),
      forced: forced ?? null,
      reason: request.reason ?? forced?.reason,
    },
    graph: { steps: members.flatMap((member) => (forced ? forcedSteps(member, isAway) : cleanSteps(member))) },
    claims: members.map(({ vm: { id, nextEpoch } }) =>
      // What is left keeps its epoch: a site that knows a newer protection of the VM refuses it.
      forced ? { id, phases: PHASES, epoch: nextEpoch } : { id, phases: operationPhases.unprotect },
    ),
    newVms: [],
    excludes: members.map(({ vm: { vmId, name } }) => ({ vmId, name })),
  };
};

function cleanSteps(member: TargetVm): Step<StepWork>[] {
  const { disable, remove } = stepsOf(member);
  const { id } = member.vm;
  return [
    { ...disable, work: { ...disable.work, vm: { id, marks: { started: 'protectionEnding' } } } },
    {
      ...remove,
      needs: [disable.id],
      work: { ...remove.work, vm: { id, marks: { done: 'protectionEnded', skipped: 'protectionEnded' } } },
    },
  ];
}

function forcedSteps(member: TargetVm, isAway: (side: Side) => boolean): Step<StepWork>[] {
  const { disable, remove } = stepsOf(member);
  const { id } = member.vm;
  const { source, target } = sidesOf(member);
  const within = (side: Side) => (isAway(side) ? LEFT_WITHIN_SECONDS : BEGIN_WITHIN_SECONDS);
  return [
    {
      ...disable,
      // The job goes on without the VM, which may be protected anew meanwhile.
      work: { ...disable.work, beginWithinSeconds: within(source), vm: { id, marks: { started: 'protectionGivenUp' } } },
    },
    { ...remove, work: { ...remove.work, beginWithinSeconds: within(target) } },
  ];
}

function stepsOf(member: TargetVm) {
  const { vm, pairing } = member;
  const { id, epoch, name } = vm;
  const { source, target } = sidesOf(member);
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { needs: [], after: [], scope: id, pivot: true, attempts: 3 };
  // Only a replica that we made: after a reversal the idle copy is the VM that was there before us.
  const isOurs = target.location === 'recovery' && vm.activeLocation === 'primary';
  const deleteReplica = pairing.policy.deleteReplicaOnUnprotect && isOurs;
  return {
    disable: {
      ...step,
      id: stepOf('disable', id),
      title: `end replication of ${name} at the ${source.location} site`,
      work: { ...common, siteId: source.siteId, kind: 'replication.disable' as const, args: { vm: source.ref } },
    },
    remove: {
      ...step,
      id: stepOf('remove', id),
      title: `end replication of ${name} at the ${target.location} site`,
      work: { ...common, siteId: target.siteId, kind: 'replica.remove' as const, args: { vm: target.ref, deleteReplica } },
    },
  };
}
