/**
 * How many VMs start on one host at the same time: each waits for its turn, first come first served by host. A turn ends when the
 * guest answers or is given up, since it is the starting that loads a host. Names of hosts never leave the site, so this is kept here.
 */
interface Waiting {
  readonly limit: number;
  readonly enter: () => void;
}

export class StartTurns {
  readonly #starting = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting[]>();

  async run<T>(host: string, limit: number, start: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      const queue = this.#waiting.get(host) ?? [];
      queue.push({ limit, enter });
      this.#waiting.set(host, queue);
      this.#letIn(host);
    });
    try {
      return await start();
    } finally {
      this.#starting.set(host, (this.#starting.get(host) ?? 1) - 1);
      this.#letIn(host);
    }
  }

  #letIn(host: string): void {
    const queue = this.#waiting.get(host) ?? [];
    for (let next = queue[0]; next !== undefined && (this.#starting.get(host) ?? 0) < next.limit; next = queue[0]) {
      queue.shift();
      this.#starting.set(host, (this.#starting.get(host) ?? 0) + 1);
      next.enter();
    }
  }
}
