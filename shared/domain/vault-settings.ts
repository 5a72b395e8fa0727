/** What the owner of a vault decides for all of it. */
import { z } from 'zod';

export const VaultSettings = z.strictObject({
  keepJobsDays: z
    .int()
    .min(1)
    .max(36_500)
    .default(3 * 365)
    .meta({ description: 'jobs that ended longer ago are removed with their facts, once a day; never one that has not ended' }),
  requirePlanApproval: z.boolean().default(false).meta({
    description:
      'only versions of plans that a second person approved are failed over, in an emergency others too, with a reason; and a drill runs the scripts of no others',
  }),
});
export type VaultSettings = z.infer<typeof VaultSettings>;
