/**
 * A random story from a seed: operations, crashes, lost lines, dead hosts, dark sites, calls that fail, people who decide and
 * cancel. Then every fault ends, and everything has to come to its end with every invariant kept. The same seed, the same story.
 */

import type { ProtectedVm } from '../../control-plane/store/promise-store.ts';
import type { FaultOrder } from '../../provider-agent/fabric/simulated/fault.ts';
import type { Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { OperationRequest, Target } from '../../shared/api/operations.ts';
import { VM_OPERATIONS, type VmOperation, whyNot } from '../../shared/domain/protected-vm.ts';
import type { JobId, ProtectedVmId } from '../../shared/ids.ts';
import { ACTS_NO_MORE_AFTER_MS } from '../../shared/protocol/lease.ts';
import { replicatesAlready } from './by-hand.ts';
import { waitingSteps } from './operation-picture.ts';
import { SeededRandom } from './seeded-random.ts';
import { aPlanWithActions, haveWhatPlansNeed } from './simulation-plans.ts';
import { type SiteName, World } from './world.ts';
import type { Place } from './world-places.ts';
import { addRule } from './world-rules.ts';

export interface Story {
  readonly seed: number;
  readonly told: readonly string[];
  /** How often each kind of thing happened. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Refusals that a person may meet; anything else is a fault of ours. */
const refusals: readonly string[] = [
  'ERR_VM_BUSY',
  'ERR_OPERATION_NOT_ALLOWED',
  'ERR_CONFLICT',
  'ERR_STALE_VERSION',
  'ERR_AGENT_OFFLINE',
  'ERR_PRIMARY_REACHABLE',
  'ERR_PRIMARY_UNJUDGED',
  'ERR_SITE_UNJUDGED',
  'ERR_SITE_UNHEARD',
  'ERR_PLAN_EMPTY',
  'ERR_NOT_PREPARED',
  'ERR_STORE_FAILED',
  'ERR_NOT_FOUND',
  'ERR_VM_NOT_FOUND',
  'ERR_DRILL_COPIES',
  'ERR_SETTINGS_DIFFER',
];

const takesTime = `timings:
  { startVm: { median: 3 s }, startFailover: { median: 2 s }, stopFailover: { median: 1 s }, enableReplication: { median: 2 s },
    removeReplication: { median: 1 s }, completeFailover: { median: 1 s }, configureReplica: { median: 500 ms },
    startTestFailover: { median: 2 s }, startTestVm: { median: 3 s }, stopTestFailover: { median: 1 s }, guestStart: { median: 10 s } }`;

/** The calls that operations make there. */
const callsAtSites: readonly (readonly [SiteName, Operation])[] = [
  ['reading', 'prepareHosts'],
  ['reading', 'enableReplication'],
  ['reading', 'startInitialReplication'],
  ['reading', 'removeReplication'],
  ['reading', 'stopVm'],
  ['reading', 'prepareFailover'],
  ['reading', 'stopFailover'],
  ['reading', 'startVm'],
  ['slough', 'prepareHosts'],
  ['slough', 'configureReplica'],
  ['slough', 'removeReplication'],
  ['slough', 'deleteVm'],
  ['slough', 'startFailover'],
  ['slough', 'stopFailover'],
  ['slough', 'completeFailover'],
  ['slough', 'reverseReplication'],
  ['reading', 'becomeReplica'],
  ['reading', 'resynchronize'],
  ['slough', 'importInitialReplication'],
  ['reading', 'suspendReplication'],
  ['slough', 'resumeReplication'],
  ['slough', 'startVm'],
  ['slough', 'startVm'],
  ['slough', 'writeEpoch'],
  ['slough', 'startTestFailover'],
  ['slough', 'makeDrillNetwork'],
  ['slough', 'removeDrillNetwork'],
  ['slough', 'connectTestCopy'],
  ['slough', 'startTestVm'],
  ['slough', 'stopTestFailover'],
];

const ACTING: readonly VmOperation[] = ['plannedFailover', 'unplannedFailover', 'takeBack', 'changeRecoveryPoint', 'testFailover'];

const SITES: readonly SiteName[] = ['reading', 'slough'];
const MINUTE_MS = 60_000;

class Teller {
  readonly told: string[] = [];
  readonly counts = new Map<string, number>();
  readonly jobs: JobId[] = [];
  readonly world: World;
  readonly #random: SeededRandom;
  readonly #faults: { readonly site: SiteName; readonly id: number }[] = [];

  constructor(world: World, seed: number) {
    this.world = world;
    this.#random = new SeededRandom(seed);
  }

  below(count: number): number {
    return Math.floor(this.#random.fraction() * count);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  note(kind: string, detail = ''): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.told.push(`${Math.round(this.world.clock.now() / 1000) % 100_000} s ${kind} ${detail}`);
  }

  async somethingHappens(): Promise<void> {
    const acts: readonly (readonly [weight: number, act: () => Promise<void> | void])[] = [
      [16, () => this.#someoneAsks()],
      [3, () => this.#controlPlaneDies()],
      [3, () => this.#agentDies()],
      [6, () => this.#diesAtAPlace()],
      [3, () => this.#lineIsCut()],
      [4, () => this.#callGoesWrong()],
      [2, () => this.#siteGoesDarkOrReturns()],
      [1, () => this.#hostDiesOrReturns()],
      [8, () => this.#someoneDecides()],
      [2, () => this.#someoneCancels()],
      [3, () => this.#someoneGivesASiteUp()],
      [12, () => this.#restart()],
    ];
    let at = this.below(acts.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, act] of acts) {
      at -= weight;
      if (at < 0) {
        await act();
        break;
      }
    }
    await this.world.clock.advance(this.below(100) === 0 ? 70 * MINUTE_MS : this.below(12_000));
  }

  async everyFaultEnds(): Promise<void> {
    const { world } = this;
    world.places.rest();
    for (const { site, id } of this.#faults) world.site(site).fabric.faults.lift(id);
    for (const site of SITES) {
      for (const host of [1, 2]) world.hostReturns(site, host);
      world.returns(site);
    }
    this.note('calm');
    await world.everythingIsBack();
  }

  async #someoneAsks(): Promise<void> {
    const { world } = this;
    if (!world.isControlPlaneUp) return;
    const request = await this.#aRequest();
    if (request === null) return;
    this.note(request.kind, request.id);
    try {
      this.jobs.push(await world.ask(request));
    } catch (thrown) {
      const { code } = thrown as { code?: string };
      if (!refusals.includes(code ?? '')) throw thrown;
      this.note('refused', code);
    }
  }

  async #aRequest(): Promise<OperationRequest | null> {
    const { world } = this;
    const isPaired = (await world.pairings()).some(({ state }) => state === 'paired');
    if (!isPaired) return world.pairRequest();
    const vms = await world.protectedVms();
    const kind = this.#aKind(vms);
    // Mostly those that it is open to; whoever asks for others is refused.
    const fits = this.below(4) > 0 ? vms.filter((vm) => kind !== 'protect' && whyNot(vm, kind) === '') : vms;
    const some = fits.filter(() => this.below(2) === 0).map(({ id }) => id);
    if (kind === 'cleanUpTest' || (vms.some(({ drill }) => drill !== null) && this.below(3) === 0)) return this.#aCleanUp(vms);
    if (kind === 'protect' && this.below(3) === 0) return world.adoptRequest([this.below(6), 4, 5].slice(this.below(3)));
    if (kind === 'protect') {
      const request = await world.protectRequest([0, 1, 2, 3, 4, 5].filter(() => this.below(2) === 0).concat(this.below(6)));
      const isCarried = request.kind === 'protect' && this.below(8) === 0;
      return isCarried ? { ...request, firstCopy: { how: 'export', folder: world.carried } } : request;
    }
    if (some.length === 0) return null;
    const isReversed = fits.find(({ id }) => id === some[0])?.replicatesFrom === 'recovery';
    const direction = this.below(4) > 0 === isReversed ? 'toPrimary' : 'toRecovery';
    const request = await world.requestFor(kind, await this.#aTarget(kind, some), direction);
    if (request.kind === 'unprotect') return this.below(3) === 0 ? { ...request, forced: { reason: 'it is rebuilt' } } : request;
    if (request.kind === 'testFailover') return this.below(2) === 0 ? { ...request, network: world.ownNetwork() } : request;
    // Mostly nobody waits for a drill to be cleaned up.
    const isFailover = request.kind === 'plannedFailover' || request.kind === 'unplannedFailover';
    return isFailover && this.below(4) > 0 ? { ...request, drillCopies: 'leave' } : request;
  }

  /** Of what brings VMs up, some is done by a plan with actions. */
  async #aTarget(kind: VmOperation, vms: readonly ProtectedVmId[]): Promise<Target> {
    if (!ACTING.includes(kind) || this.below(3) > 0) return { vms: [...vms] };
    this.note('a plan with actions', kind);
    return aPlanWithActions(this.world, vms, this, (action) => this.note(`action ${action}`));
  }

  #aCleanUp(vms: readonly ProtectedVm[]): OperationRequest | null {
    const drills = [...new Set(vms.flatMap(({ drill }) => drill ?? []))];
    return drills.length === 0 ? null : this.world.cleanUpRequest(this.pick(drills));
  }

  /** Mostly one that is open to somebody, so that stories go on through the whole life of a VM. */
  #aKind(vms: readonly ProtectedVm[]): 'protect' | VmOperation {
    const vm = vms[this.below(vms.length)];
    // Suspending leads nowhere, so it is tried less often than what moves a VM on.
    const isRare = (operation: VmOperation) => (operation === 'suspend' || operation === 'resume') && this.below(4) > 0;
    const open = vm === undefined ? [] : VM_OPERATIONS.filter((operation) => whyNot(vm, operation) === '' && !isRare(operation));
    if (open.length > 0 && this.below(4) > 0) return this.pick(open);
    return this.below(3) > 0 ? 'protect' : this.pick(VM_OPERATIONS);
  }

  /** Whatever died begins anew, and mostly comes back to a site that can be reached. */
  async #restart(): Promise<void> {
    await this.world.everythingRestarts();
    if (this.below(2) === 0) for (const site of SITES) this.world.returns(site);
  }

  #controlPlaneDies(): void {
    this.note('control plane dies');
    this.world.controlPlaneCrashes();
  }

  #agentDies(): void {
    const site = this.pick(SITES);
    this.note('agent dies', site);
    this.world.agentCrashes(site);
  }

  /** The next but so many write, effect or text is where it happens. */
  #diesAtAPlace(): void {
    const { world } = this;
    const fails = this.below(3) === 0;
    world.places.hurtAt(world.places.reached.length + this.below(12), (place: Place) => {
      this.note(fails ? 'write fails' : 'dies at a place', `${place.kind} ${place.what}`);
      if (fails && (place.kind === 'append' || place.kind === 'journal')) return 'fails';
      if (place.kind === 'append') world.controlPlaneCrashes();
      if (place.kind === 'journal' || place.kind === 'effect') world.agentCrashes(place.site as SiteName);
      return 'dies';
    });
  }

  #lineIsCut(): void {
    const site = this.pick(SITES);
    const told = this.pick(['both', 'agent', 'cloud'] as const);
    this.note(told === 'both' ? 'line is cut' : 'line is half-open', `${site} ${told}`);
    this.world.wires.get(site)?.cut('the line was cut', told);
  }

  #callGoesWrong(): void {
    const [site, operation] = this.pick(callsAtSites);
    const when = this.pick(['beforeEffect', 'afterEffect'] as const);
    const times = this.pick([1, 1, 2, 9]);
    const faults: readonly FaultOrder[] = [
      { kind: 'fails', operation, when, times },
      { kind: 'lies', operation, times: 1 },
      { kind: 'hangs', operation, when, times: 1 },
    ];
    const order = this.pick(faults);
    this.note('call goes wrong', `${site} ${operation} ${order.kind}`);
    this.#faults.push({ site, id: this.world.site(site).fabric.faults.order(order) });
  }

  #siteGoesDarkOrReturns(): void {
    const site = this.pick(['reading', 'reading', 'slough'] as const);
    const isDark = this.world.isDark(site);
    this.note(isDark ? 'site returns' : 'site goes dark', site);
    if (isDark) this.world.returns(site);
    else this.world.goesDark(site);
  }

  #hostDiesOrReturns(): void {
    const [site, host] = [this.pick(SITES), 1 + this.below(2)];
    this.note('host dies or returns', `${site} ${host}`);
    if (this.below(2) === 0) this.world.hostDies(site, host);
    else this.world.hostReturns(site, host);
  }

  async #someoneDecides(): Promise<void> {
    const { world } = this;
    if (!world.isControlPlaneUp || this.jobs.length === 0) return;
    const waiting: { job: JobId; step: string }[] = [];
    for (const job of this.jobs) for (const step of await waitingSteps(world, job)) waiting.push({ job, step });
    if (waiting.length === 0) return;
    const { job, step } = this.pick(waiting);
    const decision = this.pick(['retry', 'confirm', 'skip'] as const);
    this.note(decision, step);
    await this.#refusedOrNot(world.decide(job, step, decision));
  }

  async #someoneCancels(): Promise<void> {
    const { world } = this;
    if (!world.isControlPlaneUp || this.jobs.length === 0) return;
    this.note('cancel');
    await this.#refusedOrNot(world.cancel(this.pick(this.jobs)));
  }

  async #someoneGivesASiteUp(): Promise<void> {
    const { world } = this;
    const [site] = SITES.filter((name) => world.isDark(name) || !world.site(name).isAgentUp);
    const open = [...world.trace.open];
    if (!world.isControlPlaneUp || open.length === 0 || site === undefined) return;
    // Mostly after as long a silence as it takes.
    if (this.below(4) > 0) await world.clock.advance(ACTS_NO_MORE_AFTER_MS);
    this.note('give up', site);
    for (const job of open)
      if (world.isControlPlaneUp && (await this.#refusedOrNot(world.giveUp(job, site)))) this.note('site given up', job);
  }

  /** Whether it was done. A crash on the way leaves it without an answer: nobody waits for one. */
  async #refusedOrNot(asked: Promise<void>): Promise<boolean> {
    let [isDone, failure] = [false, null as unknown];
    asked.then(
      () => {
        isDone = true;
      },
      (thrown: unknown) => {
        failure = thrown;
      },
    );
    await this.world.clock.advance(1);
    if (failure !== null && !refusals.includes((failure as { code?: string }).code ?? '')) throw failure;
    return isDone;
  }
}

export async function tellStory(seed: number, length = 40): Promise<Story> {
  const world = await World.make({ vms: 6, seed, extra: takesTime, sitesInMemory: true });
  const teller = new Teller(world, seed);
  try {
    haveWhatPlansNeed(world);
    await replicatesAlready(world, { indices: [4, 5] });
    await world.pair();
    // In some stories nobody has to ask for protection.
    if (teller.below(4) === 0) await addRule(world, { by: 'name', pattern: 'vm-?' });
    world.places.list();
    for (let i = 0; i < length; i++) await teller.somethingHappens();
    await teller.everyFaultEnds();
    await world.finishes();
  } catch (thrown) {
    const why = (thrown as Error).message;
    throw new Error(
      `the story of seed ${seed} went wrong; FARSHORE_SEED=${seed} tells it again\n${why}\n${teller.told.slice(-40).join('\n')}`,
      { cause: thrown },
    );
  } finally {
    await world.isOver();
  }
  return { seed, told: teller.told, counts: teller.counts };
}
