/**
 * What may be done with the jobs that a control plane finds when it starts. Its database may be a backup that was put back, which
 * it cannot tell by itself; its sites can: on its first connection each tells the newest decision and command that it knows of every VM.
 *
 * A job that could bring up a second live copy is gone on with when every site of its VMs has told nothing that the log lacks. A site
 * that tells more holds the job until a person has looked; so does one that is away, unless the job does without it (docs/adr/0030).
 */
import { type Fact, type HeldBySite, type HoldCode, holdOf } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import type { JobId, ProtectedVmId, SiteId, VaultId, VmId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { KnownDecisionReport } from '../../shared/protocol/egress.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Job, JobKind } from '../store/job-store.ts';
import type { Store } from '../store/store.ts';
import { sidesOf } from './compile.ts';
import { KnownCommands } from './known-commands.ts';
import { IS_GONE } from './silence.ts';

/** They start VMs or turn replication round, so they wait for the word of sites that are away. */
const WAITING: readonly JobKind[] = ['plannedFailover', 'unplannedFailover', 'takeBack', 'changeRecoveryPoint', 'reverseReplication'];
/** How long a job waits at most for a site that it does without: nobody waits longer for one that is down. */
const WITHOUT_AFTER_MS = 30_000;
/** What an agent needs to connect, once it tries. */
const CONNECTS_WITHIN_MS = 5_000;
const AGAIN_AFTER_MS = 2_000;

export interface RestartCheckPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Goes on with a job as its log says: one that is held there stays held. */
  load(job: Job): Promise<void>;
  /** Of one that was loaded; nothing where it has ended. Rejects where it cannot be kept now. */
  hold(id: JobId, code: HoldCode, sites: readonly HeldBySite[]): Promise<void>;
  /** Nothing stands against it any more; nothing where a person has let it go on before. */
  letGoOn(id: JobId): Promise<void>;
}

interface FoundJob {
  readonly job: Job;
  /** The decision that it runs under, by VM. */
  readonly epochs: ReadonlyMap<VmId, number>;
  /** Sites of its VMs that have not told yet. */
  readonly unheard: Set<SiteId>;
  /** It goes on without them: a person gave them up, or it leads away from them. */
  readonly without: ReadonlySet<SiteId>;
  /** How long after the start. */
  readonly withoutAfterMs: number;
  /** How far a person has taken into account what the site knows. */
  readonly accepted: ReadonlyMap<string, number>;
  state: 'waiting' | 'goesOn' | 'heldUnheard' | 'heldNewer';
}

