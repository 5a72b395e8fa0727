/**
 * What each host told last. A host is asked with the stamps of that, and tells only what has none of them, and which of them fit nothing
 * any more. So it does not matter which process of PowerShell answers, nor whether an answer is lost: what did not arrive is told again.
 */
export interface Differences<T> {
  readonly told: readonly (readonly [stamp: string, one: T])[];
  readonly gone: ReadonlySet<string>;
}

export class ToldByHosts<T> {
  readonly #byHost = new Map<string, ReadonlyMap<string, T>>();

  /** Whether it has answered once: what stands on it is known. */
  hasHeard(host: string): boolean {
    return this.#byHost.has(host);
  }

  get hasHeardAny(): boolean {
    return this.#byHost.size > 0;
  }

  all(): T[] {
    return [...this.#byHost.values()].flatMap((told) => [...told.values()]);
  }

  /** Everything that the host has now; what is as it was is the same object. */
  async read(host: string, ask: (known: string) => Promise<Differences<T>>): Promise<readonly T[]> {
    const before = this.#byHost.get(host) ?? new Map<string, T>();
    const { told, gone } = await ask([...before.keys()].join(' '));
    const now = new Map([...before].filter(([stamp]) => !gone.has(stamp)));
    for (const [stamp, one] of told) now.set(stamp, one);
    this.#byHost.set(host, now);
    return [...now.values()];
  }
}
