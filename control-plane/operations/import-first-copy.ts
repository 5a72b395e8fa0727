/**
 * The second half of a first copy that is carried: it was exported to a folder when the VM was protected, stands at the recovery site
 * now, and is taken in there. What the primary wrote meanwhile follows over the network. A job of its own: days may lie between.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';
import { untilCopied } from './copying.ts';

export const compileImportFirstCopy: Compile<'importFirstCopy'> = async (request, actor, ports) => {
  const { folder, reason } = request;
  const { target, members } = await resolveAllowed(request.target, 'importFirstCopy', ['source', 'target'], actor, ports);
  return {
    target: target.title,
    input: { target: request.target, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })), folder, reason },
    graph: { steps: members.flatMap((member) => importSteps(member, folder)) },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.importFirstCopy })),
    newVms: [],
  };
};

function importSteps(member: TargetVm, folder: string): Step<StepWork>[] {
  const { id, name, epoch } = member.vm;
  const { source, target } = sidesOf(member);
  const work = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS, siteId: target.siteId };
  const step = { after: [], scope: id, attempts: 3 };
  const look = stepOf('look/target', id);
  const taken: Step<StepWork> = {
    ...step,
    id: stepOf('import', id),
    title: `take the first copy of ${name} in from ${folder}`,
    work: { ...work, kind: 'replica.importFirstCopy', args: { vm: target.ref, folder } },
    needs: [look],
    // Nobody takes a copy out again; where the folder is not there yet a person mends that and retries.
    pivot: true,
    skipEndsScope: true,
  };
  return [
    {
      ...step,
      id: look,
      title: `look at the replica of ${name}`,
      work: { ...work, kind: 'replica.admit', args: { vm: target.ref } },
      looksOnly: true,
      needs: [],
    },
    taken,
    untilCopied({ vm: member.vm, source, target, begunBy: taken.id, marks: { done: 'firstCopyArrived' } }),
  ];
}