export class RestartCheck {
  readonly #ports: RestartCheckPorts;
  readonly #beganAt: number;
  readonly #told = new Set<SiteId>();
  /** What these have told was held against the log. */
  readonly #heard = new Set<SiteId>();
  #jobs: FoundJob[] = [];
  /** VMs of which a site knows more than the log, until the next operation on them. */
  readonly #newer = new Map<VmId, VaultId>();
  /** One site after the other. */
  #turn: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(ports: RestartCheckPorts) {
    this.#ports = ports;
    this.#beganAt = ports.clock.now();
  }

  /** Resolves when those are loaded that need not wait. */
  async begin(jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) await this.#find(job);
    const { clock } = this.#ports;
    const moments = this.#jobs.map(({ withoutAfterMs }) => withoutAfterMs);
    for (const ms of new Set([...moments, IS_GONE.afterStartMs])) clock.after(ms, () => this.#then(() => this.#lookAtAll()));
  }

  stop(): void {
    this.#isStopped = true;
  }

  wants(site: SiteId): boolean {
    return !this.#told.has(site);
  }

  /** Whether the job waits for the first word of a site. */
  isWaiting(id: JobId): boolean {
    return this.#jobs.some(({ job, state }) => job.id === id && state === 'waiting');
  }

  /** Whether a site knows more of the VM than the log has. */
  isNewer(vaultId: VaultId, vm: VmId): boolean {
    return this.#newer.get(vm) === vaultId;
  }

  /** Whether nothing may be begun with it that no person has asked for now. */
  isUnsure(vaultId: VaultId, vm: VmId, sites: readonly SiteId[]): boolean {
    return this.isNewer(vaultId, vm) || sites.some((site) => !this.#heard.has(site));
  }

  /** An operation on its VMs was asked for: whoever did that has seen what there is. */
  forget(graph: Graph<StepWork>): void {
    for (const vm of epochsOf(graph).keys()) this.#newer.delete(vm);
  }

  told(vaultId: VaultId, site: SiteId, decisions: readonly KnownDecisionReport[]): void {
    if (this.#told.has(site)) return;
    this.#told.add(site);
    this.#then(() => this.#take(vaultId, site, decisions));
  }

  /** What could not be read or kept is tried again. */
  #then(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#isStopped) return;
      try {
        await work();
      } catch (error) {
        this.#ports.log.error({ err: error }, 'what a site knows could not be held against the jobs; it is tried again');
        this.#ports.clock.after(AGAIN_AFTER_MS, () => this.#then(work));
      }
    });
  }

  async #find(job: Job): Promise<void> {
    const found = await this.#read(job);
    if (found.epochs.size > 0) this.#jobs.push(found);
    if (found.state !== 'waiting') await this.#ports.load(job);
  }

  async #read(job: Job): Promise<FoundJob> {
    const { jobs } = this.#ports.store;
    const [graph, stored] = await Promise.all([jobs.graph(job.vaultId, job.id), jobs.facts(job.vaultId, job.id)]);
    const facts = stored.map(({ fact }) => fact);
    const sites = await this.#sitesOf(job, graph);
    const hold = holdOf(facts);
    const held = hold && (hold.code === 'ERR_NEWER_DECISION' ? 'heldNewer' : 'heldUnheard');
    const mayWait = WAITING.includes(job.kind) && sites.size > 0;
    return {
      job,
      epochs: epochsOf(graph),
      unheard: sites,
      without: doneWithout(job.kind, graph, facts, sites),
      withoutAfterMs: patienceMs(facts, this.#beganAt),
      accepted: acceptedIn(facts),
      state: held ?? (mayWait ? 'waiting' : 'goesOn'),
    };
  }

  /** Those that its steps about VMs are for, and both ends of each VM. */
  async #sitesOf({ vaultId }: Job, graph: Graph<StepWork>): Promise<Set<SiteId>> {
    const { promises } = this.#ports.store;
    const works = worksOf(graph);
    const sites = new Set(works.flatMap((work) => ('vm' in work.args ? [work.siteId] : [])));
    const ids = [...new Set(works.flatMap(({ vm }): ProtectedVmId[] => (vm ? [vm.id] : [])))];
    if (ids.length === 0) return sites;
    const pairings = new Map((await promises.pairings(vaultId)).map((pairing) => [pairing.id, pairing]));
    for (const vm of await promises.protectedVms(vaultId, { ids })) {
      const pairing = pairings.get(vm.pairingId);
      const sides = pairing && sidesOf({ vm, pairing });
      if (sides) sites.add(sides.source.siteId).add(sides.target.siteId);
    }
    return sites;
  }

  async #take(vaultId: VaultId, site: SiteId, decisions: readonly KnownDecisionReport[]): Promise<void> {
    const { promises, jobs } = this.#ports.store;
    const known = new KnownCommands(vaultId, jobs);
    const byVm = Map.groupBy(decisions, ({ vm }) => vm.vmId);
    const decided = await promises.decidedEpochs(vaultId, [...byVm.keys()]);
    const isNewer = async ({ vm, epoch, command }: KnownDecisionReport, own: number) =>
      epoch > Math.max(own, decided.get(vm.vmId) ?? 0) || (command !== null && epoch >= own && !(await known.has(command.id)));
    const upTo = decisions.reduce((most, { command }) => Math.max(most, command?.number ?? 0), 0);
    for (const found of this.#jobs.filter(({ job }) => job.vaultId === vaultId)) {
      const accepted = found.accepted.get(site) ?? -1;
      let isHeld = false;
      for (const [vmId, own] of found.epochs)
        for (const one of byVm.get(vmId) ?? []) isHeld ||= (one.command?.number ?? 0) > accepted && (await isNewer(one, own));
      if (isHeld) await this.#hold(found, 'ERR_NEWER_DECISION', [{ site, upTo }]);
      found.unheard.delete(site);
      await this.#lookAt(found);
    }
    for (const one of decisions) if (await isNewer(one, decided.get(one.vm.vmId) ?? 0)) this.#newer.set(one.vm.vmId, vaultId);
    // Last, since from then on the decision is known: whoever decides next, decides above it.
    await promises.raiseEpochs(vaultId, highest(decisions));
    this.#heard.add(site);
  }

  async #lookAtAll(): Promise<void> {
    for (const found of this.#jobs) await this.#lookAt(found);
  }

  async #lookAt(found: FoundJob): Promise<void> {
    const { load, letGoOn, clock } = this.#ports;
    const waitedMs = clock.now() - this.#beganAt;
    const missing = [...found.unheard].filter((site) => waitedMs < found.withoutAfterMs || !found.without.has(site));
    if (found.state === 'heldUnheard' && missing.length === 0) {
      await letGoOn(found.job.id);
      found.state = 'goesOn';
    }
    if (found.state !== 'waiting') return;
    if (missing.length > 0 && waitedMs < IS_GONE.afterStartMs) return;
    if (missing.length > 0)
      return this.#hold(
        found,
        'ERR_SITE_UNHEARD',
        missing.map((site) => ({ site, upTo: 0 })),
      );
    found.state = 'goesOn';
    await load(found.job);
  }

  async #hold(found: FoundJob, code: HoldCode, sites: readonly HeldBySite[]): Promise<void> {
    const { store, clock, load, hold } = this.#ports;
    const { job } = found;
    if (found.state === 'waiting') {
      await store.jobs.append(job.vaultId, job.id, [{ type: 'held', at: clock.now(), code, sites: [...sites] }], []);
      found.state = code === 'ERR_NEWER_DECISION' ? 'heldNewer' : 'heldUnheard';
      return load(job);
    }
    await hold(job.id, code, sites);
    found.state = code === 'ERR_NEWER_DECISION' ? 'heldNewer' : 'heldUnheard';
  }
}

