/**
 * The one place where an error becomes an answer, and where it is logged. What went wrong inside stays inside: the
 * answer names its place in the log.
 */
import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, Request } from 'express';
import type { ProblemDocument } from '../../shared/api/problem.ts';
import { errorCodes, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { Log, Random } from '../../shared/ports.ts';

export function answerProblems(log: Log, random: Random): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    const error = asRefusal(thrown);
    const { http } = errorCodes[error.code];
    const instance = `urn:uuid:${random.uuid()}`;
    note(log, error, instance, request);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(http).set('Cache-Control', 'no-store').type('application/problem+json');
    if (http === 401) response.set('WWW-Authenticate', 'Bearer');
    response.send(JSON.stringify(problemOf(error, instance)));
  };
}

function problemOf(error: FarshoreError, instance: string): ProblemDocument {
  const { http: status, cause, remedy } = errorCodes[error.code];
  const title = STATUS_CODES[status] ?? 'Error';
  const problems = error.problems.map(({ message, allowed, field, file, line, column }) => ({
    message,
    ...(allowed === undefined ? {} : { allowed }),
    ...(field === undefined ? {} : { field }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  }));
  return { type: 'about:blank', title, status, code: error.code, detail: error.message, cause, remedy, instance, problems };
}

function note(log: Log, error: FarshoreError, instance: string, { method, path }: Request): void {
  const fields = { code: error.code, detail: error.message, method, path, instance };
  if (error.code === 'ERR_INTERNAL' || error.code === 'ERR_STORE_FAILED')
    log.error({ ...fields, err: error.cause ?? error }, 'request failed');
  else log.info(fields, 'request refused');
}

/** The body parser marks its own errors with a `type` such as `entity.too.large`, and the router its with a `status`. */
function asRefusal(thrown: unknown): FarshoreError {
  if (thrown instanceof Error && 'status' in thrown && typeof thrown.status === 'number' && thrown.status < 500) {
    const isTooLarge = thrown.status === 413;
    return new FarshoreError('ERR_REQUEST_INVALID', isTooLarge ? 'the body is too large for this route' : 'the request cannot be read');
  }
  return toFarshoreError(thrown);
}
