/**
 * Making and removing the networks of drills go one after the other. Who is about to connect a test copy says so before: what another
 * has just made is not taken away then, and what another has just taken away is made anew.
 */
import type { JobId } from '../../shared/ids.ts';
import { Slots } from '../../shared/lanes.ts';

export class DrillNetworkTurns {
  readonly #turn = new Slots(1);
  readonly #connecting = new Map<JobId, number>();

  /** Makes or removes. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn.run(work);
  }

  async whileConnecting<T>(drill: JobId, connect: () => Promise<T>): Promise<T> {
    this.#connecting.set(drill, (this.#connecting.get(drill) ?? 0) + 1);
    try {
      return await connect();
    } finally {
      const left = (this.#connecting.get(drill) ?? 1) - 1;
      if (left === 0) this.#connecting.delete(drill);
      else this.#connecting.set(drill, left);
    }
  }

  isConnecting(drill: JobId): boolean {
    return this.#connecting.has(drill);
  }
}
