/** What a client may ask to be run. It chooses the id, so a repeated request is the same job and never a second one. */
import { z } from 'zod';
import { DRILL_OUTCOMES } from '../domain/drill.ts';
import { FirstCopy, FirstCopyFolder } from '../domain/first-copy.ts';
import { FailoverDirection } from '../domain/plan-actions.ts';
import { PolicyChange, ProtectionPolicy } from '../domain/policy.ts';
import { CloudId, JobId, NetworkId, PairingId, PlanId, ProtectedVmId, SiteId, VmId } from '../ids.ts';
import { Name } from '../names.ts';
import { RecoveryPointChoice } from '../protocol/commands.ts';

/** Why it is done; kept with the job. */
const Reason = z.string().trim().min(1).max(1000);

const CloudAt = z.strictObject({ siteId: SiteId, cloudId: CloudId });

/** A plan in one of its versions (the newest when none is given), or VMs by themselves as one group. */
export const Target = z.union([
  z.strictObject({
    plan: PlanId,
    version: z.int().min(1).optional(),
    only: z.array(ProtectedVmId).min(1).max(10_000).optional().meta({ description: 'of its members these, in the order of the plan' }),
  }),
  z.strictObject({ vms: z.array(ProtectedVmId).min(1).max(10_000) }),
]);
export type Target = z.infer<typeof Target>;

/** Which way VMs are failed over; those that replicate the other way are left out, so that a plan never moves in two directions. */
export const Direction = FailoverDirection;
export type Direction = FailoverDirection;

/**
 * Why it is safe to start the VMs elsewhere: the site is `unreachable` (the control plane checks that its agent is gone), or
 * a person `attested` that they are down. Kept with the job.
 */
export const PrimaryEvidence = z.strictObject({
  evidence: z.enum(['unreachable', 'attested']),
  reason: Reason,
});
export type PrimaryEvidence = z.infer<typeof PrimaryEvidence>;

const NetworksAtSites = z
  .array(z.strictObject({ siteId: SiteId, networkId: NetworkId }))
  .min(1)
  .max(1000);

/**
 * What the test copies of a drill are connected to: to nothing, at each recovery site to a network that leads nowhere, or to one that is
 * made for the drill there and removed with it, from the logical network of the one that is named.
 */
export const DrillNetwork = z.discriminatedUnion('use', [
  z.strictObject({ use: z.literal('none') }),
  z.strictObject({ use: z.literal('isolated'), networks: NetworksAtSites }),
  z.strictObject({ use: z.literal('made'), networks: NetworksAtSites }),
]);
export type DrillNetwork = z.infer<typeof DrillNetwork>;

/** Test copies of a drill that are there when a failover is asked for: whoever asks says that they may stay, or cleans them up first. */
const drillCopies = z.literal('leave').optional();
/** Runs a plan that nobody has approved, in a vault that asks for approval. */
const Emergency = z.strictObject({ reason: Reason }).optional();

