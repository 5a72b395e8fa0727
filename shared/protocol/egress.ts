/**
 * The egress allow-list: everything an agent may send, field by field. It is the only encoder of the agent
 * (`encodeEgress`), so what is not named here cannot leave a site; docs/metadata.md is made from it, and a change
 * here is a change of that promise.
 *
 * The only free text are names that people gave: of VMs, VM networks and clouds; of tags only those that the control plane
 * names first leave, because a protection rule does. A failure leaves as its code and
 * `logRef`, the place in the agent's own log where the rest is told.
 */
import { z } from 'zod';
import { ReplicationSettings } from '../domain/policy.ts';
import { TAGS_MOST, VmTag } from '../domain/protection-rules.ts';
import { ERROR_CODES, FarshoreError } from '../errors.ts';
import { AgentId, CloudId, CommandId, NetworkId, VmRef } from '../ids.ts';
import { COMMAND_KINDS, type CommandKind, commands, type ResultOf, ScriptName, Stage } from './commands.ts';
import { limits } from './limits.ts';

const Moment = z.iso.datetime();
const Name = z.string().min(1).max(255);
const Digest = z.string().regex(/^[0-9a-f]{64}$/);

const ErrorCodeField = z.enum(ERROR_CODES).meta({ description: "code of our error table; never the fabric's own text" });
const LogRef = z
  .string()
  .regex(/^[0-9a-f-]{0,36}$/)
  .meta({ description: 'where in the log at the site the failure is told; the log itself stays' });

export const Power = z.enum(['running', 'off', 'starting', 'stopping', 'paused', 'saved', 'critical']);
export type Power = z.infer<typeof Power>;

const Count = z.int().min(0);

export const MeasureReport = z.strictObject({
  since: Moment.nullable().meta({ description: 'since when the fabric counts' }),
  cycles: Count.meta({ description: 'copies of changes that arrived' }),
  missed: Count.meta({ description: 'copies that were not begun when they were due' }),
  errors: Count.meta({ description: 'copies that failed' }),
  averageBytes: Count.nullable().meta({ description: 'size of a copy, on average' }),
  maximumBytes: Count.nullable().meta({ description: 'size of the largest copy' }),
  pendingBytes: Count.nullable().meta({ description: 'how much the replica lacked' }),
  averageLatencyMs: Count.nullable().meta({ description: 'how long a copy took, on average' }),
  maximumLatencyMs: Count.nullable().meta({ description: 'how long the slowest copy took' }),
});
export type MeasureReport = z.infer<typeof MeasureReport>;

export const ReplicationReport = z.strictObject({
  mode: z.enum(['none', 'primary', 'replica', 'testReplica']).meta({ description: 'role of the VM in replication' }),
  state: z
    .enum([
      'disabled',
      'readyForInitialReplication',
      'initialReplicationInProgress',
      'waitingForInitialReplication',
      'replicating',
      'preparedForFailover',
      'failedOverWaitingCompletion',
      'failedOver',
      'suspended',
      'error',
      'waitingForStartResynchronize',
      'resynchronizing',
    ])
    .meta({ description: 'state of the replication' }),
  health: z.enum(['notApplicable', 'normal', 'warning', 'critical']).meta({ description: 'health of the replication' }),
  lastPointAt: Moment.nullable().meta({ description: 'moment of the newest recovery point' }),
  settings: ReplicationSettings.nullable(),
  firstCopyAt: Moment.optional().meta({ description: 'when the first copy begins, where that is later' }),
  measure: MeasureReport.optional(),
});
export type ReplicationReport = z.infer<typeof ReplicationReport>;

export const VmReport = z.strictObject({
  ref: VmRef.meta({ description: 'ids of the VM and of its cloud' }),
  name: Name.meta({ description: 'name of the VM' }),
  power: Power.meta({ description: 'whether the VM runs' }),
  networkIds: z.array(NetworkId).max(64).meta({ description: 'ids of the VM networks it is connected to' }),
  replication: ReplicationReport,
  epoch: z.int().min(0).meta({ description: 'number of the ownership decision stored with the VM' }),
  tags: z
    .array(VmTag.meta({ description: 'those of its tags that a protection rule of the vault names; no other leaves' }))
    .max(TAGS_MOST)
    .optional(),
});
export type VmReport = z.infer<typeof VmReport>;

/** Hyper-V Replica keeps 24 and the newest; other fabrics may keep more. */
export const POINTS_MOST = 200;

export const RecoveryPointReport = z.strictObject({
  id: z.string().max(100).meta({ description: 'id of the recovery point' }),
  at: Moment.meta({ description: 'the moment at the primary that it holds' }),
  kind: z.enum(['crashConsistent', 'applicationConsistent']).meta({ description: 'whether applications had written out what they held' }),
});
export type RecoveryPointReport = z.infer<typeof RecoveryPointReport>;

const Done = <K extends CommandKind>(kind: K) =>
  z.strictObject({
    status: z.literal('done'),
    kind: z.literal(kind),
    result: commands[kind].result,
  });

