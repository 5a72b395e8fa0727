/**
 * Many writers, one sync: items added while a batch waits or is being written go out together in the next one.
 * `add` resolves when the item's batch is durable, and rejects with the whole batch when the write fails;
 * batches are written in the order their items were added, one at a time.
 */
export class GroupCommit<T> {
  readonly #write: (batch: readonly T[]) => void | Promise<void>;
  readonly #defer: (flush: () => void) => void;
  #waiting: { item: T; resolve: () => void; reject: (reason: unknown) => void }[] = [];
  #isBusy = false;

  /** `defer` calls back soon: after the present turn of the event loop, so that a burst shares one batch. */
  constructor(write: (batch: readonly T[]) => void | Promise<void>, defer: (flush: () => void) => void) {
    this.#write = write;
    this.#defer = defer;
  }

  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isBusy || this.#waiting.length === 0) return;
    this.#isBusy = true;
    this.#defer(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      await this.#write(batch.map((entry) => entry.item));
      for (const entry of batch) entry.resolve();
    } catch (thrown) {
      for (const entry of batch) entry.reject(thrown);
    }
    this.#isBusy = false;
    this.#schedule();
  }
}
