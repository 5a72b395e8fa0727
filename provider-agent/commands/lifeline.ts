/**
 * What a core that was abandoned hangs on: once cut, nothing it waits for ever settles and none of its timers rings,
 * as if the process had died. Crash tests run many such lives in one process.
 */
import type { Clock } from '../../shared/ports.ts';

export class Lifeline {
  #isCut = false;
  readonly #timers = new Set<() => void>();

  get isCut(): boolean {
    return this.#isCut;
  }

  cut(): void {
    this.#isCut = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** Starts the work only in life, and lets its end be known only in life. */
  hold<T>(start: () => Promise<T>): Promise<T> {
    if (this.#isCut) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      start().then(
        (value) => this.#isCut || resolve(value),
        (reason) => this.#isCut || reject(reason),
      );
    });
  }

  /** A clock whose timers end with this life. */
  clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      after: (ms, callback) => {
        if (this.#isCut) return () => {};
        const cancel = clock.after(ms, () => {
          this.#timers.delete(cancel);
          if (!this.#isCut) callback();
        });
        this.#timers.add(cancel);
        return () => {
          this.#timers.delete(cancel);
          cancel();
        };
      },
    };
  }
}
