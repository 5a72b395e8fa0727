/** The time of the day, which a test may hurry on: what waits for a later moment then waits so much less, and real programs do not notice. */
import type { Clock } from '../../shared/ports.ts';
import { systemClock } from '../../shared/system-ports.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
  cancel: () => void;
}

export class HurriedClock implements Clock {
  #ahead = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { at: this.now() + ms, callback, cancel: () => {} };
    this.#timers.add(timer);
    this.#set(timer);
    return () => {
      this.#timers.delete(timer);
      timer.cancel();
    };
  }

  hurry(ms: number): void {
    this.#ahead += ms;
    for (const timer of this.#timers) {
      timer.cancel();
      this.#set(timer);
    }
  }

  #set(timer: Timer): void {
    timer.cancel = systemClock.after(Math.max(0, timer.at - this.now()), () => {
      this.#timers.delete(timer);
      timer.callback();
    });
  }
}
