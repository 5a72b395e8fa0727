/**
 * Where a job stands: its graph and the facts so far, folded. Pure: it decides nothing by itself and writes nothing.
 * Each fact costs time in proportion to the steps it touches, so a job of ten thousand VMs stays quick.
 */
import { isUnknownOutcome } from '../errors.ts';
import type { StepId } from '../ids.ts';
import { type Fact, type JobState, type StepError, stateFrom } from './facts.ts';
import { type Graph, isGate, type Step } from './graph.ts';
import { NextSteps } from './next-steps.ts';
import {
  fallen,
  type GivenUp,
  isAsked,
  isForNobody,
  isPassedOver,
  isToDecide,
  isUnknown,
  lose,
  mayFall,
  type Node,
  nodesOf,
  putBack,
  runningOn,
  type Scope,
  type StepStatus,
  type StepView,
} from './run-nodes.ts';
import { type Verdict, verdictOf } from './verdict.ts';

export class RunState<Work> {
  readonly #nodes: ReadonlyMap<StepId, Node<Work>>;
  readonly #scopes: ReadonlyMap<string, Scope<Work>>;
  readonly #next = new NextSteps<Node<Work>>();
  /** Work steps that may start now, and steps that may be undone now. */
  readonly #ready = this.#next.ready;
  readonly #undoable = this.#next.undoable;
  /** With one scope all fall, until the first pivot is begun; once they have fallen there is nobody left to take along. */
  #together: boolean;
  #running = 0;
  /** Of those that run, the ones that wait for a person's confirmation. */
  #asked = 0;
  /** A pivot of any scope was begun. */
  #isPastPivot = false;
  /** The moment of the fact that is folded in. */
  #now: number | null = null;
  #state: JobState = 'inProgress';
  #isCancelled = false;
  readonly #givenUp = new Map<string, GivenUp>();

