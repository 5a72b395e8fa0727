/**
 * The whole product in one process, from a seed: the real control plane on its real store, the real agents on their real
 * journals, simulated sites on one clock, joined by a wire that carries the very texts. Its methods read as sentences. A run
 * ends with `finishes`, which holds all of it against the invariants: a run without its checkers counts as no run.
 */

import type { z } from 'zod';
import type { Pairing, ProtectedVm } from '../../control-plane/store/promise-store.ts';
import type { Direction, OperationRequest, OperationRequestOf, Target } from '../../shared/api/operations.ts';
import type { DrillOutcome } from '../../shared/domain/drill.ts';
import { defaultPolicy, type ProtectionPolicy } from '../../shared/domain/policy.ts';
import type { VmOperation } from '../../shared/domain/protected-vm.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import type { Decision } from '../../shared/engine/facts.ts';
import { type CloudId, JobId, type NetworkId, type PairingId, PlanId, type ProtectedVmId, UserId, type VmId } from '../../shared/ids.ts';
import { ACTS_NO_MORE_AFTER_MS } from '../../shared/protocol/lease.ts';
import { tellViolations, violationsOf } from './checkers.ts';
import { uuidOf } from './simulated-sites.ts';
import { allJobs } from './world-control-plane.ts';
import { siteIdOf, type Template, vaultId, WorldCore } from './world-core.ts';
import { promisedVms } from './world-promises.ts';
import type { SiteName, WorldOptions } from './world-sites.ts';

export type { SiteName, Template, WorldOptions };

const actor = { vaultId, name: 'operator' };

const DARK_AFTER_MS = 10_000;
/** A job whose log could not be written is loaded anew within this time. */
const REST_MS = 3_000;

export class World extends WorldCore {
  #ids = 0;

  static async make(options: WorldOptions = {}): Promise<World> {
    const world = new World(null, {
      vms: 2,
      sites: null,
      seed: 1,
      extra: '',
      deleteReplica: true,
      recoveryPoints: 0,
      sitesInMemory: false,
      ...options,
    });
    await world.open();
    await world.firstStart();
    await world.connected();
    return world;
  }

  /** A world that goes on where the template was put away. */
  static async from(template: Template, seed: number = template.options.seed): Promise<World> {
    const world = new World(template, { ...template.options, seed });
    await world.open();
    await world.controlPlaneRestarts();
    for (const name of world.siteNames) await world.agentRestarts(name);
    await world.connected();
    return world;
  }

  /** Puts the world away as a template; it is over. */
  async asTemplate(): Promise<Template> {
    await this.close();
    const { folder, options } = this;
    return { folder, options, now: this.clock.now(), events: this.trace.events, keys: this.keys };
  }

  // Operations

  /** Asks for it; the id of its job. A crash before the answer leaves it to be asked again, under the same id. */
  async ask(request: OperationRequest): Promise<JobId> {
    const asked = this.controlPlane.runner.start(request, actor).then(
      () => this.trace.note({ type: 'acknowledged', jobId: request.id }),
      (thrown: unknown) => Promise.reject(thrown),
    );
    let settled: 'no' | 'yes' | { readonly thrown: unknown } = 'no';
    asked.then(
      () => (settled = 'yes'),
      (thrown: unknown) => (settled = { thrown }),
    );
    await this.clock.advanceUntil(() => settled !== 'no' || !this.isControlPlaneUp, 1);
    if (typeof settled === 'object') throw (settled as { thrown: unknown }).thrown;
    return request.id;
  }

  newJobId(): JobId {
    return JobId.parse(uuidOf(`job ${this.options.seed} ${this.clock.now()} ${this.#ids++}`));
  }

  /** Ends as `site/cloud`. */
  pairRequest(from = 'reading/Gold', to = 'slough/Silver'): OperationRequest {
    const [primary, recovery] = [this.#end(from), this.#end(to)];
    return {
      id: this.newJobId(),
      kind: 'pair',
      name: `${from} to ${to}`,
      primary: primary.ref,
      recovery: recovery.ref,
      policy: {
        ...defaultPolicy,
        copyFrequencySeconds: 30,
        additionalRecoveryPoints: this.options.recoveryPoints,
        deleteReplicaOnUnprotect: this.options.deleteReplica,
      },
      networks: [{ from: primary.networkId, to: recovery.networkId }],
    };
  }

  #end(place: string) {
    const [site, cloud] = place.split('/') as [SiteName, string];
    const { clouds, networks } = this.definition(site);
    const [found, network] = [clouds.find(({ name }) => name === cloud), networks[0]];
    if (!found || !network) throw new Error(`there is no ${place}`);
    return { ref: { siteId: siteIdOf(site), cloudId: found.id }, networkId: network.id };
  }

