/** What RunState folds the facts into: a node for each step, and scopes that stand or fall together. */
import { type ErrorCode, isUnknownOutcome } from '../errors.ts';
import type { StepId } from '../ids.ts';
import type { StepError } from './facts.ts';
import { type Graph, isGate, type Step } from './graph.ts';
import type { NextSteps } from './next-steps.ts';

/** A person's word that an executor will not answer. */
export interface GivenUp {
  readonly by: string;
  readonly reason: string;
}

/** `blocked`: it never starts, because its scope failed before it could. `notNeeded`: because nobody was left whom it would be done for. */
export type StepStatus =
  | 'waiting'
  | 'running'
  | 'done'
  | 'failed'
  | 'blocked'
  | 'skipped'
  | 'notNeeded'
  | 'undoing'
  | 'undone'
  | 'undoFailed';

export interface StepView<Work> {
  readonly step: Step<Work>;
  readonly scope: Pick<Scope<Work>, 'isPastPivot'>;
  readonly status: StepStatus;
  readonly attempt: number;
  readonly result: unknown;
  readonly error: StepError | null;
}

export interface Node<Work> {
  readonly step: Step<Work>;
  readonly scope: Scope<Work>;
  /** Whom it is done for; null: it asks for nobody. */
  readonly group: Group<Work> | null;
  /** Steps that need this one, and steps that come after it either way. */
  readonly neededBy: Node<Work>[];
  readonly followers: Node<Work>[];
  needsLeft: number;
  afterLeft: number;
  status: StepStatus;
  attempt: number;
  result: unknown;
  error: StepError | null;
  /** The moment of the fact that let it start; null: nothing had to come before it. */
  readyAt: number | null;
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
  readonly groups: Group<Work>[];
  /** It has fallen or was given up: it never goes forward again. */
  isLost: boolean;
}

export interface Group<Work> {
  /** Steps that are done for it. */
  readonly nodes: Node<Work>[];
  /** How many of its scopes are not lost. */
  left: number;
}

/** A node for each step of the graph, linked to those behind it, and their scopes. */
export function nodesOf<Work>(graph: Graph<Work>) {
  const nodes = new Map<StepId, Node<Work>>();
  const scopes = new Map<string, Scope<Work>>();
  const groups = new Map(
    Object.entries(graph.groups ?? {}).map(([name, { length }]) => [name, { nodes: [], left: length } as Group<Work>]),
  );
  for (const step of graph.steps) {
    const scope: Scope<Work> = scopes.get(step.scope) ?? newScope();
    scopes.set(step.scope, scope);
    const node = newNode(step, scope, groups.get(step.forGroup ?? '') ?? null);
    node.group?.nodes.push(node);
    scope.nodes.push(node);
    nodes.set(step.id, node);
  }
  for (const node of nodes.values()) {
    for (const id of node.step.needs) nodes.get(id)?.neededBy.push(node);
    for (const id of node.step.after) nodes.get(id)?.followers.push(node);
  }
  for (const [name, group] of groups) for (const id of graph.groups?.[name] ?? []) scopes.get(id)?.groups.push(group);
  return { nodes, scopes };
}

function newScope<Work>(): Scope<Work> {
  return { nodes: [], acted: [], status: 'active', running: 0, isPastPivot: false, groups: [], isLost: false };
}

function newNode<Work>(step: Step<Work>, scope: Scope<Work>, group: Group<Work> | null): Node<Work> {
  return {
    step,
    scope,
    group,
    neededBy: [],
    followers: [],
    needsLeft: step.needs.length,
    afterLeft: step.after.length,
    status: 'waiting',
    attempt: 0,
    result: undefined,
    error: null,
    readyAt: null,
    isSettled: false,
  };
}

/** It was tried and failed, and those that need it go on as if it were done. What it did must be known for that. */
export function isPassedOver({ status, step, attempt, error }: Node<unknown>): boolean {
  return status === 'failed' && step.aside === 'continue' && attempt > 0 && error !== null && !isUnknown(step, error.code);
}

