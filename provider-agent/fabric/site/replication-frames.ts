/**
 * What two sites say to each other: a request and its answer, JSON, strict and limited on both sides.
 * It goes from site to site and never past the control plane, so it may carry what egress must not.
 */
import { z } from 'zod';
import { IpAddress } from '../../../shared/domain/ip-address.ts';
import { ProtectionPolicy } from '../../../shared/domain/policy.ts';
import { ERROR_CODES } from '../../../shared/errors.ts';
import { CloudId, NetworkId, VmId } from '../../../shared/ids.ts';
import { answerFrame, requestFrame } from '../peer/frames.ts';

export const MAX_POINTS_PER_FRAME = 500;

const Count = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const Moment = z.int().min(0);

const ReplicaSpec = z.strictObject({
  vmId: VmId,
  name: z.string().min(1).max(255),
  cores: z.int().min(1).max(2048),
  memoryBytes: Count,
  disks: z.array(z.strictObject({ sizeBytes: Count, storage: z.string().max(80) })).max(260),
  adapters: z.array(z.strictObject({ networkId: NetworkId, subnet: z.string().max(80).nullable(), address: IpAddress.nullable() })).max(64),
  changeBytesPerSecond: Count,
  /** For the machinery alone, which reads them strictly. */
  traits: z.record(z.string().max(40), z.json()).default({}),
});
export type ReplicaSpec = z.infer<typeof ReplicaSpec>;

export const SentPoint = z.strictObject({
  cloudId: CloudId,
  vmId: VmId,
  id: z.uuid(),
  at: Moment,
  kind: z.enum(['crashConsistent', 'applicationConsistent']),
  writtenBytes: Count,
  /** It ends the initial replication or a resynchronization: older points mean nothing any more. */
  isFirst: z.boolean(),
  /** All that the primary wrote: it is off and prepared for a failover. */
  isPrepared: z.boolean(),
});
export type SentPoint = z.infer<typeof SentPoint>;

export const ReplicationRequest = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('createReplica'),
    cloudId: CloudId,
    primaryCloudId: CloudId,
    vm: ReplicaSpec,
    policy: ProtectionPolicy,
  }),
  z.strictObject({
    type: z.literal('reverse'),
    /** The former primary that is to be the replica. */
    cloudId: CloudId,
    vmId: VmId,
    /** The cloud of the replica that is to be the primary, and the point it was failed over to. */
    primaryCloudId: CloudId,
    failoverPointId: z.uuid(),
    policy: ProtectionPolicy,
  }),
  z.strictObject({ type: z.literal('setPolicy'), cloudId: CloudId, vmId: VmId, policy: ProtectionPolicy }),
  /** From the machinery of a primary to that of its replica. */
  z.strictObject({ type: z.literal('machinery'), cloudId: CloudId, vmId: VmId, message: z.json() }),
  z.strictObject({ type: z.literal('sendPoints'), points: z.array(SentPoint).max(MAX_POINTS_PER_FRAME) }),
]);
export type ReplicationRequest = z.infer<typeof ReplicationRequest>;

const Refusal = {
  code: z.enum(ERROR_CODES),
  errorId: z.enum(['InvalidOperation', 'ObjectNotFound', 'AccessDenied', 'OperationFailed', 'OperationTimeout', 'InvalidParameter']),
  message: z.string().max(2000),
};

export const ReplicationAnswer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('done'),
    refused: z.array(z.strictObject({ vmId: VmId, cloudId: CloudId, ...Refusal })).max(MAX_POINTS_PER_FRAME),
  }),
  /** The former primary is a replica. Swapped: it holds what the other was failed over to, and nothing has to be compared. */
  z.strictObject({ type: z.literal('reversed'), isSwapped: z.boolean(), writtenBytes: Count }),
  z.strictObject({ type: z.literal('machinery'), message: z.json() }),
  z.strictObject({ type: z.literal('refused'), ...Refusal }),
]);
export type ReplicationAnswer = z.infer<typeof ReplicationAnswer>;

/** As they go over the line, also where there is none. */
export const RequestFrame = requestFrame(ReplicationRequest);
export const AnswerFrame = answerFrame(ReplicationAnswer);
