/**
 * The places of a run where something can be made to go wrong, in the order in which they are reached. A calm run lists
 * them; a hurt one is the same run up to the place it is hurt at, so a place is named by its number and checked by its name.
 */

import { FarshoreError } from '../../shared/errors.ts';

export type Place =
  /** The control plane writes to the log of a job, or opens one. */
  | { readonly kind: 'append'; readonly when: 'before' | 'after'; readonly what: string }
  /** An agent writes to its journal. */
  | { readonly kind: 'journal'; readonly when: 'before' | 'after'; readonly site: string; readonly what: string }
  /** A call of the fabric has done its work, and nobody has been told. */
  | { readonly kind: 'effect'; readonly site: string; readonly what: string }
  /** A text is on the wire. */
  | { readonly kind: 'message'; readonly site: string; readonly what: string };

/** What a hurt does to whoever reached the place: it is dead, it is told of a failure, or it notices nothing. */
export type Hurt = 'dies' | 'fails' | 'lives';

export class Places {
  readonly reached: Place[] = [];
  #planned: { readonly isMeant: (place: Place, index: number) => boolean; readonly hurt: (place: Place) => Hurt } | null = null;
  #isListing = false;
  /** How many places were hurt. */
  hurts = 0;

  /** From now on places count, from 0. */
  list(): void {
    this.#isListing = true;
  }

  hurtAt(index: number, hurt: (place: Place) => Hurt): void {
    this.hurtWhere((_place, reached) => reached === index, hurt);
  }

  /** Once, at the first place that is meant. */
  hurtWhere(isMeant: (place: Place, index: number) => boolean, hurt: (place: Place) => Hurt): void {
    this.#planned = { isMeant, hurt };
    this.#isListing = true;
  }

  /** From now on nothing is counted or hurt any more. */
  rest(): void {
    this.#isListing = false;
  }

  reach(place: Place): Hurt {
    if (!this.#isListing) return 'lives';
    const index = this.reached.push(place) - 1;
    const planned = this.#planned;
    if (planned === null || !planned.isMeant(place, index)) return 'lives';
    this.#planned = null;
    this.hurts++;
    return planned.hurt(place);
  }

  /** The same for whoever waits: never resolves for the dead, and throws as a database does that cannot write. */
  async pass(place: Place): Promise<void> {
    const hurt = this.reach(place);
    if (hurt === 'dies') await new Promise(() => {});
    if (hurt === 'fails') throw new FarshoreError('ERR_STORE_FAILED', 'the disk is full, by order of the test');
  }
}

export const nameOf = (place: Place): string =>
  [place.kind, 'site' in place ? place.site : '', place.what, 'when' in place ? place.when : ''].filter((part) => part !== '').join(' ');
