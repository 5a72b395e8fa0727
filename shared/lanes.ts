/** Order among work: in one lane one piece at a time, first come first served; different lanes do not wait for each other. */
export class Lanes {
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(lane: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(lane);
    const { promise: done, resolve: leave } = Promise.withResolvers<void>();
    this.#last.set(lane, done);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(lane) === done) this.#last.delete(lane);
      leave();
    }
  }
}

/** At most so many at once; the others wait in the order they came. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
