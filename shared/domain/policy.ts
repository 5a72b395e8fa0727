/** The protection policy of a pairing: what is replicated how often and how much is kept. Limits are those of Hyper-V Replica. */
import { z } from 'zod';

export const ProtectionPolicy = z
  .strictObject({
    copyFrequencySeconds: z.union([z.literal(30), z.literal(300), z.literal(900)]).default(300),
    /** Hourly recovery points beside the latest. */
    additionalRecoveryPoints: z.int().min(0).max(24).default(0),
    /** Every so many hours an application-consistent point; null is off. */
    applicationConsistentHours: z.int().min(1).max(12).nullable().default(null),
    compression: z.boolean().default(true),
    authentication: z.enum(['certificate', 'kerberos']).default('certificate'),
    /** Where the recovery site receives replicas; null is 443 with certificates and 80 with Kerberos. */
    port: z.int().min(1).max(65535).nullable().default(null),
    deleteReplicaOnUnprotect: z.boolean().default(false),
  })
  .refine((p) => p.applicationConsistentHours === null || p.applicationConsistentHours < p.additionalRecoveryPoints, {
    path: ['applicationConsistentHours'],
    message: 'must be less than additionalRecoveryPoints',
  });
export type ProtectionPolicy = z.infer<typeof ProtectionPolicy>;

export const defaultPolicy: ProtectionPolicy = ProtectionPolicy.parse({});