/** How a command ended. `refused` was never begun; `failed` may have done a part of its work. */
export const Outcome = z.union([
  z.discriminatedUnion('kind', COMMAND_KINDS.map((kind) => Done(kind)) as [ReturnType<typeof Done>, ...ReturnType<typeof Done>[]]),
  z.strictObject({ status: z.literal('failed'), code: ErrorCodeField, logRef: LogRef }),
  z.strictObject({ status: z.literal('refused'), code: ErrorCodeField, logRef: LogRef }),
]);
export type Outcome =
  | { [K in CommandKind]: { status: 'done'; kind: K; result: ResultOf<K> } }[CommandKind]
  | { status: 'failed' | 'refused'; code: (typeof ERROR_CODES)[number]; logRef: string };

/** What a site knows of a VM, so that a control plane whose database was put back finds out that it lacks something. */
export const KnownDecisionReport = z.strictObject({
  vm: VmRef.meta({ description: 'ids of a VM that commands were about, and of its cloud' }),
  epoch: z.int().min(0).meta({ description: 'number of the newest ownership decision of it that the site has seen' }),
  command: z
    .strictObject({
      id: CommandId.meta({ description: 'id of the last command about it' }),
      number: z.int().min(0).meta({ description: 'its place in the journal of the agent' }),
    })
    .nullable(),
});
export type KnownDecisionReport = z.infer<typeof KnownDecisionReport>;

/** Every message on the channel from agent to control plane. */
export const AgentMessage = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('hello'),
      protocol: z.int().min(1),
      agentId: AgentId,
      agentVersion: z.string().max(40),
      lastSequence: z.int().min(0).meta({ description: 'highest sequence number of a command seen' }),
      inventoryDigest: Digest.nullable().meta({ description: 'digest over the inventory as last reported' }),
    })
    .meta({ description: 'first message of every connection' }),
  z
    .strictObject({
      type: z.literal('command.progress'),
      commandId: CommandId,
      stage: Stage.meta({ description: 'how far the command is' }),
    })
    .meta({ description: 'a running command has reached a stage' }),
  z
    .strictObject({
      type: z.literal('command.finished'),
      finished: z
        .array(
          z.strictObject({
            commandId: CommandId,
            at: Moment.meta({ description: 'when it ended, by the clock of the site' }),
            outcome: Outcome,
          }),
        )
        .min(1)
        .max(limits.vmsPerMessage),
    })
    .meta({ description: 'commands have ended; sent again until confirmed' }),
  z
    .strictObject({
      type: z.literal('envelope.refused'),
      code: ErrorCodeField,
    })
    .meta({ description: 'an envelope was refused before its command could be trusted' }),
  z
    .strictObject({
      type: z.literal('inventory.changed'),
      full: z.boolean().meta({ description: 'the start of a complete report: what it does not name is gone' }),
      clouds: z.array(z.strictObject({ id: CloudId, name: Name.meta({ description: 'name of the cloud' }) })).max(limits.vmsPerMessage),
      networks: z
        .array(z.strictObject({ id: NetworkId, name: Name.meta({ description: 'name of the VM network' }) }))
        .max(limits.vmsPerMessage),
      vms: z.array(VmReport).max(limits.vmsPerMessage),
      removedVms: z.array(VmRef).max(limits.vmsPerMessage),
      /** Over everything reported so far, when this is the last message of a report; else null. */
      digest: Digest.nullable().meta({ description: 'digest over the whole inventory, to notice drift' }),
    })
    .meta({ description: 'what changed in the inventory and in replication since the last report' }),
  z
    .strictObject({
      type: z.literal('decisions.told'),
      decisions: z.array(KnownDecisionReport).max(limits.vmsPerMessage),
      isLast: z.boolean().meta({ description: 'nothing more follows' }),
    })
    .meta({ description: 'the newest that the site knows of each VM, once, when a control plane that has just started asks for it' }),
  z
    .strictObject({
      type: z.literal('scripts.changed'),
      scripts: z
        .array(
          z.strictObject({
            name: ScriptName.meta({ description: 'file name of a script in the scripts folder of the site' }),
            sha256: Digest.meta({ description: 'digest of its bytes' }),
          }),
        )
        .max(limits.scriptsPerMessage),
    })
    .meta({ description: 'which scripts plans may run at the site: all of them, after a connect and when they change' }),
  z
    .strictObject({
      type: z.literal('recoveryPoints.told'),
      question: z.int().min(1).meta({ description: 'number of the question on this connection' }),
      found: z
        .strictObject({ power: Power, mode: ReplicationReport.shape.mode, state: ReplicationReport.shape.state })
        .nullable()
        .meta({ description: 'how the VM stands there now; null: it is not there, or could not be read' }),
      points: z.array(RecoveryPointReport).max(POINTS_MOST),
      code: ErrorCodeField.nullable().meta({ description: 'why they could not be read' }),
    })
    .meta({ description: 'how one VM stands, and the recovery points of its replica, when a person asks' }),
]);
export type AgentMessage = z.infer<typeof AgentMessage>;

/** The only way from an object to bytes that leave a site. Throws ERR_MESSAGE_INVALID for anything not on the list. */
export function encodeEgress(message: AgentMessage): string {
  const parsed = AgentMessage.safeParse(message);
  if (!parsed.success) throw new FarshoreError('ERR_MESSAGE_INVALID', 'not on the egress allow-list', { cause: parsed.error });
  const text = JSON.stringify(parsed.data);
  if (text.length > limits.messageBytes) throw new FarshoreError('ERR_MESSAGE_INVALID', 'the message is larger than the channel takes');
  return text;
}
