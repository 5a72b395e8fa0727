/**
 * Takes signed envelopes and sees to it that a command runs once.
 *
 * An id that is known is answered from the journal, or joins the run under way. A new one is held against its
 * deadline and the epochs of its VM, both kept here and stored with the VM; then: intent, synced; act; result,
 * synced; answer. Commands about one VM run one after another.
 *
 * It acts on a word that it has heard (docs/adr/0019): before every change it looks whether its lease still holds and whether a newer
 * decision about the VM has come. Without a lease a command stops as if the agent had died. What was cut off waits in the journal, and
 * runs only when the control plane asks for it again: through its handler, which looks before it acts. Past its deadline it may look,
 * and act no more.
 */
import { createHash } from 'node:crypto';
import { type ErrorCode, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId, VaultId, VmRef } from '../../shared/ids.ts';
import { Lanes } from '../../shared/lanes.ts';
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
import type { NetworkLooks } from './network-looks.ts';
import { plannedFailoverHandlers } from './planned-failover.ts';
import { replicationHandlers } from './replication.ts';
import { reversalHandlers } from './reversal.ts';
import { scriptHandlers } from './script-run.ts';
import { StartTurns } from './start-turns.ts';
import { suspensionHandlers } from './suspension.ts';
import { waitHandlers } from './waits.ts';

const handlers: Handlers = {
  ...hostsHandlers,
  ...replicationHandlers,
  ...adoptionHandlers,
  ...reversalHandlers,
  ...suspensionHandlers,
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
  /** The number of the time for which the agent may act without a gap; null while it may not. */
  readonly lease: { readonly term: number | null };
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
  /** A command could not be begun or go on: the control plane must be asked to send it again. */
  onNotTaken(): void;
}

interface Running {
  readonly order: Order;
  /** The term of the lease in which it was asked for last. */
  term: number | null;
  /** It was kept from going on: a failure of it is not its end. */
  isCutOff: boolean;
  done: Promise<void>;
}

export class CommandRunner {
  readonly #ports: RunnerPorts;
  readonly #running = new Map<CommandId, Running>();
  readonly #lanes = new Lanes();
  readonly #turns = new StartTurns();
  readonly #networkTurns = new DrillNetworkTurns();
  /** The newest decision about each VM that was heard, begun or not. */
  readonly #heardEpochs = new Map<string, number>();
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

  /** What was cut off, and was to be begun before the moment given, nobody asks for any more: it is ended without a look at the site. */
  async forget(before: number): Promise<void> {
    for (const { order } of this.#ports.journal.unfinished()) {
      if (order.deadline >= before || this.#running.has(order.commandId)) continue;
      const error = new FarshoreError('ERR_COMMAND_EXPIRED', 'it was cut off, and nobody has asked for it again');
      await this.#conclude(order, this.#unsuccessful('failed', order, error));
    }
  }

  /** Takes nothing more; resolves when the commands under way have ended. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#running.values()].map((running) => running.done));
  }

  #take(order: Order, sequence: number): void {
    const { journal, lease, onFinished } = this.#ports;
    const { commandId, contentHash } = order;
    const running = this.#running.get(commandId);
    const entry = journal.find(commandId);
    const knownHash = running?.order.contentHash ?? entry?.order.contentHash ?? contentHash;
    if (knownHash !== contentHash) {
      // Not an outcome: under this id the control plane would take it for that of the other command.
      return this.#refuseEnvelope(new FarshoreError('ERR_COMMAND_MISMATCH', 'the id of the command was used for another content'));
    }
    this.#noteEpoch(order);
    if (running !== undefined) {
      running.term = lease.term;
      return;
    }
    if (entry === null) return this.#start(order, (begun) => this.#first(begun, sequence));
    if (entry.ending === null) return this.#start(entry.order, (begun) => this.#askedAgain(begun, sequence));
    onFinished({ commandId, ...entry.ending });
    journal.sawSequence(sequence).catch((error: unknown) => this.#ports.log.error({ err: error }, 'journal could not be written'));
  }

  #start(order: Order, work: (running: Running) => Promise<Ending | null>): void {
    const { commandId } = order;
    const running: Running = { order, term: this.#ports.lease.term, isCutOff: false, done: Promise.resolve() };
    this.#running.set(commandId, running);
    running.done = this.#lanes
      .run(laneOf(order), () => work(running))
      .then((ending) => {
        this.#leave(running);
        if (ending !== null) this.#ports.onFinished({ commandId, ...ending });
      })
      .catch((error: unknown) => {
        this.#leave(running);
        this.#ports.log.error({ err: error, commandId }, 'command was not taken: the journal could not be written');
        this.#ports.onNotTaken();
      });
  }

  /** Whoever asks for it from now on begins it anew. */
  #leave(running: Running): void {
    const { commandId } = running.order;
    if (this.#running.get(commandId) === running) this.#running.delete(commandId);
  }

  /** A command never seen: refused with an answer that stays, or begun. Rejects when the journal cannot be written. */
  async #first(running: Running, sequence: number): Promise<Ending | null> {
    const { journal, clock } = this.#ports;
    const { order } = running;
    if (this.#isStopping) return null;
    const refusal = await this.#reasonAgainst(order);
    if (refusal !== null) {
      const ending: Ending = { outcome: this.#unsuccessful('refused', order, refusal), endedAt: clock.now() };
      await journal.refuse(order, sequence, ending);
      return ending;
    }
    if (!this.#isWanted(running)) return this.#cutOff(running);
    await journal.begin(order, sequence);
    return this.#act(running, false);
  }

  /** Begun before and cut off. That it was asked for again is durable before anything is done because of it. */
  async #askedAgain(running: Running, sequence: number): Promise<Ending | null> {
    await this.#ports.journal.sawSequence(sequence);
    return this.#again(running);
  }

  async #again(running: Running): Promise<Ending | null> {
    const { order } = running;
    this.#ports.log.info({ commandId: order.commandId, kind: order.command.kind }, 'command resumed');
    const stale = await this.#staleEpoch(order).catch(toFarshoreError);
    if (stale !== null) return this.#conclude(order, this.#unsuccessful('failed', order, stale));
    return this.#act(running, true);
  }

  /** Whether the control plane has asked for it in the present term of the lease. */
  #isWanted({ term }: Running): boolean {
    return term !== null && term === this.#ports.lease.term;
  }

