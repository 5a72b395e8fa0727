/**
 * Turns groups of members into a graph of steps. Pure, and blind to what a step does: the operation says which work brings
 * a member up in two parts, one that starts nothing (`prepare`) and one that does (`start`).
 *
 * All members are prepared at once, since that disturbs nobody; they are started group by group. A group starts when
 * every member of the one before has settled, so a member that failed does not hold up the others. Only those that depend
 * on it are held up: a member starts after the ones it depends on have started well.
 */
import type { Graph, Step } from '../engine/graph.ts';
import { type ProtectedVmId, StepId } from '../ids.ts';

export interface MemberWork<Work> {
  readonly vm: ProtectedVmId;
  readonly name: string;
  readonly prepare: Work;
  readonly takeBack: Work;
  readonly start: Work;
  /** Those who are not part of the run hold nobody up: another run has moved them already. */
  readonly dependsOn?: readonly ProtectedVmId[];
}

export interface CompiledGroup<Work> {
  readonly name: string;
  readonly members: readonly MemberWork<Work>[];
}

/** How often a step is tried while its failure may pass by itself. */
const ATTEMPTS = 3;

export const stepOf = (part: string, vm: string): StepId => StepId.parse(`${part}/${vm}`);

export function compileFailover<Work>(groups: readonly CompiledGroup<Work>[]): Graph<Work> {
  const steps: Step<Work>[] = [];
  const runs = new Set(groups.flatMap((group) => group.members.map(({ vm }) => vm)));
  let gate: StepId[] = [];
  groups.forEach((group, index) => {
    for (const member of group.members) steps.push(...memberSteps(member, gate, runs));
    const id = StepId.parse(`group/${index + 1}`);
    const after = group.members.map((member) => stepOf('start', member.vm));
    // Without the gate before it, a group whose members are all skipped would open the way for the next.
    steps.push({ id, title: `group ${group.name} has started`, needs: [], after: [...gate, ...after], scope: id });
    gate = [id];
  });
  return { steps };
}

function memberSteps<Work>(member: MemberWork<Work>, after: readonly StepId[], runs: ReadonlySet<ProtectedVmId>): Step<Work>[] {
  const failover = stepOf('failover', member.vm);
  const base = { scope: member.vm, attempts: ATTEMPTS };
  const started = (member.dependsOn ?? []).filter((vm) => runs.has(vm)).map((vm) => stepOf('start', vm));
  return [
    { ...base, id: failover, title: `fail over ${member.name}`, work: member.prepare, undo: member.takeBack, needs: [], after: [] },
    {
      ...base,
      id: stepOf('start', member.vm),
      title: `start ${member.name}`,
      work: member.start,
      pivot: true,
      needs: [failover, ...started],
      after,
    },
  ];
}
