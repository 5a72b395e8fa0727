/** An option that takes a day or a moment, in UTC unless it says otherwise: the same for everyone, wherever they sit. */
import { InvalidArgumentError } from 'commander';

/** Milliseconds since 1970. */
export function momentOption(text: string): number {
  const isMoment = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const at = isMoment ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new InvalidArgumentError('a day or a moment is wanted: 2026-11-23 or 2026-11-23T02:47:24Z');
  return at;
}