const worksOf = (graph: Graph<StepWork>): StepWork[] =>
  graph.steps.flatMap(({ work, undo }) => [work, undo].filter((one) => one !== undefined));

function epochsOf(graph: Graph<StepWork>): Map<VmId, number> {
  const epochs = new Map<VmId, number>();
  for (const { args, epoch } of worksOf(graph))
    if ('vm' in args && args.vm) epochs.set(args.vm.vmId, Math.max(epoch, epochs.get(args.vm.vmId) ?? 0));
  return epochs;
}

function doneWithout(kind: JobKind, graph: Graph<StepWork>, facts: readonly Fact[], sites: ReadonlySet<SiteId>): Set<SiteId> {
  const givenUp = new Set(facts.flatMap((fact) => (fact.type === 'givenUp' ? [fact.executor] : [])));
  const targets = new Set(worksOf(graph).flatMap((work) => (work.kind === 'failover.execute' ? [work.siteId] : [])));
  return new Set([...sites].filter((site) => givenUp.has(site) || (kind === 'unplannedFailover' && !targets.has(site))));
}

/**
 * Agents try again at times that grow with the time that they could not connect, to about twice as long. The control plane was away no longer than its log
 * is old, and so an agent that lives is back soon after a short fall; a backup that was put back is an old log.
 */
function patienceMs(facts: readonly Fact[], now: number): number {
  const ageMs = now - (facts.at(-1)?.at ?? 0);
  return ageMs < 0 ? WITHOUT_AFTER_MS : Math.min(WITHOUT_AFTER_MS, 2 * ageMs + CONNECTS_WITHIN_MS);
}

function acceptedIn(facts: readonly Fact[]): Map<string, number> {
  const accepted = new Map<string, number>();
  let held: readonly HeldBySite[] = [];
  for (const fact of facts) {
    if (fact.type === 'held' && fact.code === 'ERR_NEWER_DECISION') held = [...held, ...fact.sites];
    if (fact.type === 'resumed') for (const { site, upTo } of held) accepted.set(site, Math.max(upTo, accepted.get(site) ?? 0));
  }
  return accepted;
}

function highest(decisions: readonly KnownDecisionReport[]): Map<VmId, number> {
  const epochs = new Map<VmId, number>();
  for (const { vm, epoch } of decisions) epochs.set(vm.vmId, Math.max(epoch, epochs.get(vm.vmId) ?? 0));
  return epochs;
}
