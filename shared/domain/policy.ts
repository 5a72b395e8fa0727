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

/** How a VM replicates, as the fabric tells it; people who set it up by hand may have chosen what no policy offers. */
export const ReplicationSettings = z.strictObject({
  copyFrequencySeconds: z.int().min(1).max(86_400).meta({ description: 'seconds between two copies' }),
  additionalRecoveryPoints: z.int().min(0).max(1000).meta({ description: 'recovery points kept beside the latest' }),
  applicationConsistentHours: z.int().min(1).max(1000).nullable().meta({ description: 'hours between application-consistent points' }),
  compression: z.boolean().meta({ description: 'whether changes are compressed on the way' }),
  authentication: z.enum(['certificate', 'kerberos']).meta({ description: 'how hosts prove who they are' }),
});
export type ReplicationSettings = z.infer<typeof ReplicationSettings>;

/** The part of a policy that a fabric can tell of a VM that replicates already. */
export function settingsOf(policy: ProtectionPolicy): ReplicationSettings {
  const { copyFrequencySeconds, additionalRecoveryPoints, applicationConsistentHours, compression, authentication } = policy;
  return { copyFrequencySeconds, additionalRecoveryPoints, applicationConsistentHours, compression, authentication };
}

export const defaultPolicy: ProtectionPolicy = ProtectionPolicy.parse({});
