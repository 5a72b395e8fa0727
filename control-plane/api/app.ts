/**
 * The HTTP API as an Express application. Every route is a row of the table in shared/api: who may call it, what it takes
 * and what it answers are read from the row, here and nowhere else. What the schema of an answer does not name is left out.
 */
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { z } from 'zod';
import { isAtLeast } from '../../shared/api/fields.ts';
import type { Route } from '../../shared/api/route.ts';
import { ROUTE_IDS, type RouteId, routeOf } from '../../shared/api/routes.ts';
import { fieldText, mistakesOf } from '../../shared/document-mistakes.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { accountHandlers } from './account-handlers.ts';
import { adoptionHandlers } from './adoption-handlers.ts';
import { identify } from './credentials.ts';
import { drillHandlers } from './drill-handlers.ts';
import { EventStreams } from './event-stream.ts';
import type { AnsweringRouteId, ApiPorts, Call, Caller, Handler, Handlers } from './handler.ts';
import { jobHandlers } from './job-handlers.ts';
import { planHandlers } from './plan-handlers.ts';
import { answerProblems } from './problem-answer.ts';
import { protectionHandlers } from './protection-handlers.ts';
import { limitRate, PER_MINUTE } from './rate-limits.ts';
import { ruleHandlers } from './rule-handlers.ts';
import { setUpPage } from './set-up-page.ts';
import { siteHandlers } from './site-handlers.ts';
import { vaultHandlers } from './vault-handlers.ts';

export interface Api {
  readonly app: Express;
  /** Ends the event streams, which would keep the server from stopping. */
  close(): void;
}

export function createApi(ports: ApiPorts): Api {
  const app = express();
  const streams = new EventStreams(ports);
  const handlers: Handlers = {
    ...accountHandlers(ports),
    ...vaultHandlers(ports),
    ...siteHandlers(ports),
    ...protectionHandlers(ports),
    ...adoptionHandlers(ports),
    ...ruleHandlers(ports),
    ...planHandlers(ports),
    ...drillHandlers(ports),
    ...jobHandlers(ports),
  };
  const { strict, generous } = ports.perMinute ?? PER_MINUTE;
  const limits = { strict: limitRate(strict), generous: limitRate(generous) };

  app.disable('x-powered-by').set('etag', false);
  app.use(
    helmet({
      contentSecurityPolicy: {
        directives: { defaultSrc: ["'none'"], scriptSrc: ["'self'"], styleSrc: ["'self'"], connectSrc: ["'self'"], imgSrc: ["'self'"] },
      },
    }),
  );
  app.use(setUpPage(ports.store));
  for (const id of inOrderOfPaths()) {
    const route = routeOf(id);
    const limit = id === 'signIn' || id === 'setUp' ? limits.strict : limits.generous;
    const body = express.json({ limit: `${route.bodyKilobytes ?? 64}kb`, strict: true });
    // Who asks is settled before a byte of the body is parsed.
    app[route.method](expressPath(route), limit, admit(route, ports), ...(route.body ? [body] : []), answer(id, route, handlers, streams));
  }
  app.use(() => {
    throw new FarshoreError('ERR_NOT_FOUND', 'there is no such route');
  });
  app.use(answerProblems(ports.log, ports.random));
  return { app, close: () => streams.close() };
}

/** Fixed paths before those with a parameter in the same place. */
function inOrderOfPaths(): RouteId[] {
  return ROUTE_IDS.toSorted((a, b) => routeOf(a).path.split('{').length - routeOf(b).path.split('{').length);
}

function expressPath({ path }: Route): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** The one place where it is decided who may call what. */
function admit(route: Route, { store, clock }: ApiPorts): RequestHandler {
  return async (request, response, next) => {
    if (route.access !== 'public') {
      const caller = await identify(request, store, clock);
      if (!isAtLeast(caller.role, route.access)) {
        throw new FarshoreError('ERR_FORBIDDEN', `this needs the role ${route.access}; the credential has ${caller.role}`);
      }
      response.locals.caller = caller;
    }
    next();
  };
}

function answer(id: RouteId, route: Route, handlers: Handlers, streams: EventStreams): RequestHandler {
  return async (request, response) => {
    const input = readInput(route, request);
    const caller: Caller | null = response.locals.caller ?? null;
    if (id === 'events') {
      const { job } = input.query as Call<'events'>['query'];
      await streams.serve(caller as Caller, job, request.get('last-event-id'), response);
      return;
    }
    const setHeader = (name: string, value: string) => response.setHeader(name, value);
    // The row chose handler and schemas together; the compiler cannot follow that through the lookup.
    const handle = handlers[id] as unknown as Handler<AnsweringRouteId>;
    const answered: unknown = await handle({ ...input, caller, setHeader } as Call<AnsweringRouteId>);
    send(route, answered, response);
  };
}

function send(route: Route, answered: unknown, response: Response): void {
  response.status(route.status).set('Cache-Control', 'no-store');
  if (route.answer === undefined) {
    response.end();
    return;
  }
  const parsed = route.answer.safeParse(answered);
  if (!parsed.success) throw new FarshoreError('ERR_INTERNAL', 'the answer does not fit its schema', { cause: parsed.error });
  response.json(parsed.data);
}

/** Throws ERR_REQUEST_INVALID with every mistake in path, query and body. */
function readInput(route: Route, request: Request): { params: unknown; query: unknown; body: unknown } {
  const problems: Problem[] = [];
  const read = (schema: z.ZodType | undefined, value: unknown) => {
    if (schema === undefined) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    problems.push(...problemsOf(parsed.error, value, schema));
    return undefined;
  };
  const input = {
    params: read(route.params, request.params),
    query: read(route.query && z.strictObject(route.query.shape), { ...request.query }),
    body: read(route.body, request.body ?? {}),
  };
  if (problems.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'the request has mistakes', { problems });
  return input;
}

function problemsOf(error: z.ZodError, value: unknown, schema: z.ZodType): Problem[] {
  return mistakesOf(error.issues, value, schema).map(({ path, message, allowed }) => ({
    field: fieldText(path),
    message: hasSecret(path) ? 'is not allowed' : message,
    ...(allowed === undefined ? {} : { allowed }),
  }));
}

/** Messages quote the value that is wrong; a password or a secret is not quoted. */
function hasSecret(path: readonly PropertyKey[]): boolean {
  return path.some((part) => part === 'password' || part === 'secret');
}
