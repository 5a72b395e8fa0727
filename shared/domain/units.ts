/**
 * Sizes, durations and rates as people write them in documents. A bare number is refused: it does not say what it counts.
 * Sizes are binary, as Hyper-V counts them: 1 MB is 1,048,576 bytes.
 */
import { z } from 'zod';

interface Unit {
  /** What is allowed, with examples; goes into the message. */
  allowed: string;
  factors: Readonly<Record<string, number>>;
  /** Words that stand for a value without a number. */
  words?: Readonly<Record<string, number>>;
}

const KB = 1024;
const sizeFactors = { kB: KB, KB, MB: KB ** 2, GB: KB ** 3, TB: KB ** 4 };

/** Bytes. */
export const SizeBytes = measured({ allowed: "a size with its unit: '512 MB', '4 GB', '2 TB'", factors: sizeFactors });

/** Milliseconds. */
export const DurationMs = measured({
  allowed: "a duration with its unit: '250 ms', '30 s', '5 min', '2 h', or 0",
  factors: { ms: 1, s: 1000, min: 60_000, h: 3_600_000 },
  words: { '0': 0 },
});

/** Bytes a second. */
export const BytesPerSecond = measured({
  allowed: "a rate with its unit: '500 kB/s', '2 MB/s', or 0",
  factors: Object.fromEntries(Object.entries(sizeFactors).map(([unit, factor]) => [`${unit}/s`, factor])),
  words: { '0': 0 },
});

/** Bytes a second; Infinity for 'unlimited'. */
export const Bandwidth = measured({
  allowed: "a rate with its unit: '10 MB/s', '1 GB/s', or 'unlimited'",
  factors: Object.fromEntries(Object.entries(sizeFactors).map(([unit, factor]) => [`${unit}/s`, factor])),
  words: { unlimited: Number.POSITIVE_INFINITY },
});

function measured({ allowed, factors, words = {} }: Unit) {
  return z.unknown().transform((written, context): number => {
    const refuse = (message: string): never => {
      context.addIssue({ code: 'custom', message, params: { allowed } });
      return z.NEVER;
    };
    if (written === undefined) return refuse('is missing');
    if (typeof written !== 'string' && typeof written !== 'number') return refuse('is not a quantity');
    const text = String(written).trim();
    const word = words[text];
    if (word !== undefined) return word;
    const [, number, unit] = /^(-?\d+(?:\.\d+)?)\s*([A-Za-z/%]*)$/.exec(text) ?? [];
    if (number === undefined || unit === undefined) return refuse(`'${text.slice(0, 40)}' is not a quantity`);
    if (unit === '') return refuse(`'${text}' has no unit`);
    const factor = factors[unit];
    if (factor === undefined) return refuse(`'${unit}' is not a unit for this`);
    if (number.startsWith('-')) return refuse(`'${text}' is less than nothing`);
    return Math.round(Number(number) * factor);
  });
}
