/** What every refusal answers with: a problem document (RFC 9457) that says what, why, what to do, and where. */
import { z } from 'zod';
import { ERROR_CODES } from '../errors.ts';

export const ProblemEntry = z.object({
  message: z.string(),
  allowed: z.string().optional(),
  field: z.string().optional(),
  file: z.string().optional(),
  line: z.int().optional(),
  column: z.int().optional(),
});

export const ProblemDocument = z
  .object({
    type: z.string().meta({ description: 'always `about:blank`: `code` tells the kind' }),
    title: z.string().meta({ description: 'the words of the HTTP status' }),
    status: z.int(),
    code: z.enum(ERROR_CODES),
    detail: z.string().meta({ description: 'what went wrong this time' }),
    cause: z.string().meta({ description: 'what usually causes it' }),
    remedy: z.string().meta({ description: 'what to do about it' }),
    instance: z.string().meta({ description: 'names this answer in the log of the control plane' }),
    problems: z.array(ProblemEntry).meta({ description: 'every mistake at once, where the input was at fault' }),
  })
  .meta({ id: 'Problem' });
export type ProblemDocument = z.infer<typeof ProblemDocument>;
