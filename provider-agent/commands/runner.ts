/**
 * Takes signed envelopes and sees to it that a command runs once.
 *
 * An id that is known is answered from the journal, or joins the run under way. A new one is held against its
 * deadline and the epochs of its VM, both kept here and stored with the VM; then: intent, synced; act; result,
 * synced; answer. Commands about one VM run one after another. What a crash cut off runs again through its handler,
 * which looks before it acts; past its deadline it may still look, and act no more.
 */
import { createHash } from 'node:crypto';
import { type ErrorCode, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId, VaultId, VmRef } from '../../shared/ids.ts';
import { type Clock, type Log, pause, type Random } from '../../shared/ports.ts';
import { type Command, commands, type Stage } from '../../shared/protocol/commands.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';
import { type Envelope, openEnvelope, type SignedEnvelope, type Verifier } from '../../shared/protocol/envelope.ts';
import { limits } from '../../shared/protocol/limits.ts';
import type { Scripts } from '../scripts/scripts.ts';
import type { Ending, FinishedCommand, Journal, Order } from '../state/journal.ts';
import { adoptionHandlers } from './adoption.ts';
import { drillHandlers } from './drill.ts';
import { DrillNetworkTurns } from './drill-network-turns.ts';
import type { FabricCalls } from './fabric-calls.ts';
import { failoverHandlers } from './failover.ts';
import type { HandlerContext, Handlers, HostCertificates } from './handlers.ts';
import { hostsHandlers } from './hosts.ts';
import { Lanes } from './lanes.ts';
import type { NetworkLooks } from './network-looks.ts';
import { plannedFailoverHandlers } from './planned-failover.ts';
import { replicationHandlers } from './replication.ts';
import { reversalHandlers } from './reversal.ts';
import { scriptHandlers } from './script-run.ts';
import { StartTurns } from './start-turns.ts';
import { waitHandlers } from './waits.ts';

const handlers: Handlers = {
  ...hostsHandlers,
  ...replicationHandlers,
  ...adoptionHandlers,
  ...reversalHandlers,
  ...failoverHandlers,
  ...plannedFailoverHandlers,
  ...drillHandlers,
  ...waitHandlers,
  ...scriptHandlers,
};

export interface RunnerPorts {
  readonly identity: { readonly agentId: AgentId; readonly vaultId: VaultId };
  readonly verifier: Verifier;
  readonly journal: Journal;
  readonly calls: FabricCalls;
  readonly certificates: HostCertificates;
  readonly network: NetworkLooks;
  readonly scripts: Pick<Scripts, 'run'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The outcome is durable: it may be told. Called again for a repeat. */
  onFinished(finished: FinishedCommand): void;
  onProgress(commandId: CommandId, stage: Stage): void;
  /** An envelope was refused before its command could be trusted, or under an id that means another command. */
  onRefused(code: ErrorCode): void;
  /** A command could not be written down, so it was not begun: the control plane must be asked to send it again. */
  onNotTaken(): void;
}

interface Running {
  readonly contentHash: string;
  readonly done: Promise<void>;
}

export class CommandRunner {
  readonly #ports: RunnerPorts;
  readonly #running = new Map<CommandId, Running>();
  readonly #lanes = new Lanes();
  readonly #turns = new StartTurns();
  readonly #networkTurns = new DrillNetworkTurns();
  #lastSequence: number;
  #isStopping = false;

