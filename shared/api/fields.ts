/** Fields that many resources of the API share. Moments are ISO 8601 in UTC; a list is an object with one array, so that it can grow. */
import { z } from 'zod';

export const Moment = z.iso.datetime().meta({ description: 'ISO 8601, UTC', example: '2026-11-23T02:47:24.000Z' });

/** From least to most; each may do what those before it may. */
export const ROLES = ['viewer', 'operator', 'owner'] as const;
export const Role = z
  .enum(ROLES)
  .meta({ id: 'Role', description: 'viewer reads; operator runs operations and keeps sites and plans; owner keeps people and agents too' });
export type Role = z.infer<typeof Role>;

export function isAtLeast(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

export const Reason = z.string().trim().min(1).max(1000).meta({ description: 'kept with the job, for whoever reads it later' });
