/** The protection policy of a pairing: what is replicated how often and how much is kept. Limits are those of Hyper-V Replica. */
import { z } from 'zod';
import { FarshoreError, type Problem } from '../errors.ts';

const fields = {
  copyFrequencySeconds: z.union([z.literal(30), z.literal(300), z.literal(900)]),
  /** Hourly recovery points beside the latest. */
  additionalRecoveryPoints: z.int().min(0).max(24),
  /** Every so many hours an application-consistent point; null is off. */
  applicationConsistentHours: z.int().min(1).max(12).nullable(),
  compression: z.boolean(),
  authentication: z.enum(['certificate', 'kerberos']),
  /** Where the recovery site receives replicas; null is 443 with certificates and 80 with Kerberos. */
  port: z.int().min(1).max(65535).nullable(),
  deleteReplicaOnUnprotect: z.boolean(),
};

export const ProtectionPolicy = z
  .strictObject({
    copyFrequencySeconds: fields.copyFrequencySeconds.default(300),
    additionalRecoveryPoints: fields.additionalRecoveryPoints.default(0),
    applicationConsistentHours: fields.applicationConsistentHours.default(null),
    compression: fields.compression.default(true),
    authentication: fields.authentication.default('certificate'),
    port: fields.port.default(null),
    deleteReplicaOnUnprotect: fields.deleteReplicaOnUnprotect.default(false),
  })
  .refine((p) => p.applicationConsistentHours === null || p.applicationConsistentHours < p.additionalRecoveryPoints, {
    path: ['applicationConsistentHours'],
    message: 'must be less than additionalRecoveryPoints',
  });
export type ProtectionPolicy = z.infer<typeof ProtectionPolicy>;

/** What is to be another in a policy in use; what is not named stays. */
export const PolicyChange = z.strictObject(fields).partial();
export type PolicyChange = z.infer<typeof PolicyChange>;

/** Throws ERR_REQUEST_INVALID where what is named does not go with what stays. */
export function changedPolicy(policy: ProtectionPolicy, change: PolicyChange): ProtectionPolicy {
  const parsed = ProtectionPolicy.safeParse({ ...policy, ...change });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }): Problem => ({ field: `policy.${path.join('.')}`, message }));
  throw new FarshoreError('ERR_REQUEST_INVALID', 'the policy cannot be changed to that', { problems });
}

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
