/** What goes wrong at a site because somebody ordered it, so that a rehearsal can see it. At a real site things go wrong by themselves. */
import type { VmRef } from '../../../shared/ids.ts';
import type { Operation } from './operation.ts';

/** The call at hand, as faults look at it. */
export interface CallAtHand {
  readonly operation: Operation;
  readonly commandId: string;
  readonly vm: { readonly id: string; readonly name: string } | null;
}

export interface OrderedFaults {
  /** Nothing comes in or goes out for replication. */
  readonly isSiteDark: boolean;
  /** When the next one begins; null: none waits. */
  nextAt(): number | null;
  /** The fault that hits this call at this place, used up by one; null where none does. */
  take(call: CallAtHand, place: 'beforeEffect' | 'afterEffect'): { readonly kind: 'fails' | 'hangs' | 'lies' } | null;
  /** What is wrong with the sending of one VM. */
  sending(ref: VmRef, name: string): { readonly isPaused: boolean; readonly lagMs: number };
}

export const noFaults: OrderedFaults = {
  isSiteDark: false,
  nextAt: () => null,
  take: () => null,
  sending: () => ({ isPaused: false, lagMs: 0 }),
};
