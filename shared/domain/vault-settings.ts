/** What the owner of a vault decides for all of it. */
import { z } from 'zod';

export const VaultSettings = z.strictObject({
  requirePlanApproval: z.boolean().default(false).meta({
    description: 'only versions of plans that a second person approved are failed over; in an emergency others too, with a reason',
  }),
});
export type VaultSettings = z.infer<typeof VaultSettings>;
