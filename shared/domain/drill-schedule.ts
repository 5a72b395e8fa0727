/**
 * How often a plan is drilled, as it says itself, and when that is. Pure. A drill is due so many days after the last one, whoever
 * started it; where the plan names a time of day it is begun at that time or soon after, on the first day that allows it.
 */
import { z } from 'zod';
import { nameUpTo } from '../names.ts';

/** `network`, or `site/network`. */
const NetworkName = nameUpTo(300);
const NetworkNames = z.array(NetworkName).min(1).max(1000);

export const DrillSchedule = z
  .strictObject({
    everyDays: z.int().min(1).max(1095).meta({ description: 'so many days after the last drill of the plan, whoever started it' }),
    at: z
      .string()
      .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: "a time of day such as '02:30'" })
      .optional()
      .meta({ description: 'time of day, UTC; left out: as soon as it is due' }),
    standsMinutes: z
      .int()
      .min(0)
      .max(43_200)
      .meta({ description: 'how long the test copies stand before they are cleaned up by themselves' }),
    networks: NetworkNames.optional().meta({
      description: 'an isolated VM network for each recovery site, as `site/network`; left out: the copies stay unconnected',
    }),
    makeNetworksLike: NetworkNames.optional().meta({
      description:
        'in place of `networks`: for each recovery site the VM network that one is made like, for the drill alone and without a way out',
    }),
  })
  .refine(({ networks, makeNetworksLike }) => networks === undefined || makeNetworksLike === undefined, {
    path: ['makeNetworksLike'],
    error: 'stands in place of `networks`: a drill uses networks that are there, or its own',
  });
export type DrillSchedule = z.infer<typeof DrillSchedule>;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** How long after its time of day a drill may be begun still: whoever says 02:00 does not mean noon. */
const BEGINS_WITHIN_MS = 2 * 60 * MINUTE_MS;

/** Moments are milliseconds since 1970. `since` is the last drill, or when the plan began to ask for them. */
export function dueAt({ everyDays, at }: Pick<DrillSchedule, 'everyDays' | 'at'>, since: number): number {
  const due = since + everyDays * DAY_MS;
  // By days and not by hours: a drill that began a moment late must not move the next one to the day after.
  return at === undefined ? due : startOfDay(due) + timeOfDay(at);
}

/** From when on one that is due may be begun: now, or at the next such time of day. */
export function beginsAt({ at }: Pick<DrillSchedule, 'at'>, due: number, now: number): number {
  if (now < due || at === undefined) return due;
  const today = startOfDay(now) + timeOfDay(at);
  const last = today <= now ? today : today - DAY_MS;
  return now < last + BEGINS_WITHIN_MS ? last : last + DAY_MS;
}

/** How long the copies of a drill that has ended stand. */
export const standsUntil = (endedAt: number, minutes: number): number => endedAt + minutes * MINUTE_MS;

const startOfDay = (moment: number): number => Math.floor(moment / DAY_MS) * DAY_MS;

function timeOfDay(at: string): number {
  const [hours, minutes] = at.split(':').map(Number);
  return ((hours ?? 0) * 60 + (minutes ?? 0)) * MINUTE_MS;
}

export interface NamedNetwork {
  readonly siteName: string;
  readonly name: string;
}

/** A plan is not called overdue for what passes in a moment. */
const OVERDUE_AFTER_MS = 60 * MINUTE_MS;

export const isOverdue = (due: number, now: number): boolean => now > due + OVERDUE_AFTER_MS;

/** The one network that is meant, or why there is none. */
export function networkMeant<N extends NamedNetwork>(
  written: string,
  known: readonly N[],
): N | { readonly problem: string; readonly allowed: string } {
  const meant = known.filter(({ siteName, name }) => written === name || written === `${siteName}/${name}`);
  const [found] = meant;
  if (found === undefined)
    return { problem: `no site has a VM network '${written}'`, allowed: known.map(fullName).sort().slice(0, 20).join(', ') };
  if (meant.length > 1) return { problem: `several sites have a VM network '${written}'`, allowed: meant.map(fullName).join(', ') };
  return found;
}

/** What the names of networks in a plan do not mean, with their places in `drill`. */
export function unknownNetworks(drill: DrillSchedule | undefined, known: readonly NamedNetwork[]) {
  return (['networks', 'makeNetworksLike'] as const).flatMap((field) =>
    (drill?.[field] ?? []).flatMap((name, index) => {
      const meant = networkMeant(name, known);
      return 'problem' in meant ? [{ path: [field, index], message: meant.problem, allowed: meant.allowed }] : [];
    }),
  );
}

const fullName = ({ siteName, name }: NamedNetwork): string => `${siteName}/${name}`;
