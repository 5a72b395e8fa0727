/**
 * The two requests that an agent makes before it has a channel, over HTTPS without a client certificate. Anyone can reach
 * them, so size and rate are limited before anything is parsed; refusals are problem documents (RFC 9457).
 */
import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { errorCodes, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { Enrolment } from './enrolment.ts';

export interface EnrolmentRoutesOptions {
  /** Requests a minute from one address; many agents may share one behind a proxy. */
  readonly perMinute?: number;
  /** Told of what was refused or failed, for the log; never given what was sent. */
  readonly onRefused?: (error: FarshoreError, path: string) => void;
}

export function enrolmentRoutes(enrolment: Enrolment, options: EnrolmentRoutesOptions = {}): Router {
  const router = Router();
  const json = express.json({ limit: '32kb', strict: true });
  const limit = limitRate(options.perMinute ?? 120);
  const answer =
    (work: (body: unknown) => Promise<object>): RequestHandler =>
    async (request, response) => {
      response.set('Cache-Control', 'no-store').json(await work(request.body));
    };
  router.post(
    '/enrol/v1/register',
    limit,
    json,
    answer((body) => enrolment.register(body)),
  );
  router.post(
    '/enrol/v1/renew',
    limit,
    json,
    answer((body) => enrolment.renew(body)),
  );
  router.use('/enrol/v1', refuse(options.onRefused ?? (() => {})));
  return router;
}

function limitRate(perMinute: number): RequestHandler {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: 60 });
  return async (request, response, next) => {
    try {
      await limiter.consume(request.ip ?? 'unknown');
    } catch (full) {
      const { msBeforeNext } = full as { msBeforeNext: number };
      response.set('Retry-After', String(Math.ceil(msBeforeNext / 1000)));
      throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'too many enrolment requests from this address');
    }
    next();
  };
}

function refuse(onRefused: (error: FarshoreError, path: string) => void): ErrorRequestHandler {
  return (thrown, request, response, _next) => {
    const error = isBodyError(thrown)
      ? new FarshoreError('ERR_REQUEST_INVALID', 'the body is no JSON of at most 32 kB')
      : toFarshoreError(thrown);
    const { http, cause, remedy } = errorCodes[error.code];
    onRefused(error, request.path);
    response.status(http).type('application/problem+json');
    response.send(JSON.stringify({ type: 'about:blank', title: error.message, status: http, code: error.code, cause, remedy }));
  };
}

/** express.json marks its own errors with a `type` such as `entity.too.large`. */
function isBodyError(thrown: unknown): boolean {
  return thrown instanceof Error && 'type' in thrown && 'status' in thrown && thrown.status !== 500;
}
