/**
 * One connection to the control plane, from hello to its end, whatever carries it.
 *
 * hello; welcome; then every outcome the control plane has not confirmed, then new ones as they come, then what
 * changed at the site. The other end is treated as hostile: a message over a limit or out of form ends the
 * connection and is counted. Everything that leaves passes the egress allow-list and stands in the ledger first.
 */
import { type ErrorCode, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import { type AgentMessage, encodeEgress, type KnownDecisionReport } from '../../shared/protocol/egress.ts';
import type { SignedEnvelope } from '../../shared/protocol/envelope.ts';
import { LEASE_MS } from '../../shared/protocol/lease.ts';
import { limits, RateLimit } from '../../shared/protocol/limits.ts';
import { type CloudMessage, readCloudMessage } from '../../shared/protocol/messages.ts';
import { PROTOCOL_VERSION } from '../../shared/protocol/version.ts';
import { chunks } from './chunks.ts';
import type { Lease } from './lease.ts';
import type { Link } from './link.ts';
import { type FinishedOutcome, Outbox } from './outbox.ts';

/** Where commands go. */
export interface CommandIntake {
  readonly lastSequence: number;
  receive(signed: SignedEnvelope): void;
}

/** The durable outcomes, and what is known of VMs. */
export interface OutcomeStore {
  decisions(): readonly KnownDecisionReport[];
  unconfirmed(): readonly FinishedOutcome[];
  confirm(commandIds: readonly CommandId[], at: number): Promise<void>;
}

/** What is reported about the site. `next` is asked whenever there is room to send, after `connected`. */
export interface InventorySource {
  readonly digest: string | null;
  connected(inventory: 'inStep' | 'sendAll'): void;
  /** Of the tags of VMs these are reported, and no others. */
  want(tags: readonly string[]): void;
  /** Answers by way of `next`. */
  asked(question: Extract<CloudMessage, { type: 'recoveryPoints.ask' }>): void;
  next(): AgentMessage | null;
  disconnected(): void;
}

/** The record of every message that left; throws when it cannot be written. */
export interface EgressRecord {
  note(text: string): void;
}

export interface SessionPorts {
  readonly agentId: AgentId;
  readonly agentVersion: string;
  readonly intake: CommandIntake;
  readonly outcomes: OutcomeStore;
  readonly inventory: InventorySource;
  readonly lease: Pick<Lease, 'begin' | 'renew'>;
  readonly egress: EgressRecord;
  readonly clock: Clock;
  readonly log: Log;
  /** Calls back after the present turn of the event loop, so that what comes together leaves together. */
  readonly defer: (callback: () => void) => void;
  /** The hello was answered: the session is up. */
  onWelcome(): void;
  /** The other end broke a limit or the form. */
  onViolation(): void;
}

/** From the dial to the welcome. */
const WELCOME_WITHIN_MS = 30_000;
/** More than this many pings without an answer: the peer is dead. */
const SILENT_HEARTBEATS = 2.5;
const WAITING_BYTES_MOST = 1024 * 1024;
const LOOK_AGAIN_MS = 25;
const PROGRESS_AFTER_MS = 250;

export class Session {
  readonly #ports: SessionPorts;
  readonly #link: Link;
  readonly #outbox = new Outbox();
  readonly #incoming: RateLimit;
  readonly #outgoing: RateLimit;
  #state: 'opening' | 'greeting' | 'up' | 'ended' = 'opening';
  #unsent: AgentMessage | null = null;
  #heardAt: number;
  /** When the hello or the last ping left. */
  #askedAt: number;
  /** One ping at a time, so that an answer is the answer to it. */
  #isAsking = false;
  #isPumpDue = false;
  #isProgressDue = false;
  #cancelTimer: () => void;

  constructor(link: Link, ports: SessionPorts) {
    const now = ports.clock.now();
    this.#ports = ports;
    this.#link = link;
    this.#heardAt = now;
    this.#askedAt = now;
    this.#cancelTimer = ports.clock.after(WELCOME_WITHIN_MS, () => link.close('no welcome came in time'));
    this.#incoming = new RateLimit(now);
    this.#outgoing = new RateLimit(now, limits.messagesPerSecond * 0.8, limits.messagesAtOnce * 0.5);
  }

  opened(): void {
    const { agentId, agentVersion, intake, inventory } = this.#ports;
    this.#state = 'greeting';
    this.heard();
    this.#askedAt = this.#heardAt;
    const { lastSequence } = intake;
    this.#send({ type: 'hello', protocol: PROTOCOL_VERSION, agentId, agentVersion, lastSequence, inventoryDigest: inventory.digest });
  }

  heard(): void {
    this.#heardAt = this.#ports.clock.now();
  }

  answered(): void {
    this.heard();
    if (!this.#isAsking) return;
    this.#isAsking = false;
    this.#ports.lease.renew(this.#askedAt);
  }

  received(text: string): void {
    if (this.#state === 'ended') return;
    this.heard();
    try {
      if (!this.#incoming.take(this.#heardAt))
        throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'the control plane sends faster than the limit');
      this.#handle(readCloudMessage(text));
    } catch (thrown) {
      const error = toFarshoreError(thrown);
      this.#ports.log.error({ err: error }, 'message from the control plane refused');
      this.#ports.onViolation();
      this.#link.close(error.code);
    }
  }

  ended(): void {
    if (this.#state === 'up') this.#ports.inventory.disconnected();
    this.#state = 'ended';
    this.#cancelTimer();
    this.#outbox.clear();
  }

  /** What is told before the welcome is dropped: every outcome is in the store, and is sent then. */
  finished(outcome: FinishedOutcome): void {
    if (this.#state !== 'up') return;
    this.#outbox.finished(outcome);
    this.wake();
  }

  refused(code: ErrorCode): void {
    if (this.#state !== 'up') return;
    this.#outbox.refused(code);
    this.wake();
  }

  progress(commandId: CommandId, stage: Stage): void {
    if (this.#state !== 'up') return;
    this.#outbox.progress(commandId, stage);
    if (this.#isProgressDue) return;
    this.#isProgressDue = true;
    this.#ports.clock.after(PROGRESS_AFTER_MS, () => {
      this.#isProgressDue = false;
      this.#outbox.ripen();
      this.wake();
    });
  }

  /** The inventory has something to send, or the outbox. */
  wake(): void {
    if (this.#state !== 'up' || this.#isPumpDue) return;
    this.#isPumpDue = true;
    this.#ports.defer(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #handle(message: CloudMessage): void {
    if (message.type === 'welcome') return this.#welcomed(message);
    if (this.#state !== 'up') throw new FarshoreError('ERR_MESSAGE_INVALID', 'a message came before the welcome');
    switch (message.type) {
      case 'commands':
        for (const envelope of message.envelopes) this.#ports.intake.receive(envelope);
        return;
      case 'finished.ack':
        return this.#confirm(message.commandIds);
      case 'inventory.tags':
        return this.#ports.inventory.want(message.tags);
      case 'inventory.sendAll':
        this.#ports.inventory.connected('sendAll');
        return this.wake();
      case 'recoveryPoints.ask':
        return this.#ports.inventory.asked(message);
    }
  }

  #welcomed({ protocol, heartbeatSeconds, inventory, tags, tellDecisions }: Extract<CloudMessage, { type: 'welcome' }>): void {
    if (this.#state !== 'greeting') throw new FarshoreError('ERR_MESSAGE_INVALID', 'a welcome came twice');
    if (protocol !== PROTOCOL_VERSION)
      throw new FarshoreError('ERR_PROTOCOL_VERSION', `the control plane speaks protocol ${protocol}, this agent ${PROTOCOL_VERSION}`);
    this.#state = 'up';
    this.#cancelTimer();
    this.#ports.lease.begin(this.#askedAt);
    this.#beat(heartbeatSeconds * 1000);
    if (tellDecisions) this.#tellDecisions();
    for (const outcome of this.#ports.outcomes.unconfirmed()) this.#outbox.finished(outcome);
    this.#ports.inventory.want(tags);
    this.#ports.inventory.connected(inventory);
    this.#ports.onWelcome();
    this.wake();
  }

  /** At once: until then the other end goes on with nothing. */
  #tellDecisions(): void {
    for (const decisions of chunks(this.#ports.outcomes.decisions())) this.#send({ type: 'decisions.told', decisions, isLast: false });
    this.#send({ type: 'decisions.told', decisions: [], isLast: true });
  }

  #confirm(commandIds: readonly CommandId[]): void {
    const { outcomes, clock, log } = this.#ports;
    // Unwritten, it is only sent again on the next connection.
    outcomes.confirm(commandIds, clock.now()).catch((error: unknown) => log.error({ err: error }, 'confirmation could not be written'));
  }

  #beat(heartbeatMs: number): void {
    this.#cancelTimer = this.#ports.clock.after(Math.min(heartbeatMs, LEASE_MS / 3), () => {
      const now = this.#ports.clock.now();
      if (now - this.#heardAt > heartbeatMs * SILENT_HEARTBEATS) return this.#link.close('the control plane fell silent');
      if (!this.#isAsking) {
        this.#isAsking = true;
        this.#askedAt = now;
        this.#link.ping();
      }
      this.#beat(heartbeatMs);
    });
  }

  #pump(): void {
    while (this.#state === 'up') {
      this.#unsent ??= this.#outbox.next() ?? this.#ports.inventory.next();
      if (this.#unsent === null) return;
      const mayPass = this.#link.waitingBytes <= WAITING_BYTES_MOST && this.#outgoing.take(this.#ports.clock.now());
      if (!mayPass) {
        this.#isPumpDue = true;
        this.#ports.clock.after(LOOK_AGAIN_MS, () => {
          this.#isPumpDue = false;
          this.#pump();
        });
        return;
      }
      const message = this.#unsent;
      this.#unsent = null;
      this.#send(message);
    }
  }

  #send(message: AgentMessage): void {
    const { egress, log } = this.#ports;
    try {
      const text = encodeEgress(message);
      egress.note(text);
      this.#link.send(text);
    } catch (error) {
      // Neither a message that may not leave nor one that cannot be noted is sent; a new connection tells it anew.
      log.error({ err: error, type: message.type }, 'message could not be sent');
      this.#link.close('a message could not be sent');
    }
  }
}
