/** The route table as an OpenAPI 3.1 document. docs/openapi.json is this, and so is what the server answers. */
import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { type ErrorCode, errorCodes } from '../errors.ts';
import { ProblemDocument } from './problem.ts';
import type { Route } from './route.ts';
import { ROUTE_IDS, routeOf } from './routes.ts';

export function openApiDocument(): ReturnType<typeof createDocument> {
  const paths: ZodOpenApiPathsObject = {};
  for (const id of ROUTE_IDS) {
    const route = routeOf(id);
    paths[route.path] = { ...paths[route.path], [route.method]: operation(id, route) };
  }
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Farshore',
      version: 'v1',
      description: 'Disaster recovery for Hyper-V clouds managed by System Center VMM. Refusals are problem documents (RFC 9457).',
    },
    security: [{ bearer: [] }, { cookie: [] }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'an API token, or the secret of a session' },
        cookie: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
      },
    },
    paths,
  });
}

export const SESSION_COOKIE = '__Host-farshore';

function operation(id: string, route: Route): ZodOpenApiOperationObject {
  return {
    operationId: id,
    tags: [route.tag],
    summary: route.summary,
    description: route.access === 'public' ? 'Anyone may call it.' : `Needs the role \`${route.access}\` or more.`,
    ...(route.access === 'public' ? { security: [] } : {}),
    requestParams: { ...(route.params ? { path: route.params } : {}), ...(route.query ? { query: route.query } : {}) },
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
    responses: { [route.status]: success(route), ...refusals(route) },
  };
}

function success(route: Route) {
  const description = route.isStream ? 'events, until the client goes' : route.answer ? 'as asked' : 'done';
  if (route.isStream) return { description, content: { 'text/event-stream': { schema: z.string() } } };
  return { description, ...(route.answer ? { content: { 'application/json': { schema: route.answer } } } : {}) };
}

/** By HTTP status, each with the codes that it may carry. */
function refusals(route: Route): ZodOpenApiResponsesObject {
  const codes = new Set<ErrorCode>(route.errors);
  if (route.access !== 'public') codes.add('ERR_NOT_SIGNED_IN');
  if (route.access === 'operator' || route.access === 'owner') codes.add('ERR_FORBIDDEN');
  if (route.params ?? route.query ?? route.body) codes.add('ERR_REQUEST_INVALID');
  codes.add('ERR_TOO_MANY_REQUESTS').add('ERR_INTERNAL');
  const byStatus = Map.groupBy(codes, (code) => errorCodes[code].http);
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => [
      String(status),
      { description: of.join(', '), content: { 'application/problem+json': { schema: ProblemDocument } } },
    ]),
  );
}
