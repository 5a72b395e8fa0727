/** How long something takes: a fixed time, a uniform one, or the lopsided one that real operations show (lognormal). */
import { z } from 'zod';
import { DurationMs } from '../../../shared/domain/units.ts';
import type { Random } from '../../../shared/ports.ts';

export type Distribution =
  | { readonly kind: 'fixed'; readonly ms: number }
  | { readonly kind: 'uniform'; readonly fromMs: number; readonly toMs: number }
  /** Half of the draws lie below the median; `spread` is the standard deviation of the logarithm. */
  | { readonly kind: 'lognormal'; readonly medianMs: number; readonly spread: number };

export const noTime: Distribution = { kind: 'fixed', ms: 0 };

const Lognormal = z
  .strictObject({ median: DurationMs, spread: z.number().min(0).max(3).default(0.3) })
  .transform(({ median, spread }): Distribution => ({ kind: 'lognormal', medianMs: median, spread }));

const Uniform = z
  .strictObject({ from: DurationMs, to: DurationMs })
  .refine(({ from, to }) => from <= to, { path: ['to'], message: 'is less than from', params: { allowed: 'from or more' } })
  .transform(({ from, to }): Distribution => ({ kind: 'uniform', fromMs: from, toMs: to }));

/** In a site file: `8 s`, `{median: 8 s, spread: 0.3}` or `{from: 2 s, to: 5 s}`. */
export const DistributionEntry = z.unknown().transform((written, context): Distribution => {
  const isObject = typeof written === 'object' && written !== null && !Array.isArray(written);
  const form = !isObject
    ? DurationMs.transform((ms): Distribution => ({ kind: 'fixed', ms }))
    : 'from' in written || 'to' in written
      ? Uniform
      : Lognormal;
  const parsed = form.safeParse(written);
  if (parsed.success) return parsed.data;
  // The library wants a fresh object of its own raw issue type; each found issue is one.
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: written } as z.core.$ZodRawIssue);
  return z.NEVER;
});

export function draw(distribution: Distribution, random: Random): number {
  switch (distribution.kind) {
    case 'fixed':
      return distribution.ms;
    case 'uniform':
      return distribution.fromMs + (distribution.toMs - distribution.fromMs) * random.fraction();
    case 'lognormal':
      return distribution.medianMs * Math.exp(distribution.spread * standardNormal(random));
  }
}

/** Box and Muller's way from two uniform draws to a normal one. */
function standardNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.fraction()));
  return radius * Math.cos(2 * Math.PI * random.fraction());
}