  /** It goes on when it is asked for again, which is at once where that has happened meanwhile. */
  #cutOff(running: Running): null {
    const { lease, log, onNotTaken } = this.#ports;
    const { commandId, command } = running.order;
    log.warn({ commandId, kind: command.kind }, 'command cut off: the control plane was not heard for too long, or wants it no more');
    this.#leave(running);
    // On a connection that is up nothing would be asked for again.
    if (lease.term === null) onNotTaken();
    return null;
  }

  /** Before every change at the site. */
  #refuseToAct(running: Running, isResumed: boolean): void {
    const { order } = running;
    if (isResumed && this.#ports.clock.now() > order.deadline)
      throw new FarshoreError('ERR_COMMAND_EXPIRED', 'resumed past its deadline: nothing more is done for it');
    const stale = this.#stale(order, 0);
    if (stale !== null) throw stale;
    if (!this.#isWanted(running)) refuseToGoOn(running);
  }

  /** For those that wait: they go on without the control plane, until it is back and does not ask for them, or asks for something newer. */
  #refuseIfUnwanted(running: Running): void {
    const stale = this.#stale(running.order, 0);
    if (stale !== null) throw stale;
    if (this.#ports.lease.term !== null && !this.#isWanted(running)) refuseToGoOn(running);
  }

  async #reasonAgainst(order: Order): Promise<FarshoreError | null> {
    if (this.#ports.clock.now() > order.deadline) return new FarshoreError('ERR_COMMAND_EXPIRED', 'the command came past its deadline');
    return this.#staleEpoch(order).catch(toFarshoreError);
  }

  async #staleEpoch(order: Order): Promise<FarshoreError | null> {
    if (order.vm === null) return null;
    const found = await this.#ports.calls.limited(() => {}).findVm(order.vm);
    return this.#stale(order, found?.epoch ?? 0);
  }

  #stale({ vm, epoch }: Order, atFabric: number): FarshoreError | null {
    if (vm === null) return null;
    const highest = Math.max(this.#ports.journal.epochOf(vm), this.#heardEpochs.get(keyOf(vm)) ?? 0, atFabric);
    return epoch < highest ? new FarshoreError('ERR_EPOCH_STALE', `the command has epoch ${epoch}, this site has seen ${highest}`) : null;
  }

  /** What waits in the lane behind an older decision is already newer. */
  #noteEpoch({ vm, epoch }: Order): void {
    if (vm !== null) this.#heardEpochs.set(keyOf(vm), Math.max(this.#heardEpochs.get(keyOf(vm)) ?? 0, epoch));
  }

  #contextFor(running: Running, isResumed: boolean): HandlerContext {
    const { calls, certificates, network, scripts, clock, onProgress } = this.#ports;
    const { commandId, epoch } = running.order;
    const mayAct = () => this.#refuseToAct(running, isResumed);
    return {
      fabric: calls.limited(mayAct),
      act: { commandId, epoch },
      clock,
      certificates,
      network,
      scripts: {
        async run(order) {
          mayAct();
          return scripts.run(order);
        },
      },
      turns: this.#turns,
      networkTurns: this.#networkTurns,
      isResumed,
      refuseIfUnwanted: () => this.#refuseIfUnwanted(running),
      progress: (stage) => onProgress(commandId, stage),
    };
  }

  async #act(running: Running, isResumed: boolean): Promise<Ending | null> {
    const { order } = running;
    const { command } = order;
    running.isCutOff = false;
    // The schema tied args to kind when the envelope was opened; the compiler cannot follow that through the lookup.
    const handle = handlers[command.kind] as (args: unknown, context: HandlerContext) => Promise<unknown>;
    let outcome: Outcome;
    try {
      outcome = done(command, await handle(command.args, this.#contextFor(running, isResumed)));
    } catch (thrown) {
      if (running.isCutOff) return this.#isWanted(running) ? this.#again(running) : this.#cutOff(running);
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

function refuseToGoOn(running: Running): never {
  running.isCutOff = true;
  throw new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', 'the control plane has not asked for it since it was heard again');
}

const keyOf = ({ cloudId, vmId }: VmRef): string => `${cloudId}/${vmId}`;

function vmOf({ args }: Command): VmRef | null {
  return 'vm' in args ? args.vm : null;
}

function laneOf({ vm, command, commandId }: Order): string {
  // Who waits holds nobody up; nor does a script.
  if (command.kind.startsWith('wait.') || command.kind === 'script.run') return commandId;
  if (vm !== null) return keyOf(vm);
  return 'cloudId' in command.args ? `cloud/${command.args.cloudId}` : 'site';
}
