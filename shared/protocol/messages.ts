/** The other direction: every message from control plane to agent, and the strict reading of both. */
import { z } from 'zod';
import { TAGS_MOST, VmTag } from '../domain/protection-rules.ts';
import { FarshoreError } from '../errors.ts';
import { CommandId, VmRef } from '../ids.ts';
import { AgentMessage } from './egress.ts';
import { SignedEnvelope } from './envelope.ts';
import { isWithinDepth, limits } from './limits.ts';

/** The tags that protection rules name: the agent tells of each VM which of these it has. */
const WantedTags = z.array(VmTag).max(TAGS_MOST);

export const CloudMessage = z.discriminatedUnion('type', [
  /** Answer to a hello: how often each side pings, and whether the control plane's copy of the inventory fits the digest. */
  z.strictObject({
    type: z.literal('welcome'),
    protocol: z.int().min(1),
    heartbeatSeconds: z.int().min(1).max(600),
    inventory: z.enum(['inStep', 'sendAll']),
    tags: WantedTags,
    /** The control plane has just started: it is told the newest decision and command about each VM, first of all. */
    tellDecisions: z.boolean(),
  }),
  z.strictObject({ type: z.literal('commands'), envelopes: z.array(SignedEnvelope).min(1).max(200) }),
  /** These outcomes are stored; the agent need not send them again. */
  z.strictObject({ type: z.literal('finished.ack'), commandIds: z.array(CommandId).min(1).max(limits.vmsPerMessage) }),
  /** Protection rules name others now. */
  z.strictObject({ type: z.literal('inventory.tags'), tags: WantedTags }),
  /** The digest of a report did not fit: send everything. */
  z.strictObject({ type: z.literal('inventory.sendAll') }),
  /** Which recovery points does the replica have now? It only looks, so it is no command; questions are numbered on a connection. */
  z.strictObject({ type: z.literal('recoveryPoints.ask'), question: z.int().min(1), vm: VmRef }),
]);
export type CloudMessage = z.infer<typeof CloudMessage>;

export function encodeCloudMessage(message: CloudMessage): string {
  return JSON.stringify(CloudMessage.parse(message));
}

export const readCloudMessage = (text: string): CloudMessage => read(CloudMessage, text);
export const readAgentMessage = (text: string): AgentMessage => read(AgentMessage, text);

/** Size, depth, form: all three before anything looks at the content. Throws ERR_MESSAGE_INVALID. */
function read<S extends z.ZodType>(schema: S, text: string): z.infer<S> {
  if (text.length > limits.messageBytes) throw new FarshoreError('ERR_MESSAGE_INVALID', 'the message is too large');
  if (!isWithinDepth(text)) throw new FarshoreError('ERR_MESSAGE_INVALID', 'the message is nested too deep');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'the message is not JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new FarshoreError('ERR_MESSAGE_INVALID', 'the message does not fit its schema', { cause: parsed.error });
  return parsed.data;
}
