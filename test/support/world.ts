/**
 * The whole product in one process, from a seed: the real control plane on its real store, the real agents on their real
 * journals, simulated sites on one clock, joined by a wire that carries the very texts. Its methods read as sentences. A run
 * ends with `finishes`, which holds all of it against the invariants: a run without its checkers counts as no run.
 */

import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pairing, ProtectedVm } from '../../control-plane/store/store.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import type { SiteDefinition } from '../../provider-agent/fabric/simulated/site-definition.ts';
import { readSiteFile } from '../../provider-agent/fabric/simulated/site-definition.ts';
import type { OperationRequest, Target } from '../../shared/api/operations.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { AgentId, JobId, type PairingId, PlanId, type ProtectedVmId, SiteId, UserId, VaultId } from '../../shared/ids.ts';
import type { Log } from '../../shared/ports.ts';
import type { Signer, Verifier } from '../../shared/protocol/envelope.ts';
import { tellViolations, violationsOf } from './checkers.ts';
import { CANARY } from './checkers-metadata.ts';
import { SeededRandom } from './seeded-random.ts';
import { uuidOf } from './simulated-sites.ts';
import { Trace, type TraceEvent } from './trace.ts';
import { VirtualClock } from './virtual-clock.ts';
import { allJobs, ControlPlaneLife } from './world-control-plane.ts';
import { Places } from './world-places.ts';
import { WorldSite } from './world-site.ts';
import { type Direction, Wire } from './world-wire.ts';

export type SiteName = 'reading' | 'slough';
const SITES: readonly SiteName[] = ['reading', 'slough'];

export interface WorldOptions {
  readonly vms?: number;
  readonly seed?: number;
  /** Lines of the site files, such as `timings`. */
  readonly extra?: string;
  readonly deleteReplica?: boolean;
}

/** What a template keeps of a world that was put away, so that many can begin where it ended. */
export interface Template {
  readonly folder: string;
  readonly options: Required<WorldOptions>;
  readonly now: number;
  readonly events: readonly TraceEvent[];
  readonly keys: Keys;
}

interface Keys {
  readonly signer: Signer;
  readonly verifier: Verifier;
}

/** How long a job may take to its end, once nothing hurts it any more: every-job-ends. */
export const ENDS_WITHIN_MS = 600_000;

const vaultId = VaultId.parse(uuidOf('vault'));
const actor = { vaultId, name: 'operator' };
const idOf = (what: string, name: SiteName) => uuidOf(`${what} ${name}`);

export class World {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly places = new Places();
  readonly random: SeededRandom;
  readonly options: Required<WorldOptions>;
  readonly folder: string;
  /** Errors and warnings of both programs, for a test that looks for the reason of something. */
  readonly logged: { readonly level: string; readonly fields: object; readonly text: string }[] = [];
  readonly wires = new Map<SiteName, Wire>();
  /** How often texts of one direction are delivered; one that is lost ends the wire, as TCP would. */
  deliver: { toAgent: number; toCloud: number; commands: number } = { toAgent: 1, toCloud: 1, commands: 1 };
  readonly #keys: Keys;
  readonly #sites = new Map<SiteName, WorldSite>();
  readonly #dark = new Set<SiteName>();
  readonly #siteFaults = new Map<string, number>();
  #controlPlane: ControlPlaneLife | null = null;
  #backup: { readonly folder: string; readonly jobs: Awaited<ReturnType<typeof allJobs>> } | null = null;
  /** What a crash left to be done before anything else. */
  #burials: Promise<void>[] = [];
  #ids = 0;

  static async make(options: WorldOptions = {}): Promise<World> {
    const world = new World(null, { vms: 2, seed: 1, extra: '', deleteReplica: true, ...options });
    await world.#open();
    await world.#firstStart();
    await world.#connected();
    return world;
  }

  /** A world that goes on where the template was put away. */
  static async from(template: Template, seed: number = template.options.seed): Promise<World> {
    const world = new World(template, { ...template.options, seed });
    await world.#open();
    await world.controlPlaneRestarts();
    for (const name of SITES) await world.agentRestarts(name);
    await world.#connected();
    return world;
  }

