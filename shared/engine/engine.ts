/**
 * Runs one graph of steps. Every fact is durable before anything is done because of it: a step is handed out only after
 * its `started` is in the log, and an outcome is confirmed only after it is. A restart makes a new engine from the
 * graph and the log, which hands out again what was under way; whoever does the work must bear a repeat.
 *
 * The control plane and the agent run this same engine; they differ in the dispatcher.
 */
import { type ErrorCode, errorCodes, FarshoreError } from '../errors.ts';
import type { StepId } from '../ids.ts';
import type { Clock } from '../ports.ts';
import { type Decision, type Fact, type HeldBySite, type Hold, type HoldCode, holdOf, type StepError } from './facts.ts';
import type { Graph, Step } from './graph.ts';
import { GroupCommit } from './group-commit.ts';
import type { StepView } from './run-nodes.ts';
import { RunState } from './run-state.ts';

export type Direction = 'do' | 'undo';

/** A step handed out. */
export interface Assignment<Work> {
  readonly step: Step<Work>;
  readonly direction: Direction;
  readonly attempt: number;
}

export type StepOutcome = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: StepError };

export interface EnginePorts<Work> {
  readonly clock: Clock;
  /** Makes the facts durable, all or none, in the order of the calls. */
  append(facts: readonly Fact[]): Promise<void>;
  /** Sees that the step is done at least once and that `settle` is called with its outcome. Never throws. */
  dispatch(assignments: readonly Assignment<Work>[]): void;
  /** The log could not be written: this engine has stopped, and the owner loads the job anew. */
  onHalted(reason: unknown): void;
  /** The job has ended. */
  onEnded(): void;
}

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 30_000;