  constructor(ports: RunnerPorts) {
    this.#ports = ports;
    this.#lastSequence = ports.journal.lastSequence;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** Runs what a crash cut off. To be called once, before the first envelope. */
  resume(): void {
    for (const { order } of this.#ports.journal.unfinished()) this.#start(order, () => this.#again(order));
  }

  /** Throws ERR_TOO_MANY_REQUESTS past the limit of open commands; everything else is told through the ports. */
  receive(signed: SignedEnvelope): void {
    if (this.#isStopping) return;
    if (this.#running.size >= limits.openCommands) throw new FarshoreError('ERR_TOO_MANY_REQUESTS', 'too many commands are open');
    let envelope: Envelope;
    try {
      const { identity, verifier } = this.#ports;
      envelope = openEnvelope(signed, verifier, { ...identity, lastSequence: this.#lastSequence });
    } catch (thrown) {
      return this.#refuseEnvelope(toFarshoreError(thrown));
    }
    this.#lastSequence = envelope.sequence;
    this.#take(toOrder(envelope), envelope.sequence);
  }

  /** Takes nothing more; resolves when the commands under way have ended. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#running.values()].map((running) => running.done));
  }

  #take(order: Order, sequence: number): void {
    const { journal, onFinished } = this.#ports;
    const { commandId, contentHash } = order;
    const entry = journal.find(commandId);
    const knownHash = this.#running.get(commandId)?.contentHash ?? entry?.order.contentHash ?? contentHash;
    if (knownHash !== contentHash) {
      // Not an outcome: under this id the control plane would take it for that of the other command.
      return this.#refuseEnvelope(new FarshoreError('ERR_COMMAND_MISMATCH', 'the id of the command was used for another content'));
    }
    if (this.#running.has(commandId)) return;
    if (entry === null) return this.#start(order, () => this.#first(order, sequence));
    if (entry.ending === null) return this.#start(order, () => this.#again(order));
    onFinished({ commandId, ...entry.ending });
    journal.sawSequence(sequence).catch((error: unknown) => this.#ports.log.error({ err: error }, 'journal could not be written'));
  }

  #start(order: Order, work: () => Promise<Ending | null>): void {
    const { commandId, contentHash } = order;
    const done = this.#lanes
      .run(laneOf(order), work)
      .then((ending) => {
        this.#running.delete(commandId);
        if (ending !== null) this.#ports.onFinished({ commandId, ...ending });
      })
      .catch((error: unknown) => {
        this.#running.delete(commandId);
        this.#ports.log.error({ err: error, commandId }, 'command was not taken: the journal could not be written');
        this.#ports.onNotTaken();
      });
    this.#running.set(commandId, { contentHash, done });
  }

  /** A command never seen: refused with an answer that stays, or begun. Rejects when the journal cannot be written. */
  async #first(order: Order, sequence: number): Promise<Ending | null> {
    const { journal, clock } = this.#ports;
    if (this.#isStopping) return null;
    const refusal = await this.#reasonAgainst(order);
    if (refusal !== null) {
      const ending: Ending = { outcome: this.#unsuccessful('refused', order, refusal), endedAt: clock.now() };
      await journal.refuse(order, sequence, ending);
      return ending;
    }
    await journal.begin(order, sequence);
    return this.#act(order, false, () => {});
  }

  /** Begun in an earlier life, and its end is not known. */
  async #again(order: Order): Promise<Ending> {
    const { clock } = this.#ports;
    this.#ports.log.info({ commandId: order.commandId, kind: order.command.kind }, 'command resumed');
    const stale = await this.#staleEpoch(order).catch(toFarshoreError);
    if (stale !== null) return this.#conclude(order, this.#unsuccessful('failed', order, stale));
    return this.#act(order, true, () => {
      if (clock.now() > order.deadline)
        throw new FarshoreError('ERR_COMMAND_EXPIRED', 'resumed past its deadline: nothing more is done for it');
    });
  }

  async #reasonAgainst(order: Order): Promise<FarshoreError | null> {
    if (this.#ports.clock.now() > order.deadline) return new FarshoreError('ERR_COMMAND_EXPIRED', 'the command came past its deadline');
    return this.#staleEpoch(order).catch(toFarshoreError);
  }

  async #staleEpoch({ vm, epoch }: Order): Promise<FarshoreError | null> {
    if (vm === null) return null;
    const { journal, calls } = this.#ports;
    const atFabric = (await calls.limited(() => {}).findVm(vm))?.epoch ?? 0;
    const highest = Math.max(journal.epochOf(vm), atFabric);
    return epoch < highest ? new FarshoreError('ERR_EPOCH_STALE', `the command has epoch ${epoch}, this site has seen ${highest}`) : null;
  }

  async #act(order: Order, isResumed: boolean, mayAct: () => void): Promise<Ending> {
    const { calls, certificates, network, scripts, clock, onProgress } = this.#ports;
    const { command, commandId, epoch } = order;
    const context: HandlerContext = {
      fabric: calls.limited(mayAct),
      act: { commandId, epoch },
      clock,
      certificates,
      network,
      scripts,
      turns: this.#turns,
      networkTurns: this.#networkTurns,
      isResumed,
      progress: (stage) => onProgress(commandId, stage),
    };
    // The schema tied args to kind when the envelope was opened; the compiler cannot follow that through the lookup.
    const handle = handlers[command.kind] as (args: unknown, context: HandlerContext) => Promise<unknown>;
    let outcome: Outcome;
    try {
      outcome = done(command, await handle(command.args, context));
    } catch (thrown) {
      outcome = this.#unsuccessful('failed', order, toFarshoreError(thrown));
    }
    return this.#conclude(order, outcome);
  }

  /** What was done must not be forgotten: tries until it is written. The answer waits for it. */
  async #conclude({ commandId }: Order, outcome: Outcome): Promise<Ending> {
    const { journal, clock, log } = this.#ports;
    const ending: Ending = { outcome, endedAt: clock.now() };
    for (let wait = 1_000; ; wait = Math.min(wait * 2, 60_000)) {
      try {
        await journal.conclude(commandId, ending);
        return ending;
      } catch (error) {
        log.error({ err: error, commandId, retryInMs: wait }, 'result of a command could not be written');
        await pause(clock, wait);
      }
    }
  }

  /** The whole failure stays in the local log; what leaves is its code and where it is told. */
  #unsuccessful(status: 'failed' | 'refused', order: Order, error: FarshoreError): Outcome {
    const logRef = this.#ports.random.uuid();
    this.#ports.log.warn({ logRef, err: error, commandId: order.commandId, kind: order.command.kind, vm: order.vm }, `command ${status}`);
    return { status, code: error.code, logRef };
  }

  #refuseEnvelope(error: FarshoreError): void {
    this.#ports.log.error({ err: error }, 'envelope refused');
    this.#ports.onRefused(error.code);
  }
}

/** The result is held against its schema here: one that may not leave the site must not block those that may. */
function done(command: Command, result: unknown): Outcome {
  const parsed = commands[command.kind].result.safeParse(result);
  if (!parsed.success)
    throw new FarshoreError('ERR_INTERNAL', `the result of ${command.kind} does not fit its schema`, { cause: parsed.error });
  return { status: 'done', kind: command.kind, result: parsed.data } as Outcome;
}

function toOrder({ commandId, command, epoch, deadline }: Envelope): Order {
  const contentHash = createHash('sha256')
    .update(JSON.stringify([command.kind, command.args]))
    .digest('hex');
  return { commandId, contentHash, command, epoch, deadline, vm: vmOf(command) };
}

function vmOf({ args }: Command): VmRef | null {
  return 'vm' in args ? args.vm : null;
}

function laneOf({ vm, command, commandId }: Order): string {
  // Who waits holds nobody up; nor does a script.
  if (command.kind === 'wait.until' || command.kind === 'script.run') return commandId;
  if (vm !== null) return `${vm.cloudId}/${vm.vmId}`;
  return 'cloudId' in command.args ? `cloud/${command.args.cloudId}` : 'site';
}
