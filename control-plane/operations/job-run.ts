/**
 * One job under way: its engine, the commands it has handed out, and what its facts make of VMs and pairings. The promise of
 * a VM changes in the same transaction as the fact that changes it.
 */
import { JobInput } from '../../shared/api/job-input.ts';
import { type Assignment, type Direction, Engine, type StepOutcome } from '../../shared/engine/engine.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph, Step } from '../../shared/engine/graph.ts';
import type { StepStatus } from '../../shared/engine/run-nodes.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { PairingId, type ProtectedVmId, type SiteId, type StepId } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Job, JobKind, JobStore, Projection } from '../store/job-store.ts';
import { appliedBy } from './applied-settings.ts';
import { commandIdOf } from './command-id.ts';
import { PREPARE } from './pair.ts';

/** A command handed out, and the attempt of the step it belongs to. */
export interface OpenCommand {
  readonly siteId: SiteId;
  readonly command: CommandToSend;
  readonly step: StepId;
  readonly direction: Direction;
  readonly attempt: number;
  readonly run: JobRun;
}

export interface JobRunPorts {
  readonly clock: Clock;
  readonly jobs: JobStore;
  /** Takes commands that are durable in the log, in order. */
  onCommands(commands: readonly OpenCommand[]): void;
  /** Facts are durable; VMs or the pairing may have changed with them. */
  onFacts(job: Job): void;
  /** From when the agent of the site acts no more on what it was told, if nothing is heard of it until then; null while it is connected. */
  actsNoMoreFrom(site: SiteId): number | null;
  onHalted(job: Job, reason: unknown): void;
  onEnded(job: Job): void;
}

export class JobRun {
  readonly job: Job;
  readonly engine: Engine<StepWork>;
  readonly #ports: JobRunPorts;
  /** When each step that is under way was handed out: its deadline counts from there, across restarts. */
  readonly #handedOutAt = new Map<StepId, number>();

  constructor(job: Job, graph: Graph<StepWork>, facts: readonly Fact[], ports: JobRunPorts) {
    this.job = job;
    this.#ports = ports;
    for (const fact of facts) this.#noteHandOut(fact);
    this.engine = new Engine(graph, facts, {
      clock: ports.clock,
      append: (added) => this.#append(added),
      dispatch: (assignments) => this.#handOut(assignments),
      onHalted: (reason) => ports.onHalted(job, reason),
      onEnded: () => ports.onEnded(job),
    });
  }

  settle({ step, direction, attempt }: OpenCommand, outcome: StepOutcome): Promise<void> {
    return this.engine.settle(step, direction, attempt, outcome);
  }

  isUnderWay({ step, direction, attempt }: OpenCommand): boolean {
    const view = this.engine.state.view(step);
    return view?.attempt === attempt && view.status === (direction === 'do' ? 'running' : 'undoing');
  }

  /** Throws ERR_OPERATION_NOT_ALLOWED where nothing waits for the site. */
  refuseUnlessAwaited(site: SiteId): void {
    if (this.#openAt(site).length === 0) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'nothing in the job waits for that site');
  }

  giveUp(site: SiteId, by: string, reason: string): Promise<void> {
    return this.engine.giveUp(this.#openAt(site), site, by, reason);
  }

  #openAt(site: SiteId): StepId[] {
    return [...this.engine.state.views()].filter(({ step, status }) => waitsFor(site, step, status)).map(({ step }) => step.id);
  }

  #handOut(assignments: readonly Assignment<StepWork>[]): void {
    const [sent, lacking] = this.#withTheirResults(assignments);
    this.#endUnsent(lacking);
    const bySite = Map.groupBy(sent, ({ step, direction }) => (direction === 'undo' && step.undo?.siteId) || null);
    for (const [site, some] of bySite)
      if (site === null || !this.#isLeft(site, some)) this.#ports.onCommands(some.map((assignment) => this.#commandOf(assignment)));
  }

  /**
   * What is to be undone at a site that was given up, and still acts no more, is left as it is. Where that cannot be told yet it is
   * handed out as ever, and left when it can: an agent that has come back meanwhile does it.
   */
  #isLeft(site: SiteId, undos: readonly Assignment<StepWork>[]): boolean {
    const word = this.engine.state.givenUp(site);
    const waitMs = this.#actsForAtMost(site);
    if (word === undefined || waitMs === null) return false;
    const steps = undos.map(({ step }) => step.id);
    // A log that cannot be written has told the owner by itself.
    const leave = () => void this.engine.giveUp(steps, site, word.by, word.reason).catch(() => {});
    if (waitMs === 0)
      queueMicrotask(leave); // not from within the engine's own turn
    else this.#ports.clock.after(waitMs, () => this.#actsForAtMost(site) === 0 && leave());
    return waitMs === 0;
  }

