/** Names that people give: one line of text that shows all it is made of. */
import { z } from 'zod';

/** Nobody sees them, and a terminal obeys them: control characters (NUL, ESC, a new line), marks of direction, ends of lines. */
export const STEERING_SIGNS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A name of at most so many characters. */
export const nameUpTo = (most: number) => z.string().trim().min(1).max(most).superRefine(refuseSteeringSigns);

export const Name = nameUpTo(100);

/** Of a name with a form of its own. */
export function refuseSteeringSigns(name: string, context: z.RefinementCtx<string>): void {
  const found = name.match(STEERING_SIGNS);
  if (found === null) return;
  const signs = [...new Set(found)].map(codePoint);
  const message = `has a character in it that nobody sees: ${signs.join(', ')}`;
  const allowed = 'one line of letters, digits, spaces and other characters that are seen';
  context.addIssue({ code: 'custom', message, params: { allowed } });
}

const codePoint = (sign: string): string => `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
