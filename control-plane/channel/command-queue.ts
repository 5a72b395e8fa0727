/**
 * Commands on their way to one agent: numbered, signed and sent in messages within the limits of the channel. A burst
 * shares messages, and a long queue lets the event loop breathe after each, because every signature costs time.
 * Nothing here need survive: on the next connection every open command is sent again.
 */
import type { AgentId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import { type CommandToSend, type SignedEnvelope, type Signer, sealEnvelope } from '../../shared/protocol/envelope.ts';
import { limits, RateLimit } from '../../shared/protocol/limits.ts';
import { encodeCloudMessage } from '../../shared/protocol/messages.ts';
import type { Link } from './link.ts';

export interface CommandQueueParts {
  readonly agentId: AgentId;
  readonly link: Link;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
  /** Calls back after the present turn of the event loop. */
  readonly defer: (callback: () => void) => void;
  /** The highest sequence number that the agent has seen. */
  readonly lastSequence: number;
}

/** Signing them is what a turn costs: few, so that the agents of other vaults come to theirs soon. */
const ENVELOPES_MOST = 50;
const WAITING_BYTES_MOST = 1024 * 1024;
const LOOK_AGAIN_MS = 25;

export class CommandQueue {
  readonly #parts: CommandQueueParts;
  readonly #rate: RateLimit;
  #waiting: CommandToSend[] = [];
  #next = 0;
  #sequence: number;
  #isPumpDue = false;
  #isStopped = false;
  #cancelLook = () => {};

  constructor(parts: CommandQueueParts) {
    this.#parts = parts;
    this.#sequence = parts.lastSequence;
    // Under the limit that the agent holds us to; acknowledgements travel beside it.
    this.#rate = new RateLimit(parts.clock.now(), limits.messagesPerSecond * 0.5, limits.messagesAtOnce * 0.5);
  }

  add(commands: readonly CommandToSend[]): void {
    for (const command of commands) this.#waiting.push(command);
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook();
  }

  #wake(): void {
    if (this.#isPumpDue || this.#isStopped || this.#next >= this.#waiting.length) return;
    this.#isPumpDue = true;
    this.#parts.defer(() => this.#pump());
  }

  #pump(): void {
    this.#isPumpDue = false;
    if (this.#isStopped) return;
    const { link, clock } = this.#parts;
    if (link.waitingBytes > WAITING_BYTES_MOST || !this.#rate.take(clock.now())) {
      this.#isPumpDue = true;
      this.#cancelLook = clock.after(LOOK_AGAIN_MS, () => this.#pump());
      return;
    }
    const envelopes = this.#takeBatch();
    if (envelopes.length > 0) link.send(encodeCloudMessage({ type: 'commands', envelopes }));
    this.#wake();
  }

  /** As many as one message takes; at least one where one waits that fits at all. */
  #takeBatch(): SignedEnvelope[] {
    const batch: SignedEnvelope[] = [];
    let bytes = 0;
    for (; this.#next < this.#waiting.length && batch.length < ENVELOPES_MOST; this.#next++) {
      const command = this.#waiting[this.#next] as CommandToSend;
      const envelope = this.#seal(command);
      const size = Buffer.byteLength(JSON.stringify(envelope)) + 1;
      if (size > limits.listBytes) {
        this.#parts.log.error({ commandId: command.commandId, bytes: size }, 'command is larger than the channel takes');
        continue;
      }
      if (bytes + size > limits.listBytes) break;
      batch.push(envelope);
      bytes += size;
    }
    if (this.#next >= this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    }
    return batch;
  }

  #seal(command: CommandToSend): SignedEnvelope {
    const { agentId, signer } = this.#parts;
    return sealEnvelope({ ...command, agentId, sequence: ++this.#sequence }, signer);
  }
}