  /** How long its agent may still act on what it was told, if it stays silent; null while it is connected. */
  #actsForAtMost(site: SiteId): number | null {
    const from = this.#ports.actsNoMoreFrom(site);
    return from === null ? null : Math.max(0, from - this.#ports.clock.now());
  }

  #endUnsent(assignments: readonly Assignment<StepWork>[]): void {
    for (const { step, direction, attempt } of assignments) {
      const failed = { ok: false, error: { code: 'ERR_PREDECESSOR_FAILED', logRef: '' } } as const;
      // It was never sent, so there is nothing to undo.
      const outcome = direction === 'undo' ? ({ ok: true, result: {} } as const) : failed;
      queueMicrotask(() => void this.engine.settle(step.id, direction, attempt, outcome).catch(() => {}));
    }
  }

  /** Apart: those whose step before has no result, since it failed and was passed over. */
  #withTheirResults(assignments: readonly Assignment<StepWork>[]): [Assignment<StepWork>[], Assignment<StepWork>[]] {
    const has = ({ step }: Assignment<StepWork>) =>
      [step.work, step.undo].every((work) => Object.values(work?.from ?? {}).every((from) => this.engine.state.view(from)?.result));
    return [assignments.filter(has), assignments.filter((assignment) => !has(assignment))];
  }

  async #append(facts: readonly Fact[]): Promise<void> {
    for (const fact of facts) this.#noteHandOut(fact);
    await this.#ports.jobs.append(
      this.job.vaultId,
      this.job.id,
      facts,
      facts.flatMap((fact) => this.#projectionsOf(fact)),
    );
    this.#ports.onFacts(this.job);
  }

  #noteHandOut(fact: Fact): void {
    if (fact.type === 'started' || fact.type === 'undoStarted') this.#handedOutAt.set(fact.step, fact.at);
  }

  #projectionsOf(fact: Fact): Projection[] {
    if (fact.type === 'ended' && this.engine.held !== null) return [...this.#undoneVms(), ...this.#leftVms()];
    if (fact.type === 'ended')
      return [...this.#undoneVms(), ...this.#commitWindows(fact.at), ...this.#pairingEnd(fact.state === 'succeeded')];
    if (!('step' in fact)) return [];
    const step = this.engine.state.view(fact.step)?.step;
    const applied = fact.type === 'done' && step !== undefined ? appliedBy(step) : [];
    const vm = step?.work?.vm;
    if (!vm) return applied;
    const { marks } = vm;
    const isSkipped = fact.type === 'decided' && fact.decision === 'skip' && fact.direction === 'do';
    if (isSkipped && fact.isNotDone !== true && this.#isUnknown(fact.step)) return leftUnknown(this.job.kind, vm.id);
    const event =
      (fact.type === 'started' && fact.attempt === 1 && marks.started) ||
      (fact.type === 'done' && marks.done) ||
      (fact.type === 'undone' && marks.takenBack) ||
      (isSkipped && marks.skipped);
    const pairingId = fact.type === 'done' ? vm.pairing : undefined;
    const released = vm.isLast === true && (fact.type === 'done' || isSkipped);
    return [
      ...applied,
      ...(event ? [{ vm: vm.id, event, ...(pairingId && { pairingId }) }] : []),
      ...(released ? [{ released: vm.id }] : []),
    ];
  }

  /** A person passes over what a site was given up for, and nobody has looked whether it was done. */
  #isUnknown(id: StepId): boolean {
    const { step, error } = this.engine.state.view(id) ?? {};
    return KNOWS_INTERRUPTED.includes(this.job.kind) && step?.looksOnly !== true && error?.code === 'ERR_SITE_GIVEN_UP';
  }

  /** The store opens it for those that are failed over. */
  #commitWindows(endedAt: number): Projection[] {
    const { commitWithinMinutes } = JobInput.safeParse(this.job.input).data ?? {};
    if (!commitWithinMinutes) return [];
    const vms = new Set([...this.engine.state.views()].flatMap(({ step }) => step.work?.vm?.id ?? []));
    return [...vms].map((id) => ({ commitWindowOf: id, endsAt: endedAt + commitWithinMinutes * 60_000 }));
  }

  #undoneVms(): Projection[] {
    const { state } = this.engine;
    const views = [...state.views()];
    // What a person passed over that would have been taken back.
    const left = new Set(views.flatMap(({ step, status }) => (status === 'skipped' && step.undo !== undefined ? [step.scope] : [])));
    return views.flatMap(({ step, attempt }) => {
      const vm = step.work?.vm;
      if (!vm || !state.isUndone(step.id)) return [];
      const { undone, undoneInPart = undone, neverStarted } = vm.marks;
      const event = attempt === 0 ? neverStarted : left.has(step.scope) ? undoneInPart : undone;
      return event ? [{ vm: vm.id, event }] : [];
    });
  }

  /** It ends as it stands. */
  #leftVms(): Projection[] {
    const { state } = this.engine;
    const left = [...state.views()].flatMap(({ step }) => (state.isUndone(step.id) ? [] : (step.work?.vm?.id ?? [])));
    return [...new Set(left)].map((id) => ({ left: id }));
  }

  #pairingEnd(isPaired: boolean): Projection[] {
    const { kind, input } = this.job;
    if (kind !== 'pair' && kind !== 'unpair') return [];
    const pairing = PairingId.parse((input as { pairing: string }).pairing);
    if (kind === 'unpair') return [{ pairing, state: 'gone' }];
    if (!isPaired) return [{ pairing, state: 'failed' }];
    const addressOf = (step: StepId) => (this.engine.state.view(step)?.result as { address: string } | undefined)?.address ?? null;
    const replicaAddresses = { primary: addressOf(PREPARE.primary), recovery: addressOf(PREPARE.recovery) };
    return [{ pairing, state: 'paired', replicaAddresses }];
  }

  /** The same for every delivery: nothing in it depends on when or how often it is made. */
  #commandOf({ step, direction, attempt }: Assignment<StepWork>): OpenCommand {
    const work = direction === 'do' ? step.work : step.undo;
    if (!work) throw new FarshoreError('ERR_INTERNAL', `step ${step.id} has nothing to ${direction}`);
    const { id: jobId, vaultId } = this.job;
    const handedOutAt = this.#handedOutAt.get(step.id) ?? this.#ports.clock.now();
    const command: CommandToSend = {
      commandId: commandIdOf(jobId, { step: step.id, direction, attempt }),
      vaultId,
      jobId,
      stepId: step.id,
      epoch: work.epoch,
      deadline: handedOutAt + work.beginWithinSeconds * 1000,
      command: { kind: work.kind, args: { ...work.args, ...this.#argsFromResults(work) } } as Command,
    };
    return { siteId: work.siteId, command, step: step.id, direction, attempt, run: this };
  }

  #argsFromResults({ from = {} }: StepWork): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(from).map(([argument, step]) => {
        const result = this.engine.state.view(step)?.result as Record<string, unknown>;
        return [argument, result[argument]];
      }),
    );
  }
}

/** It is under way and worked on at the site, or never ends without it. */
function waitsFor(site: SiteId, step: Step<StepWork>, status: StepStatus): boolean {
  const work = status === 'running' ? step.work : status === 'undoing' ? step.undo : undefined;
  return work?.siteId === site || work?.otherEnd === site;
}

/** Of the VMs of others nothing is promised that could be wrong. */
const KNOWS_INTERRUPTED: readonly JobKind[] = [
  'plannedFailover',
  'unplannedFailover',
  'takeBack',
  'changeRecoveryPoint',
  'commit',
  'reverseReplication',
  'movePairing',
];

function leftUnknown(kind: JobKind, vm: ProtectedVmId): Projection[] {
  return kind === 'commit' ? [{ vm, event: 'workLeft' }] : [{ left: vm }];
}
