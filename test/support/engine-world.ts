/**
 * An engine in a small world of its own: a log in memory, a clock, and hands that answer as they were told. It can be killed
 * at any append, before or after it, and begins again from its log.
 */
import fc from 'fast-check';
import { type Assignment, Engine, type StepOutcome } from '../../shared/engine/engine.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph, Step } from '../../shared/engine/graph.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import { StepId } from '../../shared/ids.ts';
import { VirtualClock } from './agent-clock.ts';

/** How the attempts of a step go: the last holds for all that follow. `never` has no outcome. */
export type Script = readonly ('well' | 'passing' | 'lasting' | 'never')[];

export interface Scripted {
  readonly graph: Graph<string>;
  readonly scripts: ReadonlyMap<string, Script>;
  readonly undoScripts: ReadonlyMap<string, Script>;
}

export const stepId = (n: number): StepId => StepId.parse(`s${n}`);

/**
 * Graphs as compilers make them: scopes in which each step may need earlier ones, a pivot somewhere or nowhere, gates, and
 * steps that come after those of other scopes.
 */
const graphs = (isLinear: fc.Arbitrary<boolean>): fc.Arbitrary<Scripted> =>
  fc
    .array(
      fc.record({
        size: fc.integer({ min: 1, max: 4 }),
        pivotAt: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }),
        isLinear,
        afterGate: fc.boolean(),
        scripts: fc.array(fc.array(fc.constantFrom('well', 'well', 'well', 'passing', 'lasting'), { minLength: 1, maxLength: 3 }), {
          minLength: 4,
          maxLength: 4,
        }),
        undoScripts: fc.array(fc.array(fc.constantFrom('well', 'well', 'passing', 'lasting'), { minLength: 1, maxLength: 3 }), {
          minLength: 4,
          maxLength: 4,
        }),
        undo: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        looks: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((scopes) => {
      const steps: Step<string>[] = [];
      const scripts = new Map<string, Script>();
      const undoScripts = new Map<string, Script>();
      let gate: StepId | null = null;
      scopes.forEach((scope, index) => {
        const own: StepId[] = [];
        for (let i = 0; i < scope.size; i++) {
          const id = StepId.parse(`scope${index}/step${i}`);
          const isPivot = scope.pivotAt === i;
          const needs = scope.isLinear ? own.slice(-1) : own.slice(0, 1);
          steps.push({
            id,
            title: id,
            scope: `scope${index}`,
            work: `do ${id}`,
            needs,
            after: gate !== null && scope.afterGate ? [gate] : [],
            attempts: 2,
            ...(isPivot && { pivot: true }),
            ...(scope.undo[i] && { undo: `undo ${id}` }),
            ...(scope.looks[i] && !isPivot && { looksOnly: true }),
          });
          scripts.set(id, scope.scripts[i] as Script);
          undoScripts.set(id, scope.undoScripts[i] as Script);
          own.push(id);
        }
        const id = StepId.parse(`gate${index}`);
        steps.push({ id, title: id, scope: id, needs: [], after: gate === null ? own : [gate, ...own] });
        gate = id;
      });
      return { graph: { steps }, scripts, undoScripts };
    });

export const scriptedGraphs = graphs(fc.boolean());
/** In each scope one step after the other. Where steps of a scope run at once, chance decides how far one came when another failed. */
export const linearGraphs = graphs(fc.constant(true));

export interface Killing {
  readonly at: number;
  readonly when: 'before' | 'after';
}

export class EngineWorld {
  readonly log: Fact[] = [];
  readonly handedOut: string[] = [];
  readonly clock = new VirtualClock(0);
  readonly scripted: Scripted;
  /** Outcomes are settled so often. */
  settles = 1;
  kills = 0;
  engine: Engine<string>;
  #appends = 0;
  #killing: Killing | null;
  #life = 0;
  #isEnded = false;
  #waiting: (() => Promise<void>)[] = [];
  readonly #order: (count: number) => number;

  /** `order` picks which of the outcomes that wait comes next. */
  constructor(scripted: Scripted, killing: Killing | null = null, order: (count: number) => number = () => 0) {
    this.scripted = scripted;
    this.#killing = killing;
    this.#order = order;
    this.engine = this.#live();
  }

  get appends(): number {
    return this.#appends;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Until nothing moves any more: ended, or waiting for a person. */
  async run(): Promise<RunState<string>> {
    await this.act(() => this.engine.resume());
    return this.goOn();
  }

  async goOn(): Promise<RunState<string>> {
    for (let turn = 0; turn < 10_000; turn++) {
      const next = this.#waiting.splice(this.#order(this.#waiting.length), 1)[0];
      if (next !== undefined) await this.act(next);
      else if (this.clock.timerCount > 0) await this.act(() => this.clock.advance(60_000));
      else return new RunState(this.scripted.graph, this.log);
    }
    throw new Error('it never comes to rest');
  }

  /** Does it, unless the engine is killed on the way; then a new one goes on from the log. */
  async act(what: () => Promise<void>): Promise<void> {
    const life = this.#life;
    void what().catch((thrown: unknown) => {
      if (life === this.#life) throw thrown;
    });
    await this.clock.settle();
    while (life !== this.#life && this.#isDead) {
      this.#isDead = false;
      void this.engine.resume();
      await this.clock.settle();
    }
  }

  #isDead = false;

  #live(): Engine<string> {
    const life = ++this.#life;
    return new Engine(this.scripted.graph, [...this.log], {
      clock: { now: () => this.clock.now(), after: (ms, callback) => this.clock.after(ms, () => life === this.#life && callback()) },
      append: async (facts) => {
        if (life !== this.#life) return new Promise(() => {});
        const index = this.#appends++;
        const dies = this.#killing?.at === index ? this.#killing.when : null;
        if (dies !== 'before') this.log.push(...facts);
        if (dies === null) return;
        this.kills++;
        this.#waiting = [];
        this.#isDead = true;
        this.engine = this.#live();
        await new Promise(() => {});
      },
      dispatch: (assignments) => {
        if (life === this.#life) for (const assignment of assignments) this.#handOut(assignment);
      },
      onHalted: () => {},
      onEnded: () => {
        this.#isEnded = true;
      },
    });
  }

  #handOut({ step, direction, attempt }: Assignment<string>): void {
    this.handedOut.push(`${direction} ${step.id} ${attempt}`);
    const script = (direction === 'do' ? this.scripted.scripts : this.scripted.undoScripts).get(step.id) ?? ['well'];
    const goes = script[Math.min(attempt, script.length) - 1] ?? 'well';
    if (goes === 'never') return;
    const outcome: StepOutcome =
      goes === 'well'
        ? { ok: true, result: { step: step.id } }
        : { ok: false, error: { code: goes === 'passing' ? 'ERR_FABRIC_FAILED' : 'ERR_WRONG_STATE', logRef: '' } };
    this.#waiting.push(async () => {
      for (let i = 0; i < this.settles; i++) await this.engine.settle(step.id, direction, attempt, outcome);
    });
  }
}

/** Where everything ended, without moments and attempts. */
export function endOf(state: RunState<string>): Record<string, string> {
  return Object.fromEntries([['job', state.state], ...[...state.views()].map(({ step, status }) => [step.id as string, status] as const)]);
}
