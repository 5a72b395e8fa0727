/**
 * Suspend the replication of VMs, at the side that sends or at the replica, and resume it. Nothing is lost by it and no phase changes:
 * the recovery points that are there stay, and grow older. A suspension holds until a person resumes, so its reason is kept with the job.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { StepId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, type Compiled, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';

type End = 'source' | 'target';

export const compileSuspend: Compile<'suspend'> = async (request, actor, ports) => {
  const { end, reason } = request;
  const { target, members } = await resolveAllowed(request.target, 'suspend', [end], actor, ports);
  const steps = members.flatMap((member) => {
    const look = lookStep(member, end);
    return [look, changeStep(member, end, 'suspend', look.id)];
  });
  return compiled('suspend', { title: target.title, members, steps, input: { target: request.target, end, reason } });
};

/** Both ends, since either may be suspended, and the replica first: what sends again finds one that takes. */
export const compileResume: Compile<'resume'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'resume', ['source', 'target'], actor, ports);
  const steps = members.flatMap((member) => {
    const looks = [lookStep(member, 'target'), { ...lookStep(member, 'source'), needs: [stepOf('look/target', member.vm.id)] }];
    const replica = changeStep(member, 'target', 'resume', stepOf('look/source', member.vm.id));
    return [...looks, replica, changeStep(member, 'source', 'resume', replica.id)];
  });
  return compiled('resume', { title: target.title, members, steps, input: { target: request.target, reason: request.reason } });
};

interface Parts {
  readonly title: string;
  readonly members: readonly TargetVm[];
  readonly steps: readonly Step<StepWork>[];
  readonly input: Readonly<Record<string, unknown>>;
}

function compiled(operation: 'suspend' | 'resume', { title, members, steps, input }: Parts): Compiled {
  return {
    target: title,
    input: { ...input, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })) },
    graph: { steps },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases[operation] })),
    newVms: [],
  };
}

function lookStep(member: TargetVm, end: End): Step<StepWork> {
  const { id, name, epoch } = member.vm;
  const { siteId, ref, location } = sidesOf(member)[end];
  return {
    id: stepOf(`look/${end}`, id),
    title: `look at ${name} at the ${location} site`,
    work: {
      siteId,
      epoch,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'replication.admitSuspension',
      args: { vm: ref, role: end === 'source' ? 'primary' : 'replica' },
    },
    looksOnly: true,
    needs: [],
    after: [],
    scope: id,
    attempts: 3,
  };
}

/** What a person said of a suspension is not taken back by itself, so a failure waits for one. */
export function changeStep(member: TargetVm, end: End, change: 'suspend' | 'resume', before: StepId): Step<StepWork> {
  const { id, name, epoch } = member.vm;
  const { siteId, ref, location } = sidesOf(member)[end];
  const what = end === 'source' ? `replication of ${name}` : `the replica of ${name}`;
  return {
    id: stepOf(`${change}/${end}`, id),
    title: `${change} ${what} at the ${location} site`,
    work: { siteId, epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS, kind: `replication.${change}`, args: { vm: ref } },
    needs: [before],
    after: [],
    scope: id,
    pivot: true,
    attempts: 3,
  };
}