  constructor(graph: Graph<Work>, facts: Iterable<Fact> = []) {
    this.#together = graph.together === true;
    ({ nodes: this.#nodes, scopes: this.#scopes } = nodesOf(graph));
    this.#release([...this.#nodes.values()]);
    for (const fact of facts) this.apply(fact);
  }

  get state(): JobState {
    return this.#state;
  }

  /** Steps to start now, in the order of the graph as far as they became ready together. */
  ready(): Step<Work>[] {
    return [...this.#ready].map((node) => node.step);
  }

  undoable(): Step<Work>[] {
    return [...this.#undoable].map((node) => node.step);
  }

  /** Steps whose turn it is, and that nobody needs any more. */
  unneeded(): Step<Work>[] {
    return [...this.#next.unneeded].map((node) => node.step);
  }

  /** Holds a step back that may start or be undone, or lets it go: meanwhile it is not listed, and the job is not over. */
  hold(id: StepId, isHeld: boolean): void {
    const node = this.#nodes.get(id);
    if (node) this.#next[isHeld ? 'hold' : 'release'](node);
  }

  /** Undefined for an id that is not in the graph. */
  view(id: StepId): StepView<Work> | undefined {
    return this.#nodes.get(id);
  }

  views(): Iterable<StepView<Work>> {
    return this.#nodes.values();
  }

  /** Whether the step's scope goes on: one that failed or was cancelled tries nothing again. */
  isActive(id: StepId): boolean {
    return this.#nodes.get(id)?.scope.status === 'active';
  }

  /** When the step was let start, by the facts; null where nothing had to come before it. */
  readyAt(id: StepId): number | null {
    return this.#nodes.get(id)?.readyAt ?? null;
  }

  /** Whether a person has to decide the step. */
  waitsForPerson(id: StepId): boolean {
    const node = this.#nodes.get(id);
    return node !== undefined && isToDecide(node);
  }

  /** Scopes that run to their end although the others fall. */
  goesOn(): ReadonlySet<StepView<Work>['scope']> {
    return runningOn(this.#scopes.values(), this.#nodes);
  }

  /** Who decided that the executor will not answer, and why; undefined while it is waited for. */
  givenUp(executor: string): GivenUp | undefined {
    return this.#givenUp.get(executor);
  }

  /** Whether the step's scope has taken back what it had done. */
  isUndone(id: StepId): boolean {
    return this.#nodes.get(id)?.scope.status === 'undone';
  }

  /** What the facts so far lead to when nothing runs any more; null while something still can. */
  verdict(): Verdict | null {
    if (this.#running > this.#asked || this.#next.count > 0) return null;
    return verdictOf(this.#scopes.values(), this.#asked > 0, this.#isCancelled);
  }

  apply(fact: Fact): void {
    this.#now = fact.at;
    switch (fact.type) {
      case 'cancelled':
        this.#isCancelled = true;
        if (this.#state === 'waiting') this.#state = 'inProgress';
        return this.#failAll();
      case 'givenUp':
        this.#givenUp.set(fact.executor, fact);
        return;
      case 'parked':
      case 'waiting':
      case 'held':
      case 'resumed':
      case 'ended':
        this.#state = stateFrom(fact);
        return;
    }
    const node = this.#nodes.get(fact.step);
    if (!node) return;
    switch (fact.type) {
      case 'started':
      case 'asked':
        return this.#begin(node, 'running', fact.attempt);
      case 'undoStarted':
        return this.#begin(node, 'undoing', fact.attempt);
      case 'done':
        node.result = fact.result;
        return this.#done(node);
      case 'failed':
        return this.#fail(node, fact.error, fact.retry);
      case 'notNeeded':
        return this.#passBy(node);
      case 'undone':
        return this.#wasUndone(node, 'undone');
      case 'undoFailed':
        node.error = fact.error;
        this.#end(node, 'undoFailed');
        if (fact.retry) this.#undoable.add(node);
        else node.scope.status = 'undoStuck';
        return;
      case 'decided':
        this.#state = 'inProgress';
        if (!isToDecide(node)) return;
        if (fact.decision === 'confirm') return this.#done(node);
        return fact.decision === 'retry' ? this.#retry(node) : this.#skip(node);
    }
  }

  #begin(node: Node<Work>, status: 'running' | 'undoing', attempt: number): void {
    this.#next.remove(node);
    node.status = status;
    node.attempt = attempt;
    node.scope.running++;
    this.#running++;
    if (isAsked(node)) this.#asked++;
    if (status === 'running' && node.step.pivot) {
      node.scope.isPastPivot = true;
      this.#isPastPivot = true;
      this.#together = false;
    }
  }

  #end(node: Node<Work>, status: StepStatus): void {
    if (isAsked(node)) this.#asked--;
    node.status = status;
    node.scope.running--;
    this.#running--;
  }

  #done(node: Node<Work>): void {
    node.error = null;
    this.#end(node, 'done');
    node.scope.acted.push(node);
    this.#meet(node);
    this.#unwind(node.scope);
  }

  #fail(node: Node<Work>, error: StepError, retry: boolean): void {
    const { scope } = node;
    node.error = error;
    this.#end(node, 'waiting');
    if (retry && scope.status === 'active') {
      this.#ready.add(node);
      return;
    }
    // What it did before it failed is not known, so an undo begins with it.
    node.status = 'failed';
    if (!node.step.looksOnly) scope.acted.push(node);
    if (isPassedOver(node)) this.#meet(node);
    else if (scope.status === 'active') this.#fallBecauseOf(node, error);
    this.#settle(node);
    this.#unwind(scope);
  }

  /** What it did may be unknown, which nobody can undo; and past the first pivot what stands beside the undoing waits for a person. */
  #fallBecauseOf({ scope, step }: Node<Work>, { code }: StepError): void {
    // One with `continue` that is not passed over is of unknown outcome.
    const standsBeside = step.aside !== undefined && (step.aside === 'continue' || this.#isPastPivot || isUnknown(step, code));
    const waits = isUnknownOutcome(code) || standsBeside;
    this.#failScope(scope, waits ? 'stuck' : fallen(scope));
    if (this.#together && !waits) this.#failAll();
  }

  /** What is past its pivot runs to its end, and gates keep the order among that. */
  #failAll(): void {
    const goesOn = this.goesOn();
    this.#together = false;
    for (const scope of this.#scopes.values()) {
      if (mayFall(scope) && !goesOn.has(scope)) this.#failScope(scope, 'unwinding');
    }
  }

  /** With it fall the scopes that need it, and those that need them. A work list, because such a chain may be long. */
  #failScope(first: Scope<Work>, to: 'stuck' | 'unwinding'): void {
    first.status = to;
    const failing = [first];
    for (const scope of failing) {
      this.#close(scope);
      // A stuck scope may still be decided, so what needs it waits; an unwound one never will do its work.
      if (scope.status === 'unwinding') {
        this.#lose(scope);
        for (const node of scope.nodes) if (node.status !== 'running') for (const other of this.#deny(node)) failing.push(other);
      }
      this.#unwind(scope);
    }
  }

  /** Nothing more starts in it. */
  #close(scope: Scope<Work>): void {
    for (const node of scope.nodes) {
      this.#next.remove(node);
      // Nobody is asked any more; nothing has to be waited for.
      if (isAsked(node)) this.#end(node, 'blocked');
      if (node.status !== 'waiting') continue;
      // One that was to be tried again has been tried: what it did is not known, so it is undone like one that failed for good.
      const wasTried = node.attempt > 0 && scope.status === 'unwinding';
      node.status = wasTried ? 'failed' : 'blocked';
      if (wasTried && !node.step.looksOnly) scope.acted.push(node);
    }
    for (const node of scope.nodes) if (node.status === 'blocked' || node.status === 'failed') this.#settle(node);
  }

  #unwind(scope: Scope<Work>): void {
    if (scope.status !== 'unwinding' || scope.running > 0) return;
    for (let last = scope.acted.at(-1); last; last = scope.acted.at(-1)) {
      if (last.step.undo !== undefined) {
        this.#undoable.add(last);
        return;
      }
      scope.acted.pop();
      if (last.status === 'done' && last.step.aside === undefined) last.status = 'undone';
    }
    scope.status = 'undone';
  }

  #wasUndone(node: Node<Work>, status: 'undone' | 'skipped'): void {
    if (node.status === 'undoing') this.#end(node, status);
    node.status = status;
    node.scope.acted.pop();
    this.#unwind(node.scope);
  }

  #retry(node: Node<Work>): void {
    if (node.status === 'undoFailed') {
      node.scope.status = 'unwinding';
      this.#undoable.add(node);
    } else {
      putBack(node, this.#next);
      // What it needed may be tried again too, and goes first; what never came is not waited for.
      if (node.attempt === 0 || (node.needsLeft === 0 && node.afterLeft === 0)) this.#offer(node);
      this.#reopen(node);
    }
  }

  #skip(node: Node<Work>): void {
    if (node.status === 'undoFailed') {
      node.scope.status = 'unwinding';
      this.#wasUndone(node, 'skipped');
    } else {
      if (isAsked(node)) this.#end(node, 'skipped');
      node.status = 'skipped';
      if (node.step.skipEndsScope) this.#giveUp(node.scope);
      this.#reopen(node);
      this.#meet(node);
    }
  }

  /** What has not been begun never will be, and holds nobody up. */
  #giveUp(scope: Scope<Work>): void {
    this.#lose(scope);
    for (const node of scope.nodes) {
      if (node.status !== 'waiting' && node.status !== 'blocked') continue;
      node.status = 'skipped';
      this.#meet(node);
    }
  }

