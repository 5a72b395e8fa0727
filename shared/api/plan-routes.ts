/** Rows of the route table: recovery plans and their versions. */
import { z } from 'zod';
import {
  PlanAnswer,
  PlanCheckAnswer,
  PlanDiffAnswer,
  PlanDiffBody,
  PlanSummary,
  PlanTextBody,
  ResolvedPlanAnswer,
  SavedPlanAnswer,
} from './plans.ts';
import type { Route } from './route.ts';

const OnePlan = z.object({ plan: z.string().min(1).max(100).meta({ description: 'id or name' }) });
const OneVersion = z.object({ version: z.coerce.number().int().min(1).optional().meta({ description: 'the newest where none is given' }) });
/** A plan of 1 Mi characters, as JSON text. */
const planKilobytes = 4096;

export const planRoutes = {
  listPlans: {
    method: 'get',
    path: '/api/v1/plans',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Lists the recovery plans in their newest versions',
    status: 200,
    answer: z.object({ plans: z.array(PlanSummary) }),
    errors: [],
  },
  checkPlan: {
    method: 'post',
    path: '/api/v1/plans/check',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Checks a plan without saving it: its form, and that each member is a protected VM; all mistakes at once',
    body: PlanTextBody,
    bodyKilobytes: planKilobytes,
    status: 200,
    answer: PlanCheckAnswer,
    errors: ['ERR_DOCUMENT_INVALID'],
  },
  getPlan: {
    method: 'get',
    path: '/api/v1/plans/{plan}',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Gives a plan in its newest version, or in the one asked for',
    params: OnePlan,
    query: OneVersion,
    status: 200,
    answer: PlanAnswer,
    errors: ['ERR_NOT_FOUND'],
  },
  savePlan: {
    method: 'put',
    path: '/api/v1/plans/{plan}',
    tag: 'Plans',
    access: 'operator',
    summary: 'Saves a plan as a new version, if it has no mistakes and says something new',
    params: z.object({ plan: z.string().min(1).max(100).meta({ description: 'the name in the document' }) }),
    body: PlanTextBody,
    bodyKilobytes: planKilobytes,
    status: 200,
    answer: SavedPlanAnswer,
    errors: ['ERR_DOCUMENT_INVALID'],
  },
  resolvePlan: {
    method: 'get',
    path: '/api/v1/plans/{plan}/members',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Says which protected VM each member of the plan means now',
    params: OnePlan,
    query: OneVersion,
    status: 200,
    answer: ResolvedPlanAnswer,
    errors: ['ERR_NOT_FOUND'],
  },
  listPlanVersions: {
    method: 'get',
    path: '/api/v1/plans/{plan}/versions',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Lists all versions of a plan, newest first; none is ever removed',
    params: OnePlan,
    status: 200,
    answer: z.object({ versions: z.array(PlanSummary) }),
    errors: ['ERR_NOT_FOUND'],
  },
  diffPlan: {
    method: 'post',
    path: '/api/v1/plans/{plan}/diff',
    tag: 'Plans',
    access: 'viewer',
    summary: 'Says what changes in meaning between two versions of a plan, or from a version to a document; nothing is saved',
    params: OnePlan,
    body: PlanDiffBody,
    bodyKilobytes: planKilobytes,
    status: 200,
    answer: PlanDiffAnswer,
    errors: ['ERR_NOT_FOUND', 'ERR_DOCUMENT_INVALID'],
  },
} as const satisfies Record<string, Route>;
