/**
 * A job as its members: groups as the plan has them, and under each member the steps that are about it. Gates have no work
 * and are left out. Pure.
 */
import { JobInput } from '../../shared/api/job-input.ts';
import type { Graph, Step } from '../../shared/engine/graph.ts';
import { ProtectedVmId } from '../../shared/ids.ts';
import type { Job } from '../store/store.ts';

export interface OutlineMember {
  /** Null: it is no VM, but a side of a pairing. */
  readonly vm: ProtectedVmId | null;
  readonly name: string;
  readonly steps: readonly Step<unknown>[];
}

export interface OutlineGroup {
  readonly name: string;
  readonly members: readonly OutlineMember[];
}

export interface JobOutline {
  readonly input: JobInput;
  readonly groups: readonly OutlineGroup[];
}

export function outlineOf(job: Pick<Job, 'target' | 'input'>, graph: Graph<unknown>): JobOutline {
  const input = JobInput.safeParse(job.input).data ?? {};
  const steps = Map.groupBy(
    graph.steps.filter(({ work }) => work !== undefined),
    (step) => subjectOf(step),
  );
  const named = input.groups ?? (input.vms === undefined ? [] : [{ name: job.target, members: input.vms }]);
  const groups: OutlineGroup[] = named.map(({ name, members }) => ({
    name,
    members: members.map((member) => ({ ...member, steps: steps.get(member.vm) ?? [] })),
  }));
  for (const { members } of named) for (const { vm } of members) steps.delete(vm);
  const others = [...steps].map(
    ([subject, own]): OutlineMember => ({ vm: ProtectedVmId.safeParse(subject).data ?? null, name: subject, steps: own }),
  );
  if (others.length > 0) groups.push({ name: job.target, members: others });
  return { input, groups };
}

/** Step ids end in what they are about: `start/<protected VM>`, `prepare/recovery`. */
function subjectOf({ id }: Step<unknown>): string {
  return id.slice(id.lastIndexOf('/') + 1);
}