  /** What is done for nobody but those that are lost, and has not been begun, never will be. */
  #lose(scope: Scope<Work>): void {
    const unneeded = lose(scope);
    for (const node of unneeded) this.#next.remove(node);
    this.#release(unneeded);
  }

  /** Nobody needed it in its turn: what needs it goes on. */
  #passBy(node: Node<Work>): void {
    this.#next.remove(node);
    if (node.status !== 'waiting') return;
    node.status = 'notNeeded';
    this.#meet(node);
  }

  /** A decided scope goes on, unless another of its steps still waits for a person. */
  #reopen({ scope, step }: Node<Work>): void {
    scope.acted.splice(0, scope.acted.length, ...scope.acted.filter((node) => node.step !== step));
    if (scope.nodes.some((node) => node.status === 'failed' && !isPassedOver(node))) return;
    scope.status = 'active';
    for (const node of scope.nodes) if (node.status === 'blocked') putBack(node, this.#next);
    this.#release(scope.nodes);
  }

  /** Tells those that come after it, once, that they need not wait for it any more. */
  #settle(node: Node<Work>): void {
    if (node.isSettled) return;
    node.isSettled = true;
    for (const follower of node.followers) follower.afterLeft--;
    this.#release(node.followers);
  }

  /** It is done, need not be, or a person decided to go on as if it were. */
  #meet(node: Node<Work>): void {
    for (const dependent of node.neededBy) dependent.needsLeft--;
    this.#release(node.neededBy);
    this.#settle(node);
  }

  /** It will never be done: what needs it in other scopes fails there. Answers those scopes. */
  #deny(node: Node<Work>): Scope<Work>[] {
    const scopes: Scope<Work>[] = [];
    for (const dependent of node.neededBy) {
      if (dependent.scope.status !== 'active' || dependent.status !== 'waiting') continue;
      dependent.status = 'failed';
      dependent.error = { code: 'ERR_PREDECESSOR_FAILED', logRef: '' };
      dependent.scope.status = fallen(dependent.scope);
      scopes.push(dependent.scope);
    }
    return scopes;
  }

  /** It is its turn. */
  #offer(node: Node<Work>): void {
    (isForNobody(node) ? this.#next.unneeded : this.#ready).add(node);
  }

  /** Marks what may start; gates settle on the spot. A work list, because a chain of gates may be long. */
  #release(candidates: readonly Node<Work>[]): void {
    const queue = [...candidates];
    for (const node of queue) {
      if (node.status !== 'waiting' || node.needsLeft > 0 || node.afterLeft > 0 || node.scope.status !== 'active') continue;
      if (!isGate(node.step)) {
        node.readyAt ??= this.#now;
        this.#offer(node);
        continue;
      }
      node.status = 'done';
      node.isSettled = true;
      for (const follower of node.followers) follower.afterLeft--;
      for (const dependent of node.neededBy) dependent.needsLeft--;
      queue.push(...node.followers, ...node.neededBy);
    }
  }
}
