/**
 * A clock that stands still until a test moves it. Timers that come due run in the order of their moments, and what
 * they set off is waited for before the next one runs, so a scenario of hours takes milliseconds and always goes the same way.
 */
import type { Clock } from '../../shared/ports.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startsAt: number = Date.UTC(2026, 10, 23, 2, 0, 0)) {
    this.#now = startsAt;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer runs, or null. */
  nextAt(): number | null {
    return this.#next()?.at ?? null;
  }

  /** Moves time on; every timer due by then has run, and those that they set. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settled();
    for (let timer = this.#next(); timer !== undefined && timer.at <= until; timer = this.#next()) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
      await settled();
    }
    this.#now = until;
  }

  /** Moves time on from timer to timer until the condition holds; throws past the limit. */
  async advanceUntil(condition: () => boolean | Promise<boolean>, limitMs = 3_600_000): Promise<void> {
    const until = this.#now + limitMs;
    await settled();
    while (!(await condition())) {
      const next = this.#next();
      if (next === undefined || next.at > until) throw new Error(`the condition did not come true within ${limitMs} ms of virtual time`);
      await this.advance(next.at - this.#now);
    }
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    }
    return first;
  }
}

/** Promises that are ready have run, however long their chain: two turns of the event loop do it without real waiting. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
