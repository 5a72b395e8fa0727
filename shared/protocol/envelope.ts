/**
 * The signed envelope of a command.
 *
 * The control plane signs the bytes of `body`; the agent verifies those very bytes before it parses them, against
 * the issuer keys pinned at registration, and checks that the command is for it, is new and is in time. `sequence`
 * numbers transmissions, the command id numbers work: a repeat of a command travels under a new sequence and is
 * answered from the agent's journal, and bytes that were recorded and sent again are refused.
 *
 * Ed25519 (RFC 8032) over the UTF-8 bytes of `body`; signature and key in base64url.
 */
import { z } from 'zod';
import { FarshoreError } from '../errors.ts';
import { AgentId, CommandId, JobId, StepId, VaultId } from '../ids.ts';
import { COMMAND_KINDS, type Command, commands } from './commands.ts';

export const SignedEnvelope = z.strictObject({
  /** Id of the issuer key: the first 16 hex digits of the SHA-256 of its SPKI. */
  issuer: z.string().regex(/^[0-9a-f]{16}$/),
  body: z.string().max(128_000),
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
export type SignedEnvelope = z.infer<typeof SignedEnvelope>;

const EnvelopeHead = z.strictObject({
  commandId: CommandId,
  agentId: AgentId,
  vaultId: VaultId,
  jobId: JobId,
  stepId: StepId,
  /** The ownership decision under which it runs; for commands about no VM, 0. */
  epoch: z.int().min(0),
  /** Goes up with every transmission to this agent. */
  sequence: z.int().min(1),
  /** Not begun after this moment; milliseconds since 1970. */
  deadline: z.int().min(0),
  kind: z.enum(COMMAND_KINDS),
  args: z.unknown(),
});

export type Envelope = Omit<z.infer<typeof EnvelopeHead>, 'kind' | 'args'> & { readonly command: Command };

/** A command as an operation hands it over; the channel adds the agent, the sequence and the signature. */
export type CommandToSend = Omit<Envelope, 'agentId' | 'sequence'>;

/** Signs bytes with the issuer key of the vault. */
export interface Signer {
  readonly issuer: string;
  sign(bytes: Uint8Array): string;
}

/** Verifies a signature by one of the pinned issuer keys; false for a key it does not know. */
export interface Verifier {
  verify(issuer: string, bytes: Uint8Array, signature: string): boolean;
}

const utf8 = new TextEncoder();

export function sealEnvelope(envelope: Envelope, signer: Signer): SignedEnvelope {
  const { command, ...head } = envelope;
  const body = JSON.stringify({ ...head, kind: command.kind, args: command.args });
  return { issuer: signer.issuer, body, signature: signer.sign(utf8.encode(body)) };
}

/** What the agent holds an envelope against. */
export interface Expectation {
  readonly agentId: AgentId;
  readonly vaultId: VaultId;
  /** The highest sequence this agent has durably seen. */
  readonly lastSequence: number;
}

/**
 * Opens an envelope: signature first, then form, addressee and sequence. The deadline and the epoch are left to
 * the runner, which must first look whether it has done the command already.
 *
 * Throws ERR_ENVELOPE_FORGED, ERR_MESSAGE_INVALID, ERR_ENVELOPE_FOREIGN, ERR_ENVELOPE_REPLAYED.
 */
export function openEnvelope(signed: SignedEnvelope, verifier: Verifier, expected: Expectation): Envelope {
  if (!verifier.verify(signed.issuer, utf8.encode(signed.body), signed.signature)) {
    throw new FarshoreError('ERR_ENVELOPE_FORGED', 'no pinned key signed this envelope');
  }
  const { kind, args, ...head } = parseBody(signed.body);
  if (head.agentId !== expected.agentId) {
    throw new FarshoreError('ERR_ENVELOPE_FOREIGN', 'the envelope is for another agent');
  }
  if (head.vaultId !== expected.vaultId) {
    throw new FarshoreError('ERR_ENVELOPE_FOREIGN', 'the envelope is from another vault');
  }
  if (head.sequence <= expected.lastSequence) {
    throw new FarshoreError('ERR_ENVELOPE_REPLAYED', 'the sequence number was seen before');
  }
  const parsed = commands[kind].args.safeParse(args);
  if (!parsed.success) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', `the arguments of ${kind} do not fit`, { cause: parsed.error });
  }
  // The schema tied args to kind on the line above; the compiler cannot follow that through the lookup.
  return { ...head, command: { kind, args: parsed.data } as Command };
}

function parseBody(body: string): z.infer<typeof EnvelopeHead> {
  try {
    return EnvelopeHead.parse(JSON.parse(body));
  } catch (cause) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'the envelope does not fit its schema', { cause });
  }
}
