/**
 * Take a failover back before it is committed: the VM goes off at the side it was failed over to, replicates as before, and
 * runs where it came from. What was written since the failover is lost, so a person says why, and that is kept. A VM is started
 * where it came from only after it is off at the other side; whoever skips that leaves it where it is.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { type ProtectedVmId, StepId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, recordOf, resolveAllowed, sidesOf, startArgs, type TargetVm } from './compile.ts';

export const compileTakeBack: Compile<'takeBack'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'takeBack', ['source', 'target'], actor, ports);
  const steps: Step<StepWork>[] = [];
  const runs = new Set(members.map(({ vm }) => vm.id));
  let gate: StepId[] = [];
  for (const [index, group] of target.groups.entries()) {
    const id = StepId.parse(`group/${index + 1}`);
    for (const member of group.vms) steps.push(...takeBackSteps(member, gate, runs));
    const after = [...gate, ...group.vms.map(({ vm }) => stepOf('start', vm.id))];
    steps.push({ id, title: `group ${group.name} runs where it came from`, needs: [], after, scope: id });
    gate = [id];
  }
  return {
    target: target.title,
    input: {
      target: request.target,
      ...recordOf(target),
      reason: request.reason,
    },
    graph: { steps },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.takeBack, epoch: vm.epoch + 1 })),
    newVms: [],
  };
};

function takeBackSteps(member: TargetVm, gate: readonly StepId[], runs: ReadonlySet<ProtectedVmId>): Step<StepWork>[] {
  const { vm, dependsOn } = member;
  const started = dependsOn.filter((other) => runs.has(other)).map((other) => stepOf('start', other));
  const { id, name } = vm;
  const common = { epoch: vm.epoch + 1, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const { source, target } = sidesOf(member);
  const atSource = { ...common, siteId: source.siteId };
  const step = { scope: id, pivot: true, attempts: 3, after: [] };
  const [off, release] = [stepOf('take-back', id), stepOf('release', id)];
  return [
    {
      ...step,
      id: off,
      title: `take ${name} back at the ${target.location} site`,
      work: {
        ...common,
        siteId: target.siteId,
        kind: 'failover.cancel',
        args: { vm: target.ref },
        vm: { id, marks: { started: 'takeBackStarted', skipped: vm.phase === 'failedOver' ? 'takeBackGivenUp' : 'failoverInterrupted' } },
      },
      skipEndsScope: true,
      needs: [],
    },
    {
      ...step,
      id: release,
      title: `let ${name} start at the ${source.location} site again`,
      work: { ...atSource, kind: 'failover.unprepare', args: { vm: source.ref, isRunning: false } },
      needs: [off],
    },
    {
      ...step,
      id: stepOf('start', id),
      title: `start ${name} at the ${source.location} site`,
      work: {
        ...atSource,
        kind: 'vm.start',
        args: startArgs(member, source.ref),
        vm: { id, marks: { done: 'failoverUndone', skipped: 'failoverUndone' } },
      },
      needs: [release, ...started],
      after: gate,
    },
  ];
}
