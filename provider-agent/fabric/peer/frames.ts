/** What goes over the line between two sites: a request with a number that its answer repeats; JSON, strict and limited on both sides. */
import { z } from 'zod';
import { FarshoreError } from '../../../shared/errors.ts';
import { PairingId } from '../../../shared/ids.ts';

/** Bytes of one frame. */
export const MAX_FRAME_BYTES = 1024 * 1024;

export function requestFrame<Request>(request: z.ZodType<Request>) {
  return z.strictObject({ id: z.int().min(0), pairingId: PairingId, request });
}

export function answerFrame<Answer>(answer: z.ZodType<Answer>) {
  return z.strictObject({ id: z.int().min(0), answer });
}

/** Throws ERR_MESSAGE_INVALID. */
export function parseFrame<S extends z.ZodType>(schema: S, text: string): z.infer<S> {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (thrown) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'a replication frame is no JSON', { cause: thrown });
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success)
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'a replication frame does not fit its schema', { cause: parsed.error });
  return parsed.data;
}
