/**
 * A clock that a test moves. `until` lets the program do all it can do now, then jumps to the next timer, and so on
 * until a condition holds; a condition that never holds fails by a limit in virtual time.
 */
import type { Clock } from '../../shared/ports.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(now: number = Date.parse('2026-11-23T08:00:00Z')) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, Math.ceil(ms)), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Real work that is due (promises, immediate callbacks) comes first. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(); next !== null && next.at <= end; next = this.#next()) {
      this.#ring(next);
      await this.settle();
    }
    this.#now = end;
  }

  async until(condition: () => boolean, what: string, limitMs = 3_600_000): Promise<void> {
    const end = this.#now + limitMs;
    for (let idle = 0; ; ) {
      await this.settle();
      if (condition()) return;
      const next = this.#next();
      if (next !== null && next.at <= end) this.#ring(next);
      else if (++idle > 50) throw new Error(`never came: ${what}`);
    }
  }

  #next(): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) if (first === null || timer.at < first.at) first = timer;
    return first;
  }

  #ring(timer: Timer): void {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.callback();
  }
}
