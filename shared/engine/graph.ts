/**
 * A graph of steps: what a compiler makes of an operation and the engine runs. It knows nothing of VMs: `work` is
 * opaque to it. Everything in it is data, so it is stored with the job, and an agent can be handed the same graph.
 *
 * Steps of one *scope* stand or fall together. When a step fails before a pivot of its scope was begun, what the
 * scope has done is undone, last first; from a pivot on there is no way back, and the scope waits for a person.
 * Between scopes a step may need only what is not undone once it is done: a pivot, or what comes behind one.
 */
import { FarshoreError, type Problem } from '../errors.ts';
import type { StepId } from '../ids.ts';

export interface Step<Work> {
  readonly id: StepId;
  /** What a person reads in the progress view. */
  readonly title: string;
  /** What is handed out. Without it and without `asks`: a gate, which settles by itself when all before it have settled. */
  readonly work?: Work;
  /** In place of `work`: what a person is asked to do. It is done when a person confirms it with a comment. */
  readonly asks?: string;
  /** Safe to run when `work` never started or stopped half way. Absent: there is nothing to undo. */
  readonly undo?: Work;
  /**
   * It only looks: when it fails it has changed nothing, and its undo, if any, is for what came after it. A cancel does not wait for
   * it, unless its scope would go on after it past a pivot.
   */
  readonly looksOnly?: boolean;
  /** Must be done before this step starts; when one never will be, this step's scope fails. */
  readonly needs: readonly StepId[];
  /** Must have settled, well or not, before this step starts. */
  readonly after: readonly StepId[];
  /** Steps with the same scope stand or fall together; a gate has its own. */
  readonly scope: string;
  /** From the moment it starts its scope is not undone any more. */
  readonly pivot?: boolean;
  /** Whoever skips it gives the rest of its scope up: nothing of it is begun any more. */
  readonly skipEndsScope?: boolean;
  /** How often it is tried while its failures are retryable; 1 when absent. */
  readonly attempts?: number;
  /** How long it is held back before its first attempt, from the moment all before it allow it. */
  readonly delaySeconds?: number;
  /** From when it may start, how long until it fails, whatever its executor does with it; for what may help and is never needed. */
  readonly limitSeconds?: number;
  /**
   * It stands beside what is undone: what it did stays. `stop`: it fails as any step does until the first pivot of all is begun, and
   * waits for a person from then on. `continue`: when it fails, those that need it go on as if it were done.
   */
  readonly aside?: 'stop' | 'continue';
  /** The group of the graph that it is done for: once all of its scopes have fallen or were given up, it is not needed any more. */
  readonly forGroup?: string;
}

export interface Graph<Work> {
  /** Until the first pivot of all is begun, the scopes fall together: with one that fails all are taken back. */
  readonly together?: true;
  /** By name, scopes for which something is done together. */
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  readonly steps: readonly Step<Work>[];
}

/** Whether it settles by itself: nobody does anything for it. */
export const isGate = ({ work, asks }: Pick<Step<unknown>, 'work' | 'asks'>): boolean => work === undefined && asks === undefined;

/**
 * Throws ERR_INTERNAL with every mistake of the graph: ids used twice, unknown predecessors or groups, cycles. Compilers make
 * graphs from checked input, so a mistake here is ours.
 */
export function checkGraph(graph: Graph<unknown>): void {
  const problems: Problem[] = [];
  const steps = new Map<StepId, Step<unknown>>();
  for (const step of graph.steps) {
    if (steps.has(step.id)) problems.push({ message: `step ${step.id} is there twice` });
    steps.set(step.id, step);
  }
  for (const step of graph.steps) {
    for (const before of [...step.needs, ...step.after]) {
      if (!steps.has(before)) problems.push({ message: `step ${step.id} waits for ${before}, which is not there` });
    }
    if (step.forGroup !== undefined && (graph.groups?.[step.forGroup] ?? []).length === 0)
      problems.push({ message: `step ${step.id} is for the group ${step.forGroup}, which has nobody` });
  }
  if (problems.length === 0) problems.push(...cycles(graph, steps));
  if (problems.length > 0) throw new FarshoreError('ERR_INTERNAL', 'the graph of steps is not sound', { problems });
}

/** Kahn's algorithm: what cannot be ordered lies on a cycle or behind one. */
function cycles(graph: Graph<unknown>, steps: ReadonlyMap<StepId, Step<unknown>>): Problem[] {
  const waitsFor = new Map<StepId, number>();
  const followers = new Map<StepId, StepId[]>();
  for (const step of graph.steps) {
    const before = [...step.needs, ...step.after];
    waitsFor.set(step.id, before.length);
    for (const id of before) {
      const list = followers.get(id);
      if (list) list.push(step.id);
      else followers.set(id, [step.id]);
    }
  }
  const free = graph.steps.filter((step) => waitsFor.get(step.id) === 0).map((step) => step.id);
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    waitsFor.delete(id);
    for (const next of followers.get(id) ?? []) {
      const left = (waitsFor.get(next) ?? 0) - 1;
      waitsFor.set(next, left);
      if (left === 0) free.push(next);
    }
  }
  const stuck = [...waitsFor.keys()].filter((id) => steps.has(id));
  return stuck.length === 0 ? [] : [{ message: `steps wait for each other: ${stuck.slice(0, 10).join(', ')}` }];
}
