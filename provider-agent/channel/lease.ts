/**
 * The permission to change something at the site: it is lent by the control plane, and runs out soon after that was heard last
 * (docs/adr/0019). It counts from when the agent asked and not from when the answer came, so no delay on the way makes it longer than
 * the control plane believes. Both a timer and the time of day must agree that it holds: the one stands still while a machine sleeps,
 * the other may be set.
 */
import type { Clock } from '../../shared/ports.ts';
import { LEASE_MS } from '../../shared/protocol/lease.ts';

export class Lease {
  readonly #clock: Clock;
  #term = 0;
  #isHeld = false;
  #askedAt = 0;
  #cancel = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of the time without a gap for which it is held; null while it is not. */
  get term(): number | null {
    const age = this.#clock.now() - this.#askedAt;
    if (age < 0 || age >= LEASE_MS) this.#isHeld = false;
    return this.#isHeld ? this.#term : null;
  }

  /** The control plane has answered the hello, and sends all that it still wants. */
  begin(askedAt: number): void {
    if (this.term === null) this.#term++;
    this.#holdFrom(askedAt);
  }

  /** The control plane has answered a ping. What has run out stays so until the next welcome: only then it tells what it still wants. */
  renew(askedAt: number): void {
    if (this.term !== null) this.#holdFrom(askedAt);
  }

  #holdFrom(askedAt: number): void {
    this.#isHeld = true;
    this.#askedAt = askedAt;
    this.#cancel();
    this.#cancel = this.#clock.after(askedAt + LEASE_MS - this.#clock.now(), () => {
      this.#isHeld = false;
    });
  }
}