/** Whether nobody knows what was done, and it matters: of a step that only looks, or that is never needed, it does not. */
export function isUnknown({ looksOnly, limitSeconds }: Step<unknown>, code: ErrorCode): boolean {
  if (code === 'ERR_SITE_GIVEN_UP') return looksOnly !== true && limitSeconds === undefined;
  return isUnknownOutcome(code);
}

/** A person was asked to do it, and has not answered. */
export function isAsked({ status, step }: Node<unknown>): boolean {
  return status === 'running' && step.asks !== undefined;
}

/** What needs it goes on: it is done, or need not be. */
export function isMet({ status }: Node<unknown>): boolean {
  return status === 'done' || status === 'skipped' || status === 'notNeeded';
}

/** Nobody is left whom it would be done for. What was begun is brought to its end all the same. */
export function isForNobody({ group, attempt }: Node<unknown>): boolean {
  return group?.left === 0 && attempt === 0;
}

/** The scope never goes forward again. Answers the steps that nobody needs with that and that have not been begun. */
export function lose<Work>(scope: Scope<Work>): Node<Work>[] {
  if (scope.isLost) return [];
  scope.isLost = true;
  for (const group of scope.groups) group.left--;
  return scope.groups.flatMap(({ nodes }) => nodes.filter((node) => node.status === 'waiting' && isForNobody(node)));
}

/** A person has to decide it: it is asked of them, its work failed where it is not undone, or its undo failed for good. */
export function isToDecide(node: Node<unknown>): boolean {
  const { status, scope } = node;
  if (status === 'failed') return scope.status === 'stuck' && !isPassedOver(node);
  return isAsked(node) || (status === 'undoFailed' && scope.status === 'undoStuck');
}

export function hasWork(scope: Scope<unknown>): boolean {
  return scope.nodes.some(({ step }) => !isGate(step));
}

/** Scopes past their pivot, with those that they still need to come to their end. */
export function runningOn<Work>(scopes: Iterable<Scope<Work>>, nodes: ReadonlyMap<StepId, Node<Work>>): ReadonlySet<Scope<Work>> {
  const found = new Set<Scope<Work>>();
  for (const scope of scopes) if (scope.isPastPivot) found.add(scope);
  // What is added on the way is walked through too.
  for (const { nodes: own } of found) {
    for (const { step, status } of own) {
      if (status !== 'waiting' && status !== 'blocked') continue;
      for (const id of step.needs) {
        const needed = nodes.get(id);
        if (needed !== undefined && !isMet(needed)) found.add(needed.scope);
      }
    }
  }
  return found;
}

/** It does something that is not beside the point: a job of which only the rest was done has failed. */
export function isOfTheMatter(scope: Scope<unknown>): boolean {
  return scope.nodes.some(({ step }) => !isGate(step) && step.aside === undefined);
}

/** Before its pivot a scope is unwound; past it, it waits for a person. */
export function fallen({ isPastPivot }: Scope<unknown>): 'stuck' | 'unwinding' {
  return isPastPivot ? 'stuck' : 'unwinding';
}

/** It has work left that it may still do. */
export function mayFall(scope: Scope<unknown>): boolean {
  return (scope.status === 'active' || scope.status === 'stuck') && hasWork(scope) && !isOver(scope);
}

function isOver(scope: Scope<unknown>): boolean {
  return scope.nodes.every((node) => isMet(node) || isPassedOver(node));
}

/**
 * It is to be done after all: what comes behind it, across gates, and has not been begun, waits for it again. A work list, because a
 * chain of gates may be long.
 */
export function putBack<Work>(first: Node<Work>, next: Pick<NextSteps<Node<Work>>, 'remove'>): void {
  first.status = 'waiting';
  const queue = [first];
  for (const node of queue) {
    if (!node.isSettled) continue;
    node.isSettled = false;
    for (const follower of node.followers) follower.afterLeft++;
    const needing = isGate(node.step) ? node.neededBy : [];
    for (const dependent of needing) dependent.needsLeft++;
    for (const behind of [...node.followers, ...needing]) {
      if (behind.status === 'waiting') next.remove(behind);
      if (behind.status !== 'done' || !isGate(behind.step)) continue;
      behind.status = 'waiting';
      queue.push(behind);
    }
  }
}
