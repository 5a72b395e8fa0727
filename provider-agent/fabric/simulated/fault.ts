/**
 * Faults that can be ordered at a simulated site: what goes wrong, where, and how often. A fault stays until its
 * times are used up or it is lifted; lifting undoes it (the host returns, the site is reachable again).
 */
import { z } from 'zod';
import { DurationMs } from '../../../shared/domain/units.ts';
import { OPERATIONS, type Operation } from '../site/operation.ts';

export interface Timed {
  /** Begins so long after it was ordered. */
  readonly afterMs: number;
}

/** Calls that a fault hits: one operation or any, one VM (name or id) or any, so many times. */
export interface Hits extends Timed {
  readonly operation: Operation | 'any';
  readonly vm: string | null;
  readonly times: number;
}

export type Fault =
  /** The host is off: its VMs with it, and every operation on them fails. */
  | (Timed & { readonly kind: 'hostDies'; readonly host: string })
  /** Nothing comes in or goes out for replication; the listener is closed. */
  | (Timed & { readonly kind: 'siteDark' })
  /** The operation fails, its effect done or not. */
  | (Hits & { readonly kind: 'fails'; readonly when: 'beforeEffect' | 'afterEffect' })
  /** The operation never returns, its effect done or not; only the caller's signal ends it. */
  | (Hits & { readonly kind: 'hangs'; readonly when: 'beforeEffect' | 'afterEffect' })
  /** The operation reports success and has no effect. */
  | (Hits & { readonly kind: 'lies' })
  /** The primary sends nothing. */
  | (Timed & { readonly kind: 'replicationPaused'; readonly vm: string | null })
  /** What the primary sends is older by so much. */
  | (Timed & { readonly kind: 'replicationLags'; readonly vm: string | null; readonly lagMs: number });

/** The same without the fields that have a default. */
export type FaultOrder = Fault extends infer F
  ? F extends Fault
    ? Omit<F, 'afterMs' | 'vm' | 'times' | 'when'> & Partial<F>
    : never
  : never;

export function completeFault(order: FaultOrder): Fault {
  switch (order.kind) {
    case 'fails':
    case 'hangs':
      return { afterMs: 0, vm: null, times: 1, when: 'beforeEffect', ...order };
    case 'lies':
      return { afterMs: 0, vm: null, times: 1, ...order };
    case 'replicationPaused':
    case 'replicationLags':
      return { afterMs: 0, vm: null, ...order };
    default:
      return { afterMs: 0, ...order };
  }
}

const after = { after: DurationMs.default(0) };
const vm = { vm: z.string().min(1).nullable().default(null) };
const hits = { ...after, ...vm, operation: z.enum([...OPERATIONS, 'any']), times: z.int().min(1).max(1_000_000).default(1) };
const when = { when: z.enum(['beforeEffect', 'afterEffect']).default('beforeEffect') };

/** In a site file, under `faults`. */
export const FaultEntry = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('hostDies'), host: z.string(), ...after }),
    z.strictObject({ kind: z.literal('siteDark'), ...after }),
    z.strictObject({ kind: z.literal('fails'), ...hits, ...when }),
    z.strictObject({ kind: z.literal('hangs'), ...hits, ...when }),
    z.strictObject({ kind: z.literal('lies'), ...hits }),
    z.strictObject({ kind: z.literal('replicationPaused'), ...vm, ...after }),
    z.strictObject({ kind: z.literal('replicationLags'), ...vm, ...after, lag: DurationMs }),
  ])
  .transform((entry): Fault => {
    const { after: afterMs, ...rest } = entry;
    if (rest.kind !== 'replicationLags') return { ...rest, afterMs };
    const { lag: lagMs, ...plain } = rest;
    return { ...plain, lagMs, afterMs };
  });