  /** VMs of the cloud that the first pairing is from, or the pairing from `from` to `to`. */
  async protectRequest(indices?: readonly number[], from?: string, to?: string): Promise<OperationRequest> {
    const isMeant = (name: string) => from === undefined || name === `${from} to ${to}`;
    const pairing = (await this.pairings()).find(({ state, name }) => state === 'paired' && isMeant(name));
    const ofCloud = this.siteNames
      .flatMap((name) => this.definition(name).vms)
      .filter(({ cloudId }) => cloudId === pairing?.primary.cloudId);
    const vms = ofCloud.filter((_vm, index) => indices?.includes(index) ?? true);
    return { id: this.newJobId(), kind: 'protect', pairing: pairing?.id as PairingId, vms: vms.map(({ id }) => id) };
  }

  /** For the VMs of Reading that replicate, and for them alone where indices are given. */
  async adoptRequest(indices?: readonly number[]): Promise<OperationRequestOf<'adopt'>> {
    const { pairing, vms } = (await this.protectRequest(indices)) as OperationRequestOf<'protect'>;
    return { id: this.newJobId(), kind: 'adopt', pairing, vms };
  }

  async requestFor(
    kind: Exclude<VmOperation, 'cleanUpTest'>,
    target?: Target,
    direction: Direction = 'toRecovery',
  ): Promise<OperationRequest> {
    const on = target ?? { vms: (await this.protectedVms()).map(({ id }) => id) };
    const id = this.newJobId();
    if (kind === 'plannedFailover') return { id, kind, target: on, direction, reason: 'power works in Reading' };
    if (kind === 'takeBack' || kind === 'resynchronize') return { id, kind, target: on, reason: 'power works in Reading' };
    if (kind === 'importFirstCopy') return { id, kind, target: on, folder: this.carried };
    if (kind === 'suspend') return { id, kind, target: on, end: 'source', reason: 'the line is needed for something else' };
    if (kind === 'changeRecoveryPoint') return { id, kind, target: on, recoveryPoint: { choose: 'latest' }, reason: 'it is torn' };
    if (kind === 'reverseReplication') return { id, kind, target: on, shutDownFormerPrimary: { reason: 'Slough counts' } };
    if (kind === 'testFailover') return { id, kind, target: on, recoveryPoint: { choose: 'latest' }, network: this.bubble() };
    if (kind !== 'unplannedFailover') return { id, kind, target: on };
    // A control plane that has just started cannot tell by itself that a site is gone.
    const left = direction === 'toRecovery' ? 'reading' : 'slough';
    const isGone = this.dark.has(left) && this.controlPlane.hub.lastHeardAt(siteIdOf(left)) !== null;
    const evidence = isGone ? 'unreachable' : 'attested';
    // Nobody calls a site gone that has been silent for a moment only.
    if (isGone) await this.clock.advance(DARK_AFTER_MS);
    return { id, kind, target: on, direction, recoveryPoint: { choose: 'latest' }, primary: { evidence, reason: `${left} burns` } };
  }

  /** The isolated network of each site. */
  bubble(): OperationRequestOf<'testFailover'>['network'] {
    const networks = this.siteNames.map((name) => {
      const networkId = this.definition(name).networks.find(({ isIsolated }) => isIsolated)?.id as NetworkId;
      return { siteId: siteIdOf(name), networkId };
    });
    return { use: 'isolated', networks };
  }

  /** One of its own at each site, made like the first that is there. */
  ownNetwork(): OperationRequestOf<'testFailover'>['network'] {
    const networks = this.siteNames.map((name) => ({
      siteId: siteIdOf(name),
      networkId: this.definition(name).networks[0]?.id as NetworkId,
    }));
    return { use: 'made', networks };
  }

  cleanUpRequest(drill: JobId, outcome: DrillOutcome = 'passed'): OperationRequest {
    return { id: this.newJobId(), kind: 'cleanUpTest', drill, outcome, notes: 'the shop could be used' };
  }

