/**
 * Resynchronize VMs whose replica fell out of step, as after a crash of the host they run on: both copies are compared and what
 * differs is sent. The recovery points before it mean nothing after it, so a person says why, and that is kept.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';
import { untilCopied } from './copying.ts';
import { changeStep } from './suspension.ts';

export const compileResynchronize: Compile<'resynchronize'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'resynchronize', ['source', 'target'], actor, ports);
  return {
    target: target.title,
    input: { target: request.target, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })), reason: request.reason },
    graph: { steps: members.flatMap(resynchronizeSteps) },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.resynchronize })),
    newVms: [],
  };
};

function resynchronizeSteps(member: TargetVm): Step<StepWork>[] {
  const { id, name, epoch, phase } = member.vm;
  const { source, target } = sidesOf(member);
  const work = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { after: [], scope: id, attempts: 3 };
  const look = stepOf('look/target', id);
  // A replica that is suspended would take nothing of it, and its primary does not know.
  const resume = changeStep(member, 'target', 'resume', look);
  const resynchronize: Step<StepWork> = {
    ...step,
    id: stepOf('resynchronize', id),
    title: `compare the copies of ${name} and send what differs`,
    work: { ...work, siteId: source.siteId, kind: 'replication.resynchronize', args: { vm: source.ref } },
    needs: [resume.id],
    pivot: true,
    // What was not begun is not waited for.
    skipEndsScope: true,
  };
  const marks = phase === 'seeding' ? { done: 'firstCopyArrived' as const } : {};
  return [
    {
      ...step,
      id: look,
      title: `look at the replica of ${name}`,
      // A primary sends on, and does not know that its replica takes nothing.
      work: { ...work, siteId: target.siteId, kind: 'replica.admit', args: { vm: target.ref } },
      looksOnly: true,
      needs: [],
    },
    resume,
    resynchronize,
    untilCopied({ vm: member.vm, source, target, begunBy: resynchronize.id, marks }),
  ];
}
