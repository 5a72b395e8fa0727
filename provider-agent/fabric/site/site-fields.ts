/** Fields that the description of every kind of site has. */
import { z } from 'zod';
import { refuseSteeringSigns } from '../../../shared/names.ts';

export const Name = z
  .string()
  .min(1)
  .max(80)
  .regex(/^\S(.*\S)?$/s, { error: 'has spaces at an end' })
  .superRefine(refuseSteeringSigns);
export const Names = z.array(Name).min(1).max(1000);

export const HostAndPort = z
  .string()
  .regex(/^(127\.0\.0\.1|[A-Za-z0-9.-]+|\[[0-9a-f:]+\]):\d{1,5}$/, { error: "is no address with a port: '127.0.0.1:8443'" });
