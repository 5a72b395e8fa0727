/**
 * The protocol of one connection from the side of the control plane, from hello to its end, whatever carries it.
 *
 * hello; welcome; every command that is still open; then new ones as they come. An outcome is acknowledged only after it is
 * durable. The agent is treated as hostile: what breaks a limit or the form ends this connection, and no other.
 */
import { z } from 'zod';
import { tagsNamed } from '../../shared/domain/protection-rules.ts';
import { FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId, SiteId, VaultId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { AgentMessage, KnownDecisionReport, Outcome } from '../../shared/protocol/egress.ts';
import type { CommandToSend, Signer } from '../../shared/protocol/envelope.ts';
import { isWithinDepth, limits, type RateLimit } from '../../shared/protocol/limits.ts';
import { type CloudMessage, encodeCloudMessage, readAgentMessage } from '../../shared/protocol/messages.ts';
import { SPOKEN_BY_CONTROL_PLANE } from '../../shared/protocol/version.ts';
import type { Bell } from '../store/bell.ts';
import type { Store } from '../store/store.ts';
import { CommandQueue } from './command-queue.ts';
import { InventoryIntake } from './inventory-intake.ts';
import { type CloseCode, closeCodes, type Link, type LinkEvents } from './link.ts';
import { PointsQuestions } from './points-questions.ts';

/** What the channel needs of operations; main hands it over. */
export interface AgentWork {
  /** All commands that the site has not answered yet, in the order to send them. */
  openCommands(siteId: SiteId): readonly CommandToSend[];
  /** Resolves when the outcome is durable, also for one that was known already; rejects when it could not be kept. */
  onFinished(siteId: SiteId, agentId: AgentId, commandId: CommandId, outcome: Outcome): Promise<void>;
  onProgress(siteId: SiteId, commandId: CommandId, stage: Stage): void;
  /** Whether the site has not told yet, since this process began, what it knows of VMs. */
  wantsDecisions(siteId: SiteId): boolean;
  /** All of it; until then nothing is open for a site that it was asked of. */
  onDecisions(vaultId: VaultId, siteId: SiteId, decisions: readonly KnownDecisionReport[]): void;
}

/** An agent whose certificate was held against the store. */
export interface AdmittedAgent {
  readonly agentId: AgentId;
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
}

/** Kept for an agent over its connections, so that a new one brings no new allowance. */
export interface IntakeLimits {
  readonly messages: RateLimit;
  readonly bytes: RateLimit;
}

export interface SessionPorts {
  readonly agent: AdmittedAgent;
  readonly link: Link;
  readonly store: Pick<Store, 'sites' | 'observations' | 'rules'>;
  readonly work: AgentWork;
  readonly signer: Signer;
  readonly bell: Bell;
  readonly intake: IntakeLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** Calls back after the present turn of the event loop, so that what comes together leaves together. */
  readonly defer: (callback: () => void) => void;
  readonly heartbeatSeconds: number;
  onHeard(at: number): void;
  /** Once and last. */
  onEnded(): void;
}

export type SiteScript = Extract<AgentMessage, { type: 'scripts.changed' }>['scripts'][number];

const HELLO_WITHIN_MS = 10_000;
/** More than this many pings without an answer: the peer is dead. */
const SILENT_HEARTBEATS = 2.5;
const NOTE_SEEN_EVERY_MS = 60_000;
/** VMs that commands were ever about at one site. */
const DECISIONS_MOST = 200_000;
const UNSTORED_BYTES_MOST = 32 * 1024 * 1024;
/** The longest reason that a close frame carries, RFC 6455 section 5.5. */
const REASON_BYTES_MOST = 123;

/** What the hellos of all versions have in common. */
const AnyHello = z.looseObject({ type: z.literal('hello'), protocol: z.int().min(1) });
type Hello = Extract<AgentMessage, { type: 'hello' }>;

export class Session implements LinkEvents {
  readonly agent: AdmittedAgent;
  /** What it has told of the scripts of its site; none until then. */
  scripts: readonly SiteScript[] = [];
  readonly points: PointsQuestions;
  readonly #ports: SessionPorts;
  readonly #inventory: InventoryIntake;
  #commands: CommandQueue | null = null;
  #state: 'waiting' | 'greeting' | 'up' | 'ended' = 'waiting';
  #version = '';
  #heardAt: number;
  #notedAt = 0;
  #openOutcomes = 0;
  #acks: CommandId[] = [];
  #decisions: KnownDecisionReport[] = [];
  /** As the agent was told last. */
  #tags: readonly string[] = [];
  #cancelTimer: () => void;

  constructor(ports: SessionPorts) {
    const { agent, clock, store, bell, log } = ports;
    this.agent = agent;
    this.#ports = ports;
    this.#heardAt = clock.now();
    this.#cancelTimer = clock.after(HELLO_WITHIN_MS, () => this.close(closeCodes.silent, 'no hello came in time'));
    this.points = new PointsQuestions((message) => this.#send(message), clock);
    const sendAll = () => this.#send({ type: 'inventory.sendAll' });
    this.#inventory = new InventoryIntake({ ...agent, observations: store.observations, bell, clock, log, sendAll });
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Nothing while it is not up: on its hello the agent is sent all that is open. */
  send(commands: readonly CommandToSend[]): void {
    if (this.#state === 'up') this.#commands?.add(commands);
  }

  heard(): void {
    if (this.#state === 'ended') return;
    this.#heardAt = this.#ports.clock.now();
    this.#ports.onHeard(this.#heardAt);
  }

  received(text: string): void {
    if (this.#state === 'ended') return;
    this.heard();
    try {
      this.#checkRate(text.length);
      if (this.#state === 'waiting') checkProtocol(text);
      this.#handle(readAgentMessage(text), text.length);
    } catch (thrown) {
      this.#refuse(toFarshoreError(thrown));
    }
  }

  closed(reason: string): void {
    this.#end(reason);
  }

  close(code: CloseCode, reason: string): void {
    if (this.#end(reason)) this.#ports.link.close(code, fitReason(reason));
  }

  /** False when it had ended already. */
  #end(reason: string): boolean {
    if (this.#state === 'ended') return false;
    const { log, onEnded } = this.#ports;
    const wasUp = this.#state === 'up';
    this.#state = 'ended';
    this.#cancelTimer();
    this.#commands?.stop();
    this.points.end();
    log.info({ ...this.agent, reason, wasUp }, 'agent disconnected');
    onEnded();
    return true;
  }

  #refuse(error: FarshoreError): void {
    this.#ports.log.warn({ err: error, ...this.agent }, 'message of an agent refused');
    const code = error.code === 'ERR_PROTOCOL_VERSION' ? closeCodes.protocolVersion : closeCodes.violation;
    this.close(code, `${error.code}: ${error.message}`);
  }

  #checkRate(bytes: number): void {
    const { intake } = this.#ports;
    const mayPass = intake.messages.take(this.#heardAt) && intake.bytes.take(this.#heardAt, bytes);
    const isDigested = this.#inventory.waitingBytes <= UNSTORED_BYTES_MOST && this.#openOutcomes <= limits.openCommands;
    if (!mayPass || !isDigested) throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'the agent sends faster than the limit');
  }

  #handle(message: AgentMessage, bytes: number): void {
    if (message.type === 'hello') return this.#greet(message);
    if (this.#state !== 'up') throw new FarshoreError('ERR_MESSAGE_INVALID', 'a message came before the welcome');
    const { work, log } = this.#ports;
    switch (message.type) {
      case 'command.progress':
        return work.onProgress(this.agent.siteId, message.commandId, message.stage);
      case 'command.finished':
        // The schema's inference is looser than the type that belongs to it.
        for (const { commandId, outcome } of message.finished) void this.#finish(commandId, outcome as Outcome);
        return;
      case 'envelope.refused':
        return log.error({ ...this.agent, code: message.code }, 'agent refused an envelope');
      case 'inventory.changed':
        return this.#inventory.take(message, bytes);
      case 'decisions.told':
        return this.#takeDecisions(message);
      case 'scripts.changed':
        this.scripts = message.scripts;
        return;
      case 'recoveryPoints.told':
        return this.points.told(message);
    }
  }

  #takeDecisions({ decisions, isLast }: Extract<AgentMessage, { type: 'decisions.told' }>): void {
    for (const decision of decisions) this.#decisions.push(decision);
    if (this.#decisions.length > DECISIONS_MOST)
      throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'the agent tells of more VMs than a site may have');
    if (!isLast) return;
    this.#ports.work.onDecisions(this.agent.vaultId, this.agent.siteId, this.#decisions);
    this.#decisions = [];
  }

  #greet(hello: Hello): void {
    if (this.#state !== 'waiting') throw new FarshoreError('ERR_MESSAGE_INVALID', 'a hello came twice');
    if (hello.agentId !== this.agent.agentId)
      throw new FarshoreError('ERR_MESSAGE_INVALID', 'the hello names another agent than the certificate');
    this.#state = 'greeting';
    this.#version = hello.agentVersion;
    this.#welcome(hello).catch((thrown: unknown) => this.#refuse(toFarshoreError(thrown)));
  }

  async #welcome({ protocol, lastSequence, inventoryDigest, agentVersion }: Hello): Promise<void> {
    const { store, work, bell, log, heartbeatSeconds } = this.#ports;
    const { agentId, vaultId, siteId } = this.agent;
    const [stored, tags] = await Promise.all([store.observations.digest(vaultId, siteId), this.#wantedTags()]);
    if (this.#state !== 'greeting') return;
    const inventory = stored !== null && stored === inventoryDigest ? 'inStep' : 'sendAll';
    this.#state = 'up';
    this.#cancelTimer();
    this.#beat(heartbeatSeconds * 1000);
    this.#commands = new CommandQueue({ ...this.#ports, agentId, lastSequence });
    this.#tags = tags;
    const tellDecisions = work.wantsDecisions(siteId);
    this.#send({ type: 'welcome', protocol, heartbeatSeconds, inventory, tags, tellDecisions });
    this.send(work.openCommands(siteId));
    this.#noteSeen();
    log.info({ ...this.agent, agentVersion, inventory }, 'agent connected');
    bell.ring(vaultId, { type: 'site', siteId });
  }

  /** The agent is told which tags count from now on, where that is another list. */
  rulesChanged(): void {
    if (this.#state !== 'up') return;
    this.#tellTags().catch((error: unknown) => this.#ports.log.error({ err: error, ...this.agent }, 'an agent could not be told tags'));
  }

  async #tellTags(): Promise<void> {
    const tags = await this.#wantedTags();
    if (this.#state !== 'up' || JSON.stringify(tags) === JSON.stringify(this.#tags)) return;
    this.#tags = tags;
    this.#send({ type: 'inventory.tags', tags });
  }

  async #wantedTags(): Promise<string[]> {
    const rules = await this.#ports.store.rules.list(this.agent.vaultId);
    return tagsNamed(rules.flatMap(({ match, removedAt }) => (removedAt === null ? [match] : [])));
  }

  async #finish(commandId: CommandId, outcome: Outcome): Promise<void> {
    const { work, log, defer } = this.#ports;
    this.#openOutcomes++;
    try {
      await work.onFinished(this.agent.siteId, this.agent.agentId, commandId, outcome);
      if (this.#acks.push(commandId) === 1) defer(() => this.#acknowledge());
    } catch (error) {
      // Not acknowledged, so the agent tells it again on its next connection.
      log.error({ err: error, ...this.agent, commandId }, 'outcome of a command could not be kept');
    } finally {
      this.#openOutcomes--;
    }
  }

  #acknowledge(): void {
    const acks = this.#acks;
    this.#acks = [];
    for (let start = 0; start < acks.length; start += limits.vmsPerMessage) {
      this.#send({ type: 'finished.ack', commandIds: acks.slice(start, start + limits.vmsPerMessage) });
    }
  }

  #beat(everyMs: number): void {
    this.#cancelTimer = this.#ports.clock.after(everyMs, () => {
      const silentMs = this.#ports.clock.now() - this.#heardAt;
      if (silentMs > everyMs * SILENT_HEARTBEATS) return this.close(closeCodes.silent, 'the agent fell silent');
      this.#noteSeen();
      this.#ports.link.ping();
      this.#beat(everyMs);
    });
  }

  #noteSeen(): void {
    const { store, log } = this.#ports;
    if (this.#heardAt - this.#notedAt < NOTE_SEEN_EVERY_MS) return;
    this.#notedAt = this.#heardAt;
    const noted = store.sites.noteSeen(this.agent.agentId, this.#heardAt, this.#version);
    noted.catch((error: unknown) => log.warn({ err: error, ...this.agent }, 'sign of life could not be noted'));
  }

  #send(message: CloudMessage): void {
    if (this.#state === 'up') this.#ports.link.send(encodeCloudMessage(message));
  }
}

/** Looked at before the form: a hello of another version may have another form. Throws ERR_PROTOCOL_VERSION. */
function checkProtocol(text: string): void {
  if (text.length > limits.messageBytes || !isWithinDepth(text)) return;
  let hello: unknown;
  try {
    hello = JSON.parse(text);
  } catch {
    return;
  }
  const protocol = AnyHello.safeParse(hello).data?.protocol;
  if (protocol === undefined || SPOKEN_BY_CONTROL_PLANE.includes(protocol)) return;
  const spoken = SPOKEN_BY_CONTROL_PLANE.join(' and ');
  throw new FarshoreError('ERR_PROTOCOL_VERSION', `the agent speaks protocol ${protocol}, the control plane ${spoken}`);
}

function fitReason(reason: string): string {
  return Buffer.byteLength(reason) <= REASON_BYTES_MOST ? reason : `${Buffer.from(reason).subarray(0, 119).toString('latin1')}...`;
}