  /** Saves a plan with one group for each list of VMs; `dependsOn` by the name of the VM that waits. */
  async plan(
    groups: readonly (readonly string[])[],
    dependsOn: Readonly<Record<string, readonly string[]>> = {},
    settings: Pick<RecoveryPlan, 'commitWithinMinutes'> = {},
  ): Promise<Target> {
    return this.planOf(
      groups.map((vms, index) => ({
        name: `group ${index + 1}`,
        members: vms.map((vm) => ({ vm, dependsOn: [...(dependsOn[vm] ?? [])] })),
      })),
      settings,
    );
  }

  /** Saves a plan with the groups as its document has them. */
  async planOf(groups: z.input<typeof RecoveryPlan>['groups'], over: Partial<z.input<typeof RecoveryPlan>> = {}): Promise<Target> {
    const id = PlanId.parse(uuidOf(`plan ${this.#ids++}`));
    const document = RecoveryPlan.parse({ name: `plan ${this.#ids}`, guestAnswersWithinSeconds: 60, ...over, groups });
    await this.controlPlane.store.wishes.savePlan({
      id,
      vaultId,
      name: document.name,
      document,
      createdAt: this.clock.now(),
      createdBy: UserId.parse(uuidOf('owner')),
    });
    return { plan: id };
  }

  /** The host of a VM dies at the site, and is back a minute later. */
  async hostOfCrashes(name: SiteName, vmId: VmId): Promise<void> {
    const cloudId = this.definition(name).clouds[0]?.id as CloudId;
    const host = Number((await this.site(name).fabric.hostOf({ cloudId, vmId }))?.at(-1));
    this.hostDies(name, host);
    await this.clock.advance(60_000);
    this.hostReturns(name, host);
    await this.clock.advance(1_000);
  }

  /** Of the first pairing. Without networks: no replica is connected any more. */
  async changeRequest(
    policy: Partial<ProtectionPolicy>,
    networks: OperationRequestOf<'changePairing'>['networks'] = [],
  ): Promise<OperationRequest> {
    const [pairing] = await this.pairings();
    if (pairing === undefined) throw new Error('there is no pairing');
    return { id: this.newJobId(), kind: 'changePairing', pairing: pairing.id, policy: { ...pairing.policy, ...policy }, networks };
  }

  /** From the pairing that VMs are protected under to the other one. */
  async moveRequest(): Promise<OperationRequest> {
    const [vm] = await this.protectedVms();
    const pairings = await this.pairings();
    const from = pairings.find(({ id }) => id === vm?.pairingId);
    const to = pairings.find(({ id }) => id !== vm?.pairingId);
    if (!from || !to) throw new Error('there are no two pairings');
    return { id: this.newJobId(), kind: 'movePairing', pairing: from.id, to: to.id, reason: 'Silver is full' };
  }

  /** The pairing of that name, or the first. */
  async unpairRequest(name?: string): Promise<OperationRequestOf<'unpair'>> {
    const pairing = (await this.pairings()).find((one) => name === undefined || one.name === name);
    if (!pairing) throw new Error('there is no pairing');
    return { id: this.newJobId(), kind: 'unpair', pairing: pairing.id };
  }

  async pair(from?: string, to?: string): Promise<JobId> {
    return this.#done(await this.ask(this.pairRequest(from, to)));
  }

  async protect(indices?: readonly number[], from?: string, to?: string): Promise<JobId> {
    return this.#done(await this.ask(await this.protectRequest(indices, from, to)));
  }

  async adopt(indices?: readonly number[]): Promise<JobId> {
    return this.#done(await this.ask(await this.adoptRequest(indices)));
  }

  async failOver(target?: Target, direction?: Direction): Promise<JobId> {
    const request = await this.requestFor('unplannedFailover', target, direction);
    const asked = this.ask(request).catch(async (thrown: { code?: string }) => {
      if (thrown.code !== 'ERR_PRIMARY_UNJUDGED') throw thrown;
      // Whoever asks is told from when on it can be told, and waits.
      await this.clock.advance(90_000);
      return this.ask(request);
    });
    return this.#done(await asked);
  }

