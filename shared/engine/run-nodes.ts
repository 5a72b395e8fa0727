/** What RunState folds the facts into: a node for each step, and scopes that stand or fall together. */
import type { StepError } from './facts.ts';
import type { Step } from './graph.ts';

/** `blocked`: it never starts, because its scope failed before it could. */
export type StepStatus = 'waiting' | 'running' | 'done' | 'failed' | 'blocked' | 'skipped' | 'undoing' | 'undone' | 'undoFailed';

export interface StepView<Work> {
  readonly step: Step<Work>;
  readonly status: StepStatus;
  readonly attempt: number;
  readonly result: unknown;
  readonly error: StepError | null;
}

export interface Node<Work> {
  readonly step: Step<Work>;
  readonly scope: Scope<Work>;
  /** Steps that need this one, and steps that come after it either way. */
  readonly neededBy: Node<Work>[];
  readonly followers: Node<Work>[];
  needsLeft: number;
  afterLeft: number;
  status: StepStatus;
  attempt: number;
  result: unknown;
  error: StepError | null;
  /** Its followers were told that it has settled. */
  isSettled: boolean;
}

export interface Scope<Work> {
  readonly nodes: Node<Work>[];
  /** What an undo has to take back, oldest first. */
  readonly acted: Node<Work>[];
  /** `stuck` waits for a person on its way forward, `undoStuck` on its way back: from there it never goes forward again. */
  status: 'active' | 'unwinding' | 'undone' | 'stuck' | 'undoStuck';
  running: number;
  isPastPivot: boolean;
}

export function newNode<Work>(step: Step<Work>, scope: Scope<Work>): Node<Work> {
  return {
    step,
    scope,
    neededBy: [],
    followers: [],
    needsLeft: step.needs.length,
    afterLeft: step.after.length,
    status: 'waiting',
    attempt: 0,
    result: undefined,
    error: null,
    isSettled: false,
  };
}

export function hasWork(scope: Scope<unknown>): boolean {
  return scope.nodes.some(({ step }) => step.work !== undefined);
}

export function isOver(scope: Scope<unknown>): boolean {
  return scope.nodes.every((node) => node.status === 'done' || node.status === 'skipped');
}
