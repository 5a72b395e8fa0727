/**
 * Runs jobs: opens them in the store, hands their steps to the channel, takes outcomes, decides and resumes. It holds what is
 * under way and nothing that the log could not tell again.
 */
import { createHash } from 'node:crypto';
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { StepOutcome } from '../../shared/engine/engine.ts';
import type { Decision } from '../../shared/engine/facts.ts';
import { FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { AgentId, CommandId, JobId, SiteId, StepId, VaultId, VmId } from '../../shared/ids.ts';
import type { Log } from '../../shared/ports.ts';
import type { ResultOf, Stage } from '../../shared/protocol/commands.ts';
import type { KnownDecisionReport, Outcome } from '../../shared/protocol/egress.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import type { Bell } from '../store/bell.ts';
import type { Job, NewJob } from '../store/job-store.ts';
import { compileAdopt } from './adopt.ts';
import { compileChangePairing } from './change-pairing.ts';
import { compileChangeRecoveryPoint } from './change-recovery-point.ts';
import { compileCleanUpTest } from './clean-up-test.ts';
import { compileCommit } from './commit.ts';
import { CommitWindows } from './commit-windows.ts';
import type { Compile, Compiled, CompilePorts, Compilers } from './compile.ts';
import { DrillSchedules } from './drill-schedules.ts';
import { lookAtGivenUp } from './given-up-steps.ts';
import { compileImportFirstCopy } from './import-first-copy.ts';
import { JobRetention } from './job-retention.ts';
import { JobRun, type JobRunPorts, type OpenCommand } from './job-run.ts';
import { compileMovePairing } from './move-pairing.ts';
import type { Actor, ByRule, Dispatcher, Operations, SiteLooks } from './operations.ts';
import { compilePair } from './pair.ts';
import { compilePlannedFailover } from './planned-failover.ts';
import { compileProtect } from './protect.ts';
import { refuseIfProtectedAnew } from './protected-anew.ts';
import { RestartCheck } from './restart-check.ts';
import { compileResynchronize } from './resynchronize.ts';
import { compileReverseReplication } from './reverse-replication.ts';
import { ACTS_NO_MORE, refuseUnlessSilent, toldFrom } from './silence.ts';
import { compileResume, compileSuspend } from './suspension.ts';
import { compileTakeBack } from './take-back.ts';
import { compileTestFailover } from './test-failover.ts';
import { compileUnpair } from './unpair.ts';
import { compileUnplannedFailover } from './unplanned-failover.ts';
import { compileUnprotect } from './unprotect.ts';

const compilers: Compilers = {
  pair: compilePair,
  changePairing: compileChangePairing,
  movePairing: compileMovePairing,
  unpair: compileUnpair,
  protect: compileProtect,
  adopt: compileAdopt,
  plannedFailover: compilePlannedFailover,
  unplannedFailover: compileUnplannedFailover,
  takeBack: compileTakeBack,
  changeRecoveryPoint: compileChangeRecoveryPoint,
  commit: compileCommit,
  reverseReplication: compileReverseReplication,
  importFirstCopy: compileImportFirstCopy,
  suspend: compileSuspend,
  resume: compileResume,
  resynchronize: compileResynchronize,
  testFailover: compileTestFailover,
  cleanUpTest: compileCleanUpTest,
  unprotect: compileUnprotect,
};

/** How long a job rests when the store could not write, before it is loaded anew. */
const REST_MS = 2_000;

export interface RunnerPorts extends Omit<CompilePorts, 'listeningSince'> {
  readonly dispatcher: Dispatcher;
  readonly looks: Pick<SiteLooks, 'lookAt'>;
  readonly bell: Bell;
  readonly log: Log;
}

export class OperationRunner implements Operations {
  readonly #ports: RunnerPorts;
  readonly #hearing: CompilePorts;
  readonly #runs = new Map<JobId, JobRun>();
  /** By site, in the order they were handed out. */
  readonly #open = new Map<SiteId, Map<CommandId, OpenCommand>>();
  readonly #stages = new Map<CommandId, Stage>();
  /** Jobs that have not ended and are not loaded now: what comes for them cannot be kept yet. */
  readonly #resting = new Set<JobId>();
  /** Jobs that wait on the clock to be loaded anew: a job has one owner, so it is loaded once. */
  readonly #reloads = new Set<JobId>();
  readonly #jobPorts: JobRunPorts;
  readonly #commitWindows: CommitWindows;
  readonly #drillSchedules: DrillSchedules;
  readonly #retention: JobRetention;
  readonly #restart: RestartCheck;
  #isStopped = false;

  constructor(ports: RunnerPorts) {
    this.#ports = ports;
    this.#hearing = { ...ports, listeningSince: ports.clock.now() };
    this.#jobPorts = {
      clock: ports.clock,
      jobs: ports.store.jobs,
      onCommands: (commands) => this.#handOut(commands),
      onFacts: ({ vaultId, id }) => {
        ports.bell.ring(vaultId, { type: 'job', jobId: id });
        ports.bell.ring(vaultId, { type: 'vms' });
      },
      actsNoMoreFrom: (site) => toldFrom(site, this.#hearing, ACTS_NO_MORE),
      onHalted: (job, reason) => this.#halted(job, reason),
      onEnded: (job) => this.#ended(job),
    };
    this.#retention = new JobRetention(ports);
    this.#restart = new RestartCheck({
      ...ports,
      load: (job) => this.#load(job).catch((error: unknown) => this.#halted(job, error)),
      hold: async (id, code, sites) => this.#loaded(id)?.engine.hold(code, sites),
      letGoOn: async (id) => {
        const engine = this.#loaded(id)?.engine;
        if (engine?.held) await engine.letGoOn('Farshore', 'every site of its VMs was heard, and knows nothing that the log does not');
      },
    });
    const start = (request: OperationRequest, actor: Actor) => this.start(request, actor);
    this.#commitWindows = new CommitWindows({
      ...ports,
      start,
      isUnsure: ({ vaultId, vmId }, sites) => this.#restart.isUnsure(vaultId, vmId, sites),
    });
    this.#drillSchedules = new DrillSchedules({ ...ports, start });
  }

  /** Goes on with every job that has not ended, as far as its sites need not be heard before. One that cannot be loaded never stops the others. */
  async resume(): Promise<void> {
    const jobs = await this.#ports.store.jobs.unended();
    for (const { id } of jobs) this.#resting.add(id);
    await this.#restart.begin(jobs);
    this.#commitWindows.look();
    this.#drillSchedules.look();
    this.#retention.begin();
  }

  /** Stops acting; what is under way at the sites goes on, and a later start takes its outcomes. */
  stop(): void {
    this.#isStopped = true;
    this.#commitWindows.stop();
    this.#drillSchedules.stop();
    this.#retention.stop();
    this.#restart.stop();
    for (const run of this.#runs.values()) run.engine.stop();
  }

  async start(request: OperationRequest, actor: Actor, byRule?: ByRule, restartOf?: JobId): Promise<{ job: Job; isNew: boolean }> {
    const { store, clock } = this.#ports;
    const requestDigest = createHash('sha256').update(JSON.stringify(request)).digest('hex');
    const known = await store.jobs.find(actor.vaultId, request.id);
    if (known) return { job: sameRequest(known, requestDigest), isNew: false };

    const { target, input, ...parts } = await this.#compile(request, actor);
    const origin = { request, ...(byRule && { byRule }), ...(restartOf && { restartOf }) };
    const head = {
      id: request.id,
      vaultId: actor.vaultId,
      kind: request.kind,
      target,
      requestDigest,
      input: { ...(input as object), ...origin },
    };
    const job = { ...head, startedBy: actor.name, startedAt: clock.now() };
    const { opened, stored } = await this.#openJob({ job, ...parts, byRule: byRule !== undefined }, actor);
    if (opened === 'existing') return { job: stored, isNew: false };
    this.#restart.forget(parts.graph);
    await this.#begin(new JobRun(stored, parts.graph, [], this.#jobPorts));
    return { job: stored, isNew: true };
  }

  async whyNot(request: OperationRequest, actor: Actor): Promise<FarshoreError | null> {
    return this.#compile(request, actor).then(() => null, toFarshoreError);
  }

  #compile(request: OperationRequest, actor: Actor): Promise<Compiled> {
    // The request's kind chose the compiler; the compiler of TypeScript cannot follow that through the lookup.
    const compile = compilers[request.kind] as Compile<typeof request.kind>;
    return compile(request as never, actor, this.#hearing);
  }

  async decide(actor: Actor, id: JobId, step: StepId, decision: Decision, reason: string): Promise<void> {
    const run = await this.#runOf(actor, id);
    if (decision === 'retry') await refuseIfProtectedAnew(run, step, this.#ports.store);
    const found = decision === 'skip' ? await lookAtGivenUp(run.engine.state.view(step), this.#ports.looks) : 'unknown';
    // The site finds it done, and says so.
    const isDone = found === 'done' && run.engine.state.view(step)?.step.skipEndsScope !== true;
    await run.engine.decide(step, isDone ? 'retry' : decision, actor.name, reason, found === 'notDone');
  }

  async letGoOn(actor: Actor, id: JobId, reason: string): Promise<void> {
    await (await this.#runOf(actor, id)).engine.letGoOn(actor.name, reason);
  }

  async cancel(actor: Actor, id: JobId, reason: string): Promise<void> {
    await (await this.#runOf(actor, id)).engine.cancel(actor.name, reason);
  }

  async giveUp(actor: Actor, id: JobId, site: SiteId, reason: string): Promise<void> {
    const run = await this.#runOf(actor, id);
    run.refuseUnlessAwaited(site);
    refuseUnlessSilent(site, this.#hearing);
    // Whoever gives the one site up that holds the job has answered for it.
    const { held } = run.engine;
    if (held?.code === 'ERR_SITE_UNHEARD' && held.sites.every((one) => one.site === site)) await run.engine.letGoOn(actor.name, reason);
    await run.giveUp(site, actor.name, reason);
  }

  stageOf(job: JobId, step: StepId): Stage | null {
    const view = this.#runs.get(job)?.engine.state.view(step);
    if (!view || (view.status !== 'running' && view.status !== 'undoing')) return null;
    const suffix = view.status === 'undoing' ? '/undo' : '';
    return this.#stages.get(`${job}/${step}/${view.attempt}${suffix}` as CommandId) ?? null;
  }

  openCommands(siteId: SiteId): readonly CommandToSend[] {
    const open = [...(this.#open.get(siteId)?.values() ?? [])];
    // What was given up, or took too long, is not sent again.
    return open.filter((one) => one.run.engine.held === null && one.run.isUnderWay(one)).map(({ command }) => command);
  }

  async onFinished(siteId: SiteId, _agentId: AgentId, commandId: CommandId, outcome: Outcome): Promise<void> {
    // Only the site that was asked can answer; an outcome we do not wait for is known already or means nothing.
    const open = this.#open.get(siteId)?.get(commandId);
    if (!open) return this.#refuseIfResting(commandId);
    await open.run.settle(open, await this.#outcomeOf(open, outcome));
    this.#open.get(siteId)?.delete(commandId);
    this.#stages.delete(commandId);
  }

  wantsDecisions(siteId: SiteId): boolean {
    return this.#restart.wants(siteId);
  }

  onDecisions(vaultId: VaultId, siteId: SiteId, decisions: readonly KnownDecisionReport[]): void {
    this.#restart.told(vaultId, siteId, decisions);
  }

  isNewerAtASite(vaultId: VaultId, vm: VmId): boolean {
    return this.#restart.isNewer(vaultId, vm);
  }

  onProgress(siteId: SiteId, commandId: CommandId, stage: Stage): void {
    const open = this.#open.get(siteId)?.get(commandId);
    if (!open) return;
    this.#stages.set(commandId, stage);
    this.#ports.bell.ring(open.run.job.vaultId, { type: 'job', jobId: open.run.job.id });
  }

  /** Its job will ask for it again when it is loaded and goes on; until then the agent must not believe that it was kept. */
  #refuseIfResting(commandId: CommandId): void {
    const jobId = commandId.slice(0, commandId.indexOf('/')) as JobId;
    if (this.#resting.has(jobId) || this.#runs.get(jobId)?.engine.held)
      throw new FarshoreError('ERR_STORE_FAILED', `job ${jobId} is not loaded now`);
  }

  async #outcomeOf({ command, siteId }: OpenCommand, outcome: Outcome): Promise<StepOutcome> {
    if (outcome.status !== 'done') return { ok: false, error: { code: outcome.code, logRef: outcome.logRef } };
    if (outcome.kind !== command.command.kind) return { ok: false, error: { code: 'ERR_COMMAND_MISMATCH', logRef: '' } };
    if (outcome.kind === 'script.run') return scriptOutcome(outcome.result as ResultOf<'script.run'>);
    if (outcome.kind !== 'hosts.requestAuthority') return { ok: true, result: outcome.result };
    try {
      // Signed once and kept with the outcome, so that every delivery of what follows carries the same certificate.
      const { csr } = outcome.result as ResultOf<'hosts.requestAuthority'>;
      return { ok: true, result: { authority: await this.#ports.replication.signSite(csr, siteId) } };
    } catch (error) {
      this.#ports.log.error({ err: error, siteId }, "a site's replication authority could not be signed");
      return { ok: false, error: { code: error instanceof FarshoreError ? error.code : 'ERR_INTERNAL', logRef: '' } };
    }
  }

  #handOut(commands: readonly OpenCommand[]): void {
    const bySite = new Map<SiteId, CommandToSend[]>();
    for (const open of commands) {
      const ofSite = this.#open.get(open.siteId) ?? new Map<CommandId, OpenCommand>();
      this.#open.set(open.siteId, ofSite.set(open.command.commandId, open));
      const list = bySite.get(open.siteId);
      if (list) list.push(open.command);
      else bySite.set(open.siteId, [open.command]);
    }
    for (const [siteId, list] of bySite) this.#ports.dispatcher.send(siteId, list);
  }

  async #openJob(order: NewJob, actor: Actor): Promise<{ opened: 'opened' | 'existing'; stored: Job }> {
    const { id } = order.job;
    try {
      return { opened: await this.#ports.store.jobs.open(order), stored: await this.#find(actor, id) };
    } catch (error) {
      // Whether a commit that failed was written is not known: if it was, the job must not lie there without an owner.
      if (toFarshoreError(error).code === 'ERR_STORE_FAILED') this.#halted(order.job, error);
      throw error;
    }
  }

  async #begin(run: JobRun): Promise<void> {
    this.#runs.set(run.job.id, run);
    this.#resting.delete(run.job.id);
    await run.engine.resume();
  }

  /** Undefined when it has ended. Throws ERR_STORE_FAILED while it is to be loaded again. */
  #loaded(id: JobId): JobRun | undefined {
    if (this.#resting.has(id)) throw new FarshoreError('ERR_STORE_FAILED', `job ${id} is not loaded now`);
    return this.#runs.get(id);
  }

  async #load(job: Job): Promise<void> {
    const { jobs } = this.#ports.store;
    const [graph, facts] = await Promise.all([jobs.graph(job.vaultId, job.id), jobs.facts(job.vaultId, job.id)]);
    await this.#begin(
      new JobRun(
        job,
        graph,
        facts.map(({ fact }) => fact),
        this.#jobPorts,
      ),
    );
  }

  /** The store could not write. The log is the truth: the job is read again and goes on from there. */
  #halted(job: Pick<Job, 'id' | 'vaultId'>, reason: unknown): void {
    this.#forget(job.id);
    this.#resting.add(job.id);
    if (this.#isStopped || this.#reloads.has(job.id)) return;
    this.#reloads.add(job.id);
    this.#ports.log.error({ err: reason, jobId: job.id }, 'a job could not write its log and will be loaded again');
    this.#ports.clock.after(REST_MS, () => {
      this.#reloads.delete(job.id);
      if (!this.#isStopped) this.#reload(job).catch((error: unknown) => this.#halted(job, error));
    });
  }

  async #reload({ id, vaultId }: Pick<Job, 'id' | 'vaultId'>): Promise<void> {
    const job = await this.#ports.store.jobs.find(vaultId, id);
    if (job?.endedAt === null) return this.#load(job);
    this.#resting.delete(id);
    // Its end was written after all, and nobody was told.
    if (job) this.#ended(job);
  }

  #ended({ id, kind }: Job): void {
    this.#forget(id);
    this.#commitWindows.look();
    if (kind === 'testFailover' || kind === 'cleanUpTest') this.#drillSchedules.look();
  }

  #forget(id: JobId): void {
    this.#runs.get(id)?.engine.stop();
    this.#runs.delete(id);
    for (const ofSite of this.#open.values()) {
      for (const [commandId, open] of ofSite) if (open.run.job.id === id) ofSite.delete(commandId);
    }
  }

  async #find(actor: Actor, id: JobId): Promise<Job> {
    const job = await this.#ports.store.jobs.find(actor.vaultId, id);
    if (!job) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such job');
    return job;
  }

  async #runOf(actor: Actor, id: JobId): Promise<JobRun> {
    const job = await this.#find(actor, id);
    const run = this.#runs.get(id);
    if (this.#restart.isWaiting(id))
      throw new FarshoreError('ERR_SITE_UNHEARD', 'the job waits for the first word of its sites since the start: ask again in a minute');
    if (this.#resting.has(id)) throw new FarshoreError('ERR_STORE_FAILED', 'the job is being loaded again: ask once more in a moment');
    if (!run) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', `the job has ended (${job.state}): there is nothing left to decide`);
    return run;
  }
}

/** The agent has run it to its end; what the exit code means is decided here. */
function scriptOutcome(result: ResultOf<'script.run'>): StepOutcome {
  const { exitCode, outputRef } = result;
  if (exitCode === 0) return { ok: true, result };
  return { ok: false, error: { code: 'ERR_SCRIPT_FAILED', logRef: outputRef, exitCode } };
}

function sameRequest(known: Job, requestDigest: string): Job {
  if (known.requestDigest !== requestDigest) throw new FarshoreError('ERR_ID_REUSED', 'this id is of a job with another request');
  return known;
}