export const OperationRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    id: JobId,
    kind: z.literal('pair'),
    name: Name,
    primary: CloudAt,
    recovery: CloudAt,
    policy: ProtectionPolicy,
    networks: z.array(z.strictObject({ from: NetworkId, to: NetworkId })).max(200),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('changePairing'),
    pairing: PairingId,
    /** What is not named stays as it is. With neither policy nor networks: VMs that lack what the pairing says get it. */
    policy: PolicyChange.optional(),
    networks: z
      .array(z.strictObject({ from: NetworkId, to: NetworkId }))
      .max(200)
      .optional(),
    /** Of its VMs these are brought to it now; all that can be where nothing is said. */
    vms: z.array(ProtectedVmId).min(1).max(10_000).optional(),
    /** Fewer recovery points are kept from now on, and those beyond are deleted. Without it such a change is refused. */
    deleteRecoveryPoints: z.strictObject({ reason: z.string().trim().min(1).max(1000) }).optional(),
    /** What cannot be set within 30 s is left and told of the VM: no VM is held up by it. */
    givesWay: z.literal(true).optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('movePairing'),
    pairing: PairingId,
    /** Another pairing of the same primary cloud. */
    to: PairingId,
    reason: Reason,
    /** Also while the old recovery site is away: what is left there is removed when it is back. */
    forced: z.literal(true).optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('unpair'),
    pairing: PairingId,
    /** Also while a side is away: what is left there is done when it is back, and the pairing is gone then. */
    forced: z.strictObject({ reason: z.string().trim().min(1).max(1000) }).optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('protect'),
    pairing: PairingId,
    vms: z.array(VmId).min(1).max(10_000),
    /** Without it: over the network, now. Exported, it is taken in by `importFirstCopy`. */
    firstCopy: FirstCopy.optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('adopt'),
    pairing: PairingId,
    vms: z.array(VmId).min(1).max(10_000),
    /** Settings that are not those of the policy are kept, or changed to it once the VM is adopted. Without it such a VM is refused, with every difference listed. */
    differences: z
      .discriminatedUnion('do', [
        z.strictObject({ do: z.literal('keep'), reason: Reason }),
        z.strictObject({ do: z.literal('bringToPolicy') }),
      ])
      .optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('plannedFailover'),
    target: Target,
    direction: Direction.default('toRecovery'),
    reason: Reason,
    drillCopies,
    emergency: Emergency,
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('unplannedFailover'),
    target: Target,
    direction: Direction.default('toRecovery'),
    recoveryPoint: RecoveryPointChoice.default({ choose: 'latest' }),
    primary: PrimaryEvidence,
    /** VMs that still run where they are left are shut down first, and their last changes sent, if that can be done within the time. */
    shutDownWithinSeconds: z.int().min(10).max(3600).optional(),
    drillCopies,
    emergency: Emergency,
  }),
  z.strictObject({ id: JobId, kind: z.literal('takeBack'), target: Target, reason: Reason }),
  z.strictObject({
    id: JobId,
    kind: z.literal('changeRecoveryPoint'),
    target: Target,
    recoveryPoint: RecoveryPointChoice,
    reason: Reason,
  }),
  z.strictObject({ id: JobId, kind: z.literal('commit'), target: Target, reason: Reason.optional() }),
  z.strictObject({
    id: JobId,
    kind: z.literal('reverseReplication'),
    target: Target,
    reason: Reason.optional(),
    /** A former primary that still runs is shut down, and what it wrote since the failover is lost. Without it such a VM is refused. */
    shutDownFormerPrimary: z.strictObject({ reason: Reason }).optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('importFirstCopy'),
    target: Target,
    folder: FirstCopyFolder.meta({ description: 'where it stands now, as the host of the replica sees it' }),
    reason: Reason.optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('suspend'),
    target: Target,
    end: z.enum(['source', 'target']).default('source').meta({ description: 'source: nothing is sent; target: the replica takes nothing' }),
    reason: Reason,
  }),
  z.strictObject({ id: JobId, kind: z.literal('resume'), target: Target, reason: Reason.optional() }),
  z.strictObject({ id: JobId, kind: z.literal('resynchronize'), target: Target, reason: Reason }),
  z.strictObject({
    id: JobId,
    kind: z.literal('testFailover'),
    target: Target,
    reason: Reason.optional(),
    recoveryPoint: RecoveryPointChoice.default({ choose: 'latest' }),
    network: DrillNetwork,
    /** The test copy of a VM that failed stays until the drill is cleaned up; else it is removed at once. */
    keepFailed: z.literal(true).optional(),
    /** The copies are cleaned up by themselves so long after the job has ended; else when somebody does it. */
    cleanUpAfterMinutes: z.int().min(0).max(43_200).optional(),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('cleanUpTest'),
    drill: JobId,
    outcome: z.enum(DRILL_OUTCOMES),
    notes: z.string().trim().min(1).max(4000),
  }),
  z.strictObject({
    id: JobId,
    kind: z.literal('unprotect'),
    target: Target,
    reason: Reason.optional(),
    /** Also while a side is away: the VMs are forgotten at once, and what is left at that side is done when it is back. */
    forced: z.strictObject({ reason: Reason }).optional(),
  }),
]);
export type OperationRequest = z.infer<typeof OperationRequest>;
export type OperationRequestOf<K extends OperationRequest['kind']> = Extract<OperationRequest, { kind: K }>;
