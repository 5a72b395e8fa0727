/**
 * How often one address may ask. Guessing passwords and set-up secrets is held to a few tries a minute; everything else has room
 * for a console and a command line, and none for a flood.
 */
import type { RequestHandler } from 'express';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { FarshoreError } from '../../shared/errors.ts';

export const PER_MINUTE = { strict: 10, generous: 1200 } as const;

export function limitRate(perMinute: number): RequestHandler {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: 60 });
  return async (request, response, next) => {
    try {
      await limiter.consume(request.ip ?? 'unknown');
    } catch (full) {
      if (!(full instanceof RateLimiterRes)) throw full;
      response.set('Retry-After', String(Math.ceil(full.msBeforeNext / 1000)));
      throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'too many requests from this address');
    }
    next();
  };
}
