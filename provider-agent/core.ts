/**
 * The agent without its surroundings: runner, session and observer over ports. `main.ts` gives it the system, a test
 * world gives it its own clock, chance and wire, so both run the same agent. It owns the journal it is given.
 */

import type { ErrorCode } from '../shared/errors.ts';
import type { AgentId, VaultId } from '../shared/ids.ts';
import { type Clock, type Log, pause, type Random } from '../shared/ports.ts';
import type { Verifier } from '../shared/protocol/envelope.ts';
import { AgentChannel, type ChannelStatus } from './channel/channel.ts';
import { Lease } from './channel/lease.ts';
import type { Dial } from './channel/link.ts';
import type { EgressRecord, InventorySource } from './channel/session.ts';
import { FabricCalls } from './commands/fabric-calls.ts';
import type { HostCertificates } from './commands/handlers.ts';
import { Lifeline } from './commands/lifeline.ts';
import type { NetworkLooks } from './commands/network-looks.ts';
import { CommandRunner } from './commands/runner.ts';
import type { Fabric } from './fabric/fabric.ts';
import { Observer } from './observe/observer.ts';
import { PointsReport } from './observe/points-report.ts';
import { ScriptsReport } from './observe/scripts-report.ts';
import type { Scripts } from './scripts/scripts.ts';
import type { Journal } from './state/journal.ts';

export interface AgentCorePorts {
  readonly identity: { readonly agentId: AgentId; readonly vaultId: VaultId };
  readonly agentVersion: string;
  readonly journal: Journal;
  readonly fabric: Fabric;
  readonly verifier: Verifier;
  readonly certificates: HostCertificates;
  readonly network: NetworkLooks;
  readonly scripts: Scripts;
  readonly dial: Dial;
  readonly egress: EgressRecord;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Calls back after the present turn of the event loop. */
  readonly defer: (callback: () => void) => void;
  readonly settings?: Partial<AgentSettings>;
  onStatus?(status: ChannelStatus): void;
  /** A command was not done, or an envelope not even taken. */
  onRefused?(code: ErrorCode): void;
}

export interface AgentSettings {
  readonly fabricCallLimitMs: number;
  readonly fabricCallsAtOnce: number;
  readonly inventoryEveryMs: number;
  /** How long a stop waits for commands under way; the rest waits in the journal until it is asked for again. */
  readonly drainMs: number;
  /** How long a confirmed command is remembered, and past its deadline one that nobody asks for. */
  readonly rememberMs: number;
}

const DAY_MS = 86_400_000;

export const defaultSettings: AgentSettings = {
  fabricCallLimitMs: 300_000,
  fabricCallsAtOnce: 64,
  inventoryEveryMs: 5_000,
  drainMs: 10_000,
  rememberMs: 30 * DAY_MS,
};

export interface AgentCore {
  /** A new certificate has come, or the way out has changed. */
  reconnect(reason: string): void;
  /** Takes no more commands, lets those under way finish for a while, closes the journal. The fabric stays open. */
  stop(): Promise<void>;
  /** As if the process had died this moment. */
  abandon(): void;
  readonly runningCommands: number;
}

export function startAgentCore(ports: AgentCorePorts): AgentCore {
  const settings = { ...defaultSettings, ...ports.settings };
  const life = new Lifeline();
  const clock = life.clock(ports.clock);
  const { runner, channel } = connectParts(ports, settings, life, clock);
  const { journal } = ports;
  forgetDaily(journal, runner, clock, settings.rememberMs, ports.log);
  channel.start();
  return {
    reconnect: (reason) => channel.reconnect(reason),
    async stop() {
      await Promise.race([runner.drain(), pause(clock, settings.drainMs)]);
      channel.stop();
      life.cut();
      await journal.close();
    },
    abandon() {
      life.cut();
      journal.abandon();
      channel.stop();
    },
    get runningCommands() {
      return runner.runningCount;
    },
  };
}

function connectParts(ports: AgentCorePorts, settings: AgentSettings, life: Lifeline, clock: Clock) {
  const { identity, agentVersion, journal, fabric, verifier, certificates, network, scripts, egress, dial, random, log } = ports;
  const calls = new FabricCalls({ fabric, clock, life, limitMs: settings.fabricCallLimitMs, atOnce: settings.fabricCallsAtOnce });
  const looks = calls.limited(() => {});
  const observer = new Observer({
    fabric: looks,
    clock,
    log,
    everyMs: settings.inventoryEveryMs,
    onChanged: () => channel.inventoryChanged(),
  });
  const held: Scripts = { list: () => life.hold(() => scripts.list()), run: (order) => life.hold(() => scripts.run(order)) };
  const report = new ScriptsReport({ scripts: held, clock, log, onChanged: () => channel.inventoryChanged() });
  const lease = new Lease(clock);
  const points = new PointsReport({ fabric: looks, log, onChanged: () => channel.inventoryChanged() });
  const runner = new CommandRunner({
    identity,
    verifier,
    journal,
    calls,
    lease,
    certificates,
    network: {
      connects: (...args) => life.hold(() => network.connects(...args)),
      httpStatus: (...args) => life.hold(() => network.httpStatus(...args)),
    },
    scripts: held,
    clock,
    random,
    log,
    onFinished: (finished) => {
      if ('code' in finished.outcome) ports.onRefused?.(finished.outcome.code);
      channel.finished(finished);
    },
    onProgress: (commandId, stage) => channel.progress(commandId, stage),
    onRefused: (code) => {
      ports.onRefused?.(code);
      channel.refused(code);
    },
    onNotTaken: () => channel.drop('a command was not taken on'),
  });
  const channel = new AgentChannel({
    agentId: identity.agentId,
    agentVersion,
    egress,
    dial,
    clock,
    random,
    log,
    intake: runner,
    outcomes: journal,
    lease,
    inventory: together(observer, report, points),
    defer: (callback) => ports.defer(() => life.isCut || callback()),
    onStatus: (status) => ports.onStatus?.(status),
  });
  return { runner, channel };
}

/** What the site reports: answers to whoever waits, its scripts, a short list, and its inventory, a long one. */
function together(observer: Observer, report: ScriptsReport, points: PointsReport): InventorySource {
  return {
    get digest() {
      return observer.digest;
    },
    connected(inventory) {
      report.connected();
      observer.connected(inventory);
    },
    want: (tags) => observer.want(tags),
    asked: (question) => void points.asked(question),
    next: () => points.next() ?? report.next() ?? observer.next(),
    disconnected() {
      points.disconnected();
      report.disconnected();
      observer.disconnected();
    },
  };
}

function forgetDaily(journal: Journal, runner: CommandRunner, clock: Clock, rememberMs: number, log: Log): void {
  const before = clock.now() - rememberMs;
  const forgotten = Promise.all([runner.forget(before), journal.prune(before)]);
  forgotten.catch((error: unknown) => log.warn({ err: error }, 'journal could not be pruned'));
  clock.after(DAY_MS, () => forgetDaily(journal, runner, clock, rememberMs, log));
}
