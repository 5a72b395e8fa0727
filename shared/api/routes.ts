/** The one route table: server, typed client, OpenAPI and the test of who may call what come from these rows. */
import { accountRoutes } from './account-routes.ts';
import { adoptionRoutes } from './adoption.ts';
import { planRoutes } from './plan-routes.ts';
import { recoveryRoutes } from './recovery-routes.ts';
import type { AnswerGiven, AnswerOf, CallOf, InputOf, Route } from './route.ts';
import { ruleRoutes } from './rules.ts';
import { siteRoutes } from './site-routes.ts';
import { vaultRoutes } from './vault-routes.ts';

export const routes = {
  ...accountRoutes,
  ...vaultRoutes,
  ...siteRoutes,
  ...planRoutes,
  ...recoveryRoutes,
  ...adoptionRoutes,
  ...ruleRoutes,
} as const;

export type Routes = typeof routes;
export type RouteId = keyof Routes;
export const ROUTE_IDS = Object.keys(routes) as RouteId[];

export type RouteInput<K extends RouteId> = InputOf<Routes[K]>;
export type RouteCall<K extends RouteId> = CallOf<Routes[K]>;
export type RouteAnswer<K extends RouteId> = AnswerOf<Routes[K]>;
export type RouteAnswerGiven<K extends RouteId> = AnswerGiven<Routes[K]>;

export function routeOf(id: RouteId): Route {
  return routes[id];
}