export class Engine<Work> {
  readonly state: RunState<Work>;
  readonly #ports: EnginePorts<Work>;
  /** Steps that keep a distance before they are tried again: how to cancel the wait, or that it is over. */
  readonly #distances = new Map<StepId, (() => void) | 'over'>();
  /** Cancels the limits of steps that are under way. */
  readonly #limits = new Map<StepId, () => void>();
  #hold: Hold | null;
  #isHalted = false;
  /** One write at a time, so that none can succeed after an earlier one has failed; what comes meanwhile shares the next. */
  readonly #commit = new GroupCommit<readonly Fact[]>(
    (batch) => this.#write(batch.flat()),
    (flush) => flush(),
  );
  /** The writing of all that was folded in so far. */
  #written: Promise<void> = Promise.resolve();

  readonly #beganAt: number;

  constructor(graph: Graph<Work>, log: readonly Fact[], ports: EnginePorts<Work>) {
    this.state = new RunState(graph, log);
    this.#ports = ports;
    this.#beganAt = log[0]?.at ?? ports.clock.now();
    this.#hold = holdOf(log);
  }

  /** What holds it; null where it goes on. */
  get held(): Hold | null {
    return this.#hold;
  }

  /** Hands out again what the log says is under way, and goes on. Resolves when what follows from it is durable. */
  async resume(): Promise<void> {
    if (this.#hold !== null) return;
    this.#hand(this.#underWay());
    await this.#advance([]);
  }

  #underWay(): Assignment<Work>[] {
    const open: Assignment<Work>[] = [];
    for (const { step, status, attempt } of this.state.views()) {
      if (status === 'running' && step.work !== undefined) open.push({ step, direction: 'do', attempt });
      if (status === 'undoing') open.push({ step, direction: 'undo', attempt });
    }
    return open;
  }

  /** Nothing is handed out any more until it is let go on. What is under way may end. */
  async hold(code: HoldCode, sites: readonly HeldBySite[]): Promise<void> {
    await this.#advance([{ type: 'held', at: this.#now(), code, sites: [...sites] }]);
  }

  /** Lets a held job go on where it stood. */
  async letGoOn(by: string, reason: string): Promise<void> {
    if (this.#hold === null) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'nothing holds the job');
    await this.#advance([{ type: 'resumed', at: this.#now(), by, reason }], this.#underWay());
  }

  /**
   * Takes the outcome of an attempt; resolves when it is durable. An outcome that is known already, or of an attempt that
   * is not under way, changes nothing, and resolves when what is known is durable. Throws ERR_STORE_FAILED when it cannot be kept: it will be asked for again.
   */
  async settle(id: StepId, direction: Direction, attempt: number, outcome: StepOutcome): Promise<void> {
    if (this.#isHalted) throw halted();
    const view = this.state.view(id);
    if (!view || view.attempt !== attempt || view.status !== (direction === 'do' ? 'running' : 'undoing')) return this.#written;
    await this.#advance([this.#factOf(view.step, direction, attempt, outcome)]);
  }

  /** A person decides a step that waits for them. Throws ERR_OPERATION_NOT_ALLOWED when it does not, or not for this. */
  async decide(id: StepId, decision: Decision, by: string, reason: string, isNotDone = false): Promise<void> {
    this.#refuseIfHeld();
    if (!this.state.waitsForPerson(id)) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `step ${id} does not wait for a decision`);
    const isAsked = this.state.view(id)?.status === 'running';
    if (decision === (isAsked ? 'retry' : 'confirm'))
      throw new FarshoreError(
        'ERR_OPERATION_NOT_ALLOWED',
        `step ${id} ${isAsked ? 'is confirmed or skipped' : 'is tried again or skipped'}`,
      );
    if (decision === 'retry') this.#distances.set(id, 'over');
    const direction = this.state.view(id)?.status === 'undoFailed' ? 'undo' : 'do';
    await this.#advance([{ type: 'decided', at: this.#now(), step: id, direction, decision, by, reason, ...(isNotDone && { isNotDone }) }]);
  }

  /**
   * Nothing new starts; what has not passed its pivot is undone. What only looks is not waited for. One that is held ends as it
   * stands: undoing is as much a change as going on.
   */
  async cancel(by: string, reason: string): Promise<void> {
    if (this.#hold !== null) return this.#endAsItStands(by, reason);
    const goesOn = this.state.goesOn();
    const isNeeded = ({ scope }: StepView<Work>) => goesOn.has(scope) && !scope.isPastPivot;
    const looks = [...this.state.views()].flatMap((view) => (isNeeded(view) ? [] : this.#endOfLook(view, by, reason)));
    await this.#advance([{ type: 'cancelled', at: this.#now(), by, reason }, ...looks]);
  }

  async #endAsItStands(by: string, reason: string): Promise<void> {
    const at = this.#now();
    await this.#advance([
      { type: 'cancelled', at, by, reason },
      { type: 'ended', at, state: 'cancelled' },
    ]);
  }

  #refuseIfHeld(): void {
    if (this.#hold !== null)
      throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'the job is held: let it go on (farshore jobs resume) or cancel it first');
  }

  /** Past a pivot a look is ended, and need not be decided, only where nothing of its scope follows from that. */
  #endOfLook({ step, scope, status, attempt }: StepView<Work>, by: string, reason: string): Fact[] {
    const { id, looksOnly, skipEndsScope } = step;
    const isRunning = status === 'running';
    if (!looksOnly || (scope.isPastPivot && !skipEndsScope)) return [];
    if (!isRunning && !(status === 'failed' && this.state.waitsForPerson(id))) return [];
    const head = { at: this.#now(), step: id };
    const failed: Fact = { type: 'failed', ...head, attempt, error: { code: 'ERR_CANCELLED', logRef: '' }, retry: false };
    const skipped: Fact = { type: 'decided', ...head, direction: 'do', decision: 'skip', by, reason };
    return [...(isRunning ? [failed] : []), ...(scope.isPastPivot ? [skipped] : [])];
  }

  /**
   * A person takes it that whoever has these steps will not answer. Their work fails for good; an undo that cannot be done is
   * skipped by the same decision. What the executor did is not known, and an outcome that comes later changes nothing.
   */
  async giveUp(steps: readonly StepId[], executor: string, by: string, reason: string): Promise<void> {
    this.#refuseIfHeld();
    const at = this.#now();
    const error = { code: 'ERR_SITE_GIVEN_UP' as const, logRef: '' };
    const failures = steps.flatMap((step): Fact[] => {
      const { status, attempt = 0 } = this.state.view(step) ?? {};
      if (status === 'running') return [{ type: 'failed', at, step, attempt, error, retry: false }];
      if (status !== 'undoing') return [];
      return [
        { type: 'undoFailed', at, step, attempt, error, retry: false },
        { type: 'decided', at, step, direction: 'undo', decision: 'skip', by, reason },
      ];
    });
    await this.#advance([...(this.state.givenUp(executor) ? [] : [{ type: 'givenUp' as const, at, executor, by, reason }]), ...failures]);
  }

  /** Forgets what waits on the clock; for a shutdown. Nothing durable depends on it. */
  stop(): void {
    this.#isHalted = true;
    for (const cancel of this.#distances.values()) if (cancel !== 'over') cancel();
    for (const cancel of this.#limits.values()) cancel();
  }

  /** Folds the facts in, adds those that follow from them, writes all as one, and only then acts. */
  async #advance(facts: Fact[], again: readonly Assignment<Work>[] = []): Promise<void> {
    if (this.#isHalted || isOver(this.state)) return;
    for (const fact of facts) this.state.apply(fact);
    // That it has ended lets nothing begin; why it was held is still to be read then.
    if (facts.at(-1)?.type !== 'ended') this.#hold = holdOf([...(this.#hold ? [this.#hold] : []), ...facts]);
    const mayStart = this.#hold === null;
    const assignments = mayStart ? this.#startReady(facts) : [];
    const verdict = mayStart ? this.state.verdict() : null;
    if (verdict === 'parked' || verdict === 'waiting') {
      if (this.state.state !== verdict) this.#note(facts, { type: verdict, at: this.#now() });
    } else if (verdict !== null) this.#note(facts, { type: 'ended', at: this.#now(), state: verdict });
    if (facts.length === 0) return;
    this.#written = this.#commit.add(facts);
    await this.#written;
    if (this.#isHalted) return;
    this.#hand([...again, ...assignments]);
    if (facts.at(-1)?.type === 'ended') this.#ports.onEnded();
  }

  #hand(assignments: readonly Assignment<Work>[]): void {
    for (const assignment of assignments) this.#limit(assignment);
    if (assignments.length > 0) this.#ports.dispatch(assignments);
  }

  /** By the log as well, so that a restart does not begin the time anew. */
  #limit({ step: { id, limitSeconds }, direction, attempt }: Assignment<Work>): void {
    if (limitSeconds === undefined || direction === 'undo') return;
    const left = (this.state.readyAt(id) ?? this.#beganAt) + limitSeconds * 1000 - this.#now();
    const cancel = this.#ports.clock.after(Math.max(0, left), () => {
      this.#limits.delete(id);
      const error = { code: 'ERR_TIME_LIMIT' as const, logRef: '' };
      this.settle(id, 'do', attempt, { ok: false, error }).catch(() => {}); // onHalted has told the owner
    });
    this.#limits.get(id)?.();
    this.#limits.set(id, cancel);
  }

  async #write(facts: readonly Fact[]): Promise<void> {
    if (this.#isHalted) throw halted();
    try {
      await this.#ports.append(facts);
    } catch (reason) {
      this.stop();
      this.#ports.onHalted(reason);
      throw reason;
    }
  }

  #startReady(facts: Fact[]): Assignment<Work>[] {
    const assignments: Assignment<Work>[] = [];
    const start = (step: Step<Work>, direction: Direction) => {
      const earlier = this.state.view(step.id)?.attempt ?? 0;
      const isRepeat = direction === 'do' ? earlier > 0 : this.state.view(step.id)?.status === 'undoFailed';
      // The second and later attempts keep a growing distance, which begins when the step is first found ready again.
      const wait = isRepeat ? Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** (earlier - 1)) : this.#delayOf(step, direction);
      if (this.#mustWait(step.id, wait)) return;
      const attempt = direction === 'do' || isRepeat ? earlier + 1 : 1;
      const begun = step.work === undefined ? 'asked' : 'started';
      this.#note(facts, { type: direction === 'do' ? begun : 'undoStarted', at: this.#now(), step: step.id, attempt });
      if (direction === 'undo' || begun === 'started') assignments.push({ step, direction, attempt });
    };
    this.#passOver(facts);
    for (const step of this.state.ready()) start(step, 'do');
    for (const step of this.state.undoable()) start(step, 'undo');
    return assignments;
  }

  /** What nobody needs any more; others that nobody needs may come behind it. */
  #passOver(facts: Fact[]): void {
    for (let some = this.state.unneeded(); some.length > 0; some = this.state.unneeded())
      for (const { id } of some) this.#note(facts, { type: 'notNeeded', at: this.#now(), step: id });
  }

  /** What is left of the time that it is held back: by the log, so that a restart does not begin it anew. */
  #delayOf({ id, delaySeconds = 0 }: Step<Work>, direction: Direction): number {
    if (direction === 'undo' || delaySeconds === 0) return 0;
    return (this.state.readyAt(id) ?? this.#beganAt) + delaySeconds * 1000 - this.#now();
  }

  #mustWait(id: StepId, waitMs: number): boolean {
    const distance = this.#distances.get(id);
    if (distance === 'over') {
      this.#distances.delete(id);
      return false;
    }
    if (waitMs <= 0) return false;
    this.state.hold(id, true);
    if (distance) return true;
    const cancel = this.#ports.clock.after(waitMs, () => {
      this.#distances.set(id, 'over');
      this.state.hold(id, false);
      this.#advance([]).catch(() => {}); // onHalted has told the owner
    });
    this.#distances.set(id, cancel);
    return true;
  }

  #note(facts: Fact[], fact: Fact): void {
    this.state.apply(fact);
    facts.push(fact);
  }

  #factOf(step: Step<Work>, direction: Direction, attempt: number, outcome: StepOutcome): Fact {
    const head = { at: this.#now(), step: step.id, attempt };
    if (outcome.ok) {
      return direction === 'do' ? { type: 'done', ...head, result: outcome.result } : { type: 'undone', ...head };
    }
    const mayTry = direction === 'undo' || this.state.isActive(step.id);
    const retry = mayTry && attempt < (step.attempts ?? 1) && isRetryable(outcome.error.code);
    return { type: direction === 'do' ? 'failed' : 'undoFailed', ...head, error: outcome.error, retry };
  }

  #now(): number {
    return this.#ports.clock.now();
  }
}

function isRetryable(code: ErrorCode): boolean {
  return errorCodes[code].retryable;
}

function halted(): FarshoreError {
  return new FarshoreError('ERR_STORE_FAILED', 'the job is not running here now');
}

function isOver(state: RunState<unknown>): boolean {
  return state.state !== 'inProgress' && state.state !== 'parked' && state.state !== 'waiting';
}
