/** How the first copy of a VM gets to its replica: over the network now or later, or in a folder that somebody carries there. */
import { z } from 'zod';
import type { Problem } from '../errors.ts';

/** Hyper-V Replica takes no later start. */
export const FIRST_COPY_DAYS_MOST = 7;
const DAY_MS = 86_400_000;

export const FOLDER_ALLOWED =
  'a full path as the host of the VM sees it, such as D:\\FirstCopies or \\\\files\\first-copies, without wildcards and ..';

/** A full path of Windows, a share, or a full path of a POSIX system. */
export const FirstCopyFolder = z
  .string()
  .max(200)
  .regex(/^(?:[A-Za-z]:[\\/]|\\\\[^\\/]+[\\/][^\\/]+|\/[^/])/, `wanted: ${FOLDER_ALLOWED}`)
  .refine((path) => !/[*?"<>|]/.test(path) && Array.from(path).every((char) => char >= ' '), `wanted: ${FOLDER_ALLOWED}`)
  .refine((path) => !path.split(/[\\/]/).includes('..'), `wanted: ${FOLDER_ALLOWED}`);

export const FirstCopy = z.discriminatedUnion('how', [
  z.strictObject({ how: z.literal('now') }),
  z.strictObject({ how: z.literal('at'), at: z.iso.datetime() }),
  z.strictObject({ how: z.literal('export'), folder: FirstCopyFolder }),
]);
export type FirstCopy = z.infer<typeof FirstCopy>;

export const firstCopyNow: FirstCopy = { how: 'now' };

/** What is wrong with it at this moment. */
export function firstCopyProblems(firstCopy: FirstCopy, now: number): Problem[] {
  if (firstCopy.how !== 'at') return [];
  const at = Date.parse(firstCopy.at);
  if (at > now && at <= now + FIRST_COPY_DAYS_MOST * DAY_MS) return [];
  const allowed = `a moment within the next ${FIRST_COPY_DAYS_MOST} days, in UTC: until ${new Date(now + FIRST_COPY_DAYS_MOST * DAY_MS).toISOString()}`;
  return [{ field: 'firstCopy.at', message: `${firstCopy.at} ${at <= now ? 'has passed' : 'is too far ahead'}`, allowed }];
}