  async failOverAsPlanned(target?: Target, direction?: Direction): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('plannedFailover', target, direction)));
  }

  async takeBack(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('takeBack', target)));
  }

  async drill(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('testFailover', target)));
  }

  async cleanUp(drill: JobId, outcome: DrillOutcome = 'passed'): Promise<JobId> {
    return this.#done(await this.ask(this.cleanUpRequest(drill, outcome)));
  }

  async commit(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('commit', target)));
  }

  async reverseReplication(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('reverseReplication', target)));
  }

  async importFirstCopy(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('importFirstCopy', target)));
  }

  async suspend(target?: Target, end: 'source' | 'target' = 'source'): Promise<JobId> {
    return this.#done(await this.ask({ ...((await this.requestFor('suspend', target)) as OperationRequestOf<'suspend'>), end }));
  }

  async resume(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('resume', target)));
  }

  async resynchronize(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('resynchronize', target)));
  }

  async unprotect(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('unprotect', target)));
  }

  decide(job: JobId, step: string, decision: Decision): Promise<void> {
    return this.controlPlane.runner.decide(actor, job, step as never, decision, 'I have looked');
  }

  /** As soon as the site has been silent for long enough. */
  async givesUp(job: JobId, site: SiteName): Promise<void> {
    await this.clock.advance(ACTS_NO_MORE_AFTER_MS);
    await this.giveUp(job, site);
  }

  giveUp(job: JobId, site: SiteName): Promise<void> {
    return this.controlPlane.runner.giveUp(actor, job, siteIdOf(site), 'it will not come back');
  }

  /** Decides it, or dies with the control plane, or is told that it cannot be kept now: whoever answers looks again. */
  async answers(job: JobId, step: string, decision: Decision): Promise<void> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    this.decide(job, step, decision).then(settle, settle);
    await this.clock.advanceUntil(() => isSettled || !this.isControlPlaneUp);
    if (this.isControlPlaneUp) await this.clock.advance(REST_MS);
  }

  /** Whoever says so has looked at the sites. */
  letGoOn(job: JobId): Promise<void> {
    return this.controlPlane.runner.letGoOn(actor, job, 'both sites were looked at');
  }

  cancel(job: JobId): Promise<void> {
    return this.controlPlane.runner.cancel(actor, job, 'not wanted any more');
  }

  // What is

  pairings(): Promise<Pairing[]> {
    return this.controlPlane.store.promises.pairings(vaultId);
  }

  protectedVms(ids?: readonly ProtectedVmId[]): Promise<ProtectedVm[]> {
    return this.controlPlane.store.promises.protectedVms(vaultId, ids === undefined ? {} : { ids });
  }

  /** The job as it is stored; null when nobody has it. */
  async job(id: JobId) {
    return (await allJobs(this.controlPlane.store, vaultId)).find(({ job }) => job.id === id) ?? null;
  }

  graph(id: JobId) {
    return this.controlPlane.store.jobs.graph(vaultId, id);
  }

  /** Until the job has ended or waits for a person, or a process has died. */
  async settles(id: JobId): Promise<'settled' | 'died'> {
    await this.until(`every-job-ends: job ${id}`, () => this.hasDied || this.#isSettled(id));
    return this.hasDied ? 'died' : 'settled';
  }

  /** No fault is left: everything comes to its end, and then every invariant has held. The world is over. */
  async finishes(): Promise<void> {
    try {
      await this.everythingIsBack();
      await this.until('every job ends', () => this.trace.open.size === 0).catch(() => {}); // the checker says which
      await this.clock.advance(2_000);
      for (const name of this.siteNames) this.site(name).noteEffects();
      this.trace.note({ type: 'promises', vms: await promisedVms(this, await this.protectedVms(), await this.pairings()) });
      this.trace.note({ type: 'reread', jobs: await allJobs(this.controlPlane.store, vaultId) });
      this.trace.note({ type: 'finished' });
    } finally {
      await this.isOver();
    }
    const violations = violationsOf(this.trace.events);
    if (violations.length > 0) throw new Error(`invariants were broken\n${tellViolations(violations)}\n${this.lastWords()}`);
  }

  #isSettled(id: JobId): boolean {
    return this.trace.opened.has(id) && !this.trace.open.has(id);
  }

  async #done(id: JobId): Promise<JobId> {
    await this.until(`every-job-ends: job ${id}`, () => this.#isSettled(id));
    return id;
  }
}
