/**
 * A job as its members: groups as the plan has them, under each member the steps that are about it, and its actions where the
 * plan has them. Gates have no work and are left out. Pure.
 */
import { type ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import { type Graph, isGate, type Step } from '../../shared/engine/graph.ts';
import { ProtectedVmId, type StepId } from '../../shared/ids.ts';
import type { Job } from '../store/job-store.ts';

export interface OutlineMember {
  /** Null: it is no VM, but a side of a pairing or an action. */
  readonly vm: ProtectedVmId | null;
  readonly name: string;
  /** Null: it is no action. */
  readonly action: ActionRecord | null;
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
    graph.steps.filter((step) => !isGate(step) && step.aside === undefined),
    (step) => subjectOf(step),
  );
  const asides = new Map(graph.steps.flatMap((step) => (step.aside === undefined ? [] : [[step.id, step] as const])));
  const named =
    input.groups?.filter(({ members }) => members.length > 0) ??
    (input.vms === undefined ? [] : [{ name: job.target, members: input.vms, actions: [] }]);
  const groups: OutlineGroup[] = named.map(({ name, members, actions = [] }) => {
    const rowsOf = (isLast: boolean, member?: string) =>
      actions.filter((action) => action.member === member && (action.when === 'after') === isLast).map((action) => rowOf(action, asides));
    const own = members.flatMap((member) => [
      { ...member, action: null, steps: steps.get(member.vm) ?? [] },
      ...rowsOf(false, member.name),
      ...rowsOf(true, member.name),
    ]);
    return { name, members: [...rowsOf(false), ...own, ...rowsOf(true)] };
  });
  for (const { members } of named) for (const { vm } of members) steps.delete(vm);
  const others = [...steps].map(
    ([subject, own]): OutlineMember => ({ vm: ProtectedVmId.safeParse(subject).data ?? null, name: subject, action: null, steps: own }),
  );
  if (others.length > 0) groups.push({ name: job.target, members: others });
  return { input, groups };
}

function rowOf(action: ActionRecord, asides: ReadonlyMap<StepId, Step<unknown>>): OutlineMember {
  const step = asides.get(action.step);
  const name = action.member === undefined ? action.name : `${action.member}: ${action.name}`;
  return { vm: null, name, action, steps: step ? [step] : [] };
}

/** Step ids end in what they are about: `start/<protected VM>`, `prepare/recovery`. */
function subjectOf({ id }: Step<unknown>): string {
  return id.slice(id.lastIndexOf('/') + 1);
}