  private constructor(template: Template | null, options: Required<WorldOptions>) {
    this.options = options;
    this.clock = template === null ? new VirtualClock() : new VirtualClock(template.now);
    this.trace = new Trace(() => this.clock.now(), template?.events ?? []);
    this.random = new SeededRandom(options.seed * 7919 + (template === null ? 1 : 2));
    this.#keys = template?.keys ?? makeKeys();
    this.folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'farshore-world-'));
    if (template !== null) cpSync(template.folder, this.folder, { recursive: true });
  }

  /** Puts the world away as a template; it is over. */
  async asTemplate(): Promise<Template> {
    await this.#close();
    const { folder, options } = this;
    return { folder, options, now: this.clock.now(), events: this.trace.events, keys: this.#keys };
  }

  // The sites

  site(name: SiteName): WorldSite {
    const site = this.#sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** Nothing comes in or goes out of it any more: no agent, no replicas. Its VMs go on. */
  goesDark(name: SiteName): void {
    this.#dark.add(name);
    this.#siteFaults.set(`dark ${name}`, this.site(name).fabric.faults.order({ kind: 'siteDark' }));
    this.wires.get(name)?.cut('the site is dark');
  }

  returns(name: SiteName): void {
    if (!this.#dark.delete(name)) return;
    this.site(name).fabric.faults.lift(this.#siteFaults.get(`dark ${name}`) ?? 0);
  }

  isDark(name: SiteName): boolean {
    return this.#dark.has(name);
  }

  hostDies(name: SiteName, host: number): void {
    const key = `host ${name} ${host}`;
    if (this.#siteFaults.has(key)) return;
    this.#siteFaults.set(key, this.site(name).fabric.faults.order({ kind: 'hostDies', host: `${CANARY}-${name}-${host}` }));
    this.site(name).noteEffects();
  }

  hostReturns(name: SiteName, host: number): void {
    const key = `host ${name} ${host}`;
    const id = this.#siteFaults.get(key);
    this.#siteFaults.delete(key);
    if (id !== undefined) this.site(name).fabric.faults.lift(id);
  }

  // Crashes

  /** Drops runner and hub; the database is as the last commit left it. */
  controlPlaneCrashes(): void {
    const life = this.#controlPlane;
    if (life === null) return;
    this.#controlPlane = null;
    this.#burials.push(life.crash());
    for (const wire of this.wires.values()) wire.cut('the control plane died');
  }

  async controlPlaneRestarts(): Promise<void> {
    await Promise.all(this.#burials);
    if (this.#controlPlane !== null) return;
    const { clock, random, trace, places } = this;
    const file = join(this.folder, 'control-plane.db');
    const life = await ControlPlaneLife.begin({
      file,
      vaultId,
      signer: this.#keys.signer,
      clock,
      random,
      trace,
      places,
      log: this.#log('control plane'),
      deliveries: () => this.deliver.commands,
    });
    this.#controlPlane = life;
    life.resume();
  }

  get isControlPlaneUp(): boolean {
    return this.#controlPlane !== null;
  }

  agentCrashes(name: SiteName): void {
    this.site(name).crashAgent();
    this.wires.get(name)?.cut('the agent died');
  }

  async agentRestarts(name: SiteName): Promise<void> {
    await this.site(name).startAgent();
  }

  /** Every process that died begins anew. */
  async everythingRestarts(): Promise<void> {
    await this.controlPlaneRestarts();
    for (const name of SITES) await this.agentRestarts(name);
  }

  /** ... and the agents that are not cut off are connected. */
  async everythingIsBack(): Promise<void> {
    await this.everythingRestarts();
    await this.#connected();
  }

  get hasDied(): boolean {
    return this.#controlPlane === null || SITES.some((name) => !this.site(name).isAgentUp);
  }

  /** Keeps a copy of the control plane's database, as a backup of last night. */
  async backUp(): Promise<void> {
    const jobs = await allJobs(this.controlPlane.store, vaultId);
    this.controlPlaneCrashes();
    await Promise.all(this.#burials);
    const folder = `${this.folder}-backup`;
    cpSync(this.folder, folder, { recursive: true });
    this.#backup = { folder, jobs };
    await this.controlPlaneRestarts();
    await this.#connected();
  }

  async controlPlaneIsRestoredFromBackup(): Promise<void> {
    if (this.#backup === null) throw new Error('there is no backup');
    this.controlPlaneCrashes();
    await Promise.all(this.#burials);
    for (const end of ['-wal', '-shm']) rmSync(join(this.folder, `control-plane.db${end}`), { force: true });
    cpSync(join(this.#backup.folder, 'control-plane.db'), join(this.folder, 'control-plane.db'));
    this.trace.note({ type: 'restored', jobs: this.#backup.jobs });
    await this.controlPlaneRestarts();
    await this.#connected();
  }

  // Operations

  get controlPlane(): ControlPlaneLife {
    if (this.#controlPlane === null) throw new Error('no control plane runs');
    return this.#controlPlane;
  }

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
    await this.clock.advanceUntil(() => settled !== 'no' || this.#controlPlane === null, 1);
    if (typeof settled === 'object') throw (settled as { thrown: unknown }).thrown;
    return request.id;
  }

  newJobId(): JobId {
    return JobId.parse(uuidOf(`job ${this.options.seed} ${this.clock.now()} ${this.#ids++}`));
  }

  pairRequest(): OperationRequest {
    const [primary, recovery] = SITES.map((name) => this.definition(name));
    const end = (name: SiteName) => ({ siteId: SiteId.parse(idOf('site', name)), cloudId: this.definition(name).clouds[0]?.id as never });
    return {
      id: this.newJobId(),
      kind: 'pair',
      name: 'reading to slough',
      primary: end('reading'),
      recovery: end('slough'),
      policy: { ...defaultPolicy, copyFrequencySeconds: 30, deleteReplicaOnUnprotect: this.options.deleteReplica },
      networks: [{ from: primary?.networks[0]?.id as never, to: recovery?.networks[0]?.id as never }],
    };
  }

  async protectRequest(indices?: readonly number[]): Promise<OperationRequest> {
    const pairing = (await this.pairings()).find(({ state }) => state === 'paired');
    const vms = this.definition('reading').vms.filter((_vm, index) => indices?.includes(index) ?? true);
    return { id: this.newJobId(), kind: 'protect', pairing: pairing?.id as PairingId, vms: vms.map(({ id }) => id) };
  }

  async requestFor(kind: 'unplannedFailover' | 'commit' | 'unprotect', target?: Target): Promise<OperationRequest> {
    const on = target ?? { vms: (await this.protectedVms()).map(({ id }) => id) };
    const id = this.newJobId();
    if (kind !== 'unplannedFailover') return { id, kind, target: on };
    const evidence = this.#dark.has('reading') ? 'unreachable' : 'attested';
    return { id, kind, target: on, recoveryPoint: { choose: 'latest' }, primary: { evidence, reason: 'reading burns' } };
  }

  /** Saves a plan with one group for each list of VMs. */
  async plan(groups: readonly (readonly string[])[]): Promise<Target> {
    const id = PlanId.parse(uuidOf(`plan ${this.#ids++}`));
    const document = {
      name: `plan ${this.#ids}`,
      guestAnswersWithinSeconds: 60,
      groups: groups.map((vms, index) => ({ name: `group ${index + 1}`, members: vms.map((vm) => ({ vm })) })),
    };
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

  async pair(): Promise<JobId> {
    return this.#done(await this.ask(this.pairRequest()));
  }

  async protect(indices?: readonly number[]): Promise<JobId> {
    return this.#done(await this.ask(await this.protectRequest(indices)));
  }

  async failOver(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('unplannedFailover', target)));
  }

  async commit(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('commit', target)));
  }

  async unprotect(target?: Target): Promise<JobId> {
    return this.#done(await this.ask(await this.requestFor('unprotect', target)));
  }

  decide(job: JobId, step: string, decision: 'retry' | 'skip'): Promise<void> {
    return this.controlPlane.runner.decide(actor, job, step as never, decision, 'I have looked');
  }

  cancel(job: JobId): Promise<void> {
    return this.controlPlane.runner.cancel(actor, job, 'not wanted any more');
  }

  // What is

  definition(name: SiteName): SiteDefinition {
    return this.site(name).ports.definition;
  }

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

  /** Moves time on until it holds; fails past the limit in virtual time. */
  async until(what: string, condition: () => boolean | Promise<boolean>, limitMs = ENDS_WITHIN_MS): Promise<void> {
    await this.clock.advanceUntil(condition, limitMs).catch(() => {
      throw new Error(
        `not within ${limitMs / 1000} s of virtual time: ${what}\n${tellViolations(violationsOf(this.trace.events))}\n${this.#lastWords()}`,
      );
    });
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
      const open = () => [...this.#openJobs()].length === 0;
      await this.until('every job ends', open).catch(() => {}); // the checker says which
      await this.clock.advance(2_000);
      for (const name of SITES) this.site(name).noteEffects();
      this.trace.note({ type: 'reread', jobs: await allJobs(this.controlPlane.store, vaultId) });
      this.trace.note({ type: 'finished' });
    } finally {
      await this.isOver();
    }
    const violations = violationsOf(this.trace.events);
    if (violations.length > 0) throw new Error(`invariants were broken\n${tellViolations(violations)}\n${this.#lastWords()}`);
  }

  async isOver(): Promise<void> {
    await this.#close();
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(`${this.folder}-backup`, { recursive: true, force: true });
  }

  async #close(): Promise<void> {
    for (const wire of this.wires.values()) wire.cut('the world is over');
    for (const site of this.#sites.values()) await site.close();
    this.controlPlaneCrashes();
    await Promise.all(this.#burials);
  }

  /** Every end that the trace knows of: the cheapest way to ask, at each tick of the clock. */
  #isSettled(id: JobId): boolean {
    return !this.#openJobs().has(id) && this.trace.events.some((event) => event.type === 'opened' && event.job.job.id === id);
  }

  #openJobs(): Set<string> {
    const open = new Set<string>();
    for (const event of this.trace.events) {
      if (event.type === 'restored') open.clear();
      if (event.type === 'opened') open.add(event.job.job.id);
      if (event.type !== 'facts') continue;
      for (const { type } of event.facts) {
        if (type === 'ended' || type === 'parked') open.delete(event.jobId);
        if (type === 'decided') open.add(event.jobId);
      }
    }
    return open;
  }

  async #done(id: JobId): Promise<JobId> {
    await this.until(`every-job-ends: job ${id}`, () => this.#isSettled(id));
    return id;
  }

  async #open(): Promise<void> {
    const network = new InMemoryReplicationNetwork();
    for (const name of SITES) {
      const id = SiteId.parse(idOf('site', name));
      const site = await WorldSite.open({
        name,
        id,
        agentId: AgentId.parse(idOf('agent', name)),
        vaultId,
        definition: readSiteFile(siteText(name, this.options), `${name}.yaml`),
        siteFile: join(this.folder, `${name}-site.db`),
        journalFile: join(this.folder, `${name}-journal.db`),
        clock: this.clock,
        random: this.random,
        transport: network.join(id),
        verifier: this.#keys.verifier,
        trace: this.trace,
        places: this.places,
        log: this.#log(`agent of ${name}`),
        dial: (events) => {
          const wire: Wire = new Wire(events, {
            site: id,
            accept: (socket) => this.#accept(name, socket),
            carry: (direction, text, on) => this.#carry(name, direction, text, on),
          });
          this.wires.set(name, wire);
          return wire.link;
        },
      });
      this.#sites.set(name, site);
    }
  }

  async #accept(name: SiteName, socket: Parameters<ControlPlaneLife['hub']['join']>[1]) {
    const life = this.#controlPlane;
    if (life === null || this.#dark.has(name)) return null;
    await life.hasResumed;
    const agent = await life.hub.admit({ agentId: AgentId.parse(idOf('agent', name)), spki: name });
    if (this.#controlPlane !== life) return null;
    const site = SiteId.parse(idOf('site', name));
    const end = life.hub.join(agent, socket);
    this.trace.note({ type: 'connection', site, isUp: true });
    return {
      received: (text: string) => end.received(text),
      heard: () => end.heard(),
      closed: (reason: string) => {
        this.trace.note({ type: 'connection', site, isUp: false });
        end.closed(reason);
      },
    };
  }

  #carry(name: SiteName, direction: Direction, text: string, wire: Wire): number {
    if (direction === 'toAgent' ? this.#controlPlane === null : !this.site(name).isAgentUp) return 0;
    this.trace.note({ type: direction, site: SiteId.parse(idOf('site', name)), text });
    const what = `${direction} ${String((JSON.parse(text) as { type: string }).type)}`;
    if (this.places.reach({ kind: 'message', site: name, what }) === 'dies') {
      wire.cut('the line was cut');
      return 0;
    }
    return this.deliver[direction];
  }

  async #firstStart(): Promise<void> {
    await this.controlPlaneRestarts();
    const { store } = this.controlPlane;
    const now = this.clock.now();
    const owner = { id: UserId.parse(uuidOf('owner')), vaultId, name: 'owner', role: 'owner' as const, passwordHash: '', createdAt: now };
    await store.accounts.createFirst({ id: vaultId, name: 'vault', createdAt: now }, owner);
    for (const name of SITES) {
      const siteId = SiteId.parse(idOf('site', name));
      await store.sites.create({ id: siteId, vaultId, name, createdAt: now });
      const key = { hash: name, vaultId, siteId, createdAt: now, createdBy: owner.id, expiresAt: now + 86_400_000, usedAt: null };
      await store.sites.addRegistrationKey(key);
      const agent = { agentId: AgentId.parse(idOf('agent', name)), vaultId, siteId, spki: name };
      await store.enrolment.register(name, { ...agent, certificateSerial: name, certificateNotAfter: now + 86_400_000 }, now);
      await this.agentRestarts(name);
    }
  }

  /** Both agents are here and have told what there is. */
  async #connected(): Promise<void> {
    const isHere = (name: SiteName) =>
      this.#dark.has(name) || this.#controlPlane?.hub.isConnected(SiteId.parse(idOf('site', name))) === true;
    await this.until('the agents connect', () => SITES.every(isHere));
    await this.until('the inventory is there', async () => {
      const clouds = await this.controlPlane.store.observations.clouds(vaultId);
      return new Set(clouds.map(({ siteId }) => siteId)).size === SITES.length;
    });
    await this.clock.advance(50);
  }

  #log(who: string): Log {
    const note = (level: string) => (fields: object, text: string) => void this.logged.push({ level, fields, text: `${who}: ${text}` });
    return { info: () => {}, warn: note('warn'), error: note('error') };
  }

  #lastWords(): string {
    const told = this.logged.slice(-6).map(({ level, fields, text }) => {
      const { err, ...rest } = fields as { err?: Error };
      return `  ${level} ${text} ${JSON.stringify(rest)} ${err === undefined ? '' : `${err.message} ${String((err.cause as Error | undefined)?.message ?? '')}`}`;
    });
    return told.join('\n');
  }
}

function makeKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const issuer = '00112233445566ff';
  return {
    signer: { issuer, sign: (bytes) => sign(null, bytes, privateKey).toString('base64url') },
    verifier: { verify: (by, bytes, signature) => by === issuer && verify(null, bytes, publicKey, Buffer.from(signature, 'base64url')) },
  };
}

/** What must stay at a site has the canary in its name: its hosts, its storage, its subnets, the site itself. */
function siteText(name: SiteName, { vms, extra }: Required<WorldOptions>): string {
  const isPrimary = name === 'reading';
  const cloud = isPrimary ? 'Gold' : 'Silver';
  const generated = `
  - generate: { count: ${vms}, namePattern: 'vm-{0}', cloud: ${cloud}, cores: 1, memory: 1 GB, changeRate: 1 MB/s, disks: [{ size: 1 GB, storage: ${CANARY}-disk }], adapters: [{ network: LAN, address: pool }] }`;
  return `
name: ${CANARY}-${name}
clouds: [{ name: ${cloud} }]
hosts:
  - { name: ${CANARY}-${name}-1, cores: 64, memory: 4 TB }
  - { name: ${CANARY}-${name}-2, cores: 64, memory: 4 TB }
storage: [{ name: ${CANARY}-disk, capacity: 200 TB }]
networks:
  - name: LAN
    subnets: [{ name: ${CANARY}-net, cidr: 10.0.0.0/16, pool: { from: 10.0.0.10, to: 10.0.200.250, gateway: 10.0.0.1 } }]
${extra}
${isPrimary ? `vms:${generated}` : ''}
`;
}
