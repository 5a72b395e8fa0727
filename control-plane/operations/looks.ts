/** Looking at what comes due: after a start, when something has happened, and at the next moment that matters. One look at a time. */
import type { Clock, Log } from '../../shared/ports.ts';

/** While something is due and cannot be done now: an agent is away, another job works on a VM. */
export const LOOK_AGAIN_MS = 15_000;
/** Timers do not take a month. */
const LONGEST_WAIT_MS = 3_600_000;

export interface LookPorts {
  readonly clock: Clock;
  readonly log: Log;
}

export class Looks {
  readonly #what: string;
  readonly #ports: LookPorts;
  /** Answers in how many milliseconds there is something to do that nobody tells of; null where there is nothing. */
  readonly #lookOnce: () => Promise<number | null>;
  #cancelLook = () => {};
  #isStopped = false;
  #isLooking = false;
  #isAskedAgain = false;

  constructor(what: string, ports: LookPorts, lookOnce: () => Promise<number | null>) {
    this.#what = what;
    this.#ports = ports;
    this.#lookOnce = lookOnce;
  }

  look(): void {
    if (this.#isStopped) return;
    this.#isAskedAgain = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#cancelLook();
    void this.#lookSurely().then((wait) => {
      this.#isLooking = false;
      if (this.#isAskedAgain) this.look();
      else if (wait !== null && !this.#isStopped)
        this.#cancelLook = this.#ports.clock.after(Math.min(wait, LONGEST_WAIT_MS), () => this.look());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook();
  }

  async #lookSurely(): Promise<number | null> {
    try {
      return await this.#lookOnce();
    } catch (error) {
      this.#ports.log.error({ err: error }, `${this.#what} could not be looked at`);
      return LOOK_AGAIN_MS;
    }
  }
}
