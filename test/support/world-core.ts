/**
 * What a world is made of: the programs, the sites, the wires between them, and how each of them dies and comes back. What can
 * be asked of it stands in `world.ts`.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../control-plane/store/sqlite.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { readSiteFile, type SiteDefinition } from '../../provider-agent/fabric/simulated/site-definition.ts';
import { AgentId, SiteId, UserId, VaultId } from '../../shared/ids.ts';
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
import { plannedSites, type SiteName, siteText, type WorldOptions } from './world-sites.ts';
import { type Direction, Wire } from './world-wire.ts';

/** What a template keeps of a world that was put away, so that many can begin where it ended. */
export interface Template {
  readonly folder: string;
  readonly options: Required<WorldOptions>;
  readonly now: number;
  readonly events: readonly TraceEvent[];
  readonly keys: Keys;
}

export interface Keys {
  readonly signer: Signer;
  readonly verifier: Verifier;
}

/** The shared memory beside them is made anew. */
const DATABASE_FILES = ['', '-wal'] as const;

/** How long a job may take to its end, once nothing hurts it any more: every-job-ends. */
export const ENDS_WITHIN_MS = 600_000;

export const vaultId = VaultId.parse(uuidOf('vault'));
const idOf = (what: string, name: SiteName) => uuidOf(`${what} ${name}`);
export const siteIdOf = (name: SiteName): SiteId => SiteId.parse(idOf('site', name));

export abstract class WorldCore {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly places = new Places();
  readonly random: SeededRandom;
  readonly options: Required<WorldOptions>;
  readonly folder: string;
  /** Errors and warnings of both programs, for a test that looks for the reason of something. */
  readonly logged: { readonly level: string; readonly fields: object; readonly text: string }[] = [];
  readonly siteNames: readonly SiteName[];
  readonly wires = new Map<SiteName, Wire>();
  /** How often texts of one direction are delivered; one that is lost ends the wire, as TCP would. */
  deliver: { toAgent: number; toCloud: number; commands: number } = { toAgent: 1, toCloud: 1, commands: 1 };
  /** Who learns at once that a line was cut at a text. */
  cutsAreToldTo: 'both' | 'agent' | 'cloud' = 'both';
  protected readonly keys: Keys;
  readonly #sites = new Map<SiteName, WorldSite>();
  protected readonly dark = new Set<SiteName>();
  readonly #siteFaults = new Map<string, number>();
  #controlPlane: ControlPlaneLife | null = null;
  #hasBackup = false;
  /** What a crash left to be done before anything else. */
  #burials: Promise<void>[] = [];

  protected constructor(template: Template | null, options: Required<WorldOptions>) {
    this.options = options;
    this.siteNames = Object.keys(plannedSites(options)) as SiteName[];
    this.clock = template === null ? new VirtualClock() : new VirtualClock(template.now);
    this.trace = new Trace(() => this.clock.now(), template?.events ?? []);
    this.random = new SeededRandom(options.seed * 7919 + (template === null ? 1 : 2));
    this.keys = template?.keys ?? makeKeys();
    this.folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'farshore-world-'));
    if (template !== null) cpSync(template.folder, this.folder, { recursive: true });
  }

  /** The folder that people carry from site to site. */
  get carried(): string {
    const folder = join(this.folder, 'carried');
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  // The sites

  site(name: SiteName): WorldSite {
    const site = this.#sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** Nothing comes in or goes out of it any more: no agent, no replicas. Its VMs go on. */
  goesDark(name: SiteName): void {
    this.dark.add(name);
    this.#siteFaults.set(`dark ${name}`, this.site(name).fabric.faults.order({ kind: 'siteDark' }));
    this.wires.get(name)?.cut('the site is dark');
  }

  returns(name: SiteName): void {
    if (!this.dark.delete(name)) return;
    this.site(name).fabric.faults.lift(this.#siteFaults.get(`dark ${name}`) ?? 0);
  }

  isDark(name: SiteName): boolean {
    return this.dark.has(name);
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
      signer: this.keys.signer,
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
    for (const name of this.siteNames) await this.agentRestarts(name);
  }

  /** ... and the agents that are not cut off are connected. */
  async everythingIsBack(): Promise<void> {
    for (let lives = 0; lives < 8; lives++) {
      await this.everythingRestarts();
      if (await this.connected()) return;
    }
    throw new Error('something died again and again while it came back');
  }

  get hasDied(): boolean {
    return this.#controlPlane === null || this.siteNames.some((name) => !this.site(name).isAgentUp);
  }

  /** Keeps a copy of the control plane's database as its last commit left it, as a backup that is made while it runs. */
  backUp(): void {
    const folder = `${this.folder}-backup`;
    rmSync(folder, { recursive: true, force: true });
    // One turn of the event loop: nothing is written meanwhile.
    for (const end of DATABASE_FILES) {
      const file = join(this.folder, `control-plane.db${end}`);
      if (existsSync(file)) cpSync(file, join(folder, `control-plane.db${end}`));
    }
    this.#hasBackup = true;
  }

  async controlPlaneIsRestoredFromBackup(): Promise<void> {
    if (!this.#hasBackup) throw new Error('there is no backup');
    this.controlPlaneCrashes();
    await Promise.all(this.#burials);
    for (const end of ['', '-wal', '-shm']) rmSync(join(this.folder, `control-plane.db${end}`), { force: true });
    cpSync(`${this.folder}-backup`, this.folder, { recursive: true });
    const store = await openStore({ file: join(this.folder, 'control-plane.db') });
    this.trace.note({ type: 'restored', jobs: await allJobs(store, vaultId) });
    await store.close();
    await this.controlPlaneRestarts();
    await this.connected();
  }

  get controlPlane(): ControlPlaneLife {
    if (this.#controlPlane === null) throw new Error('no control plane runs');
    return this.#controlPlane;
  }

  definition(name: SiteName): SiteDefinition {
    return this.site(name).ports.definition;
  }

  /** Moves time on until it holds; fails past the limit in virtual time. */
  async until(what: string, condition: () => boolean | Promise<boolean>, limitMs = ENDS_WITHIN_MS): Promise<void> {
    await this.clock.advanceUntil(condition, limitMs).catch(() => {
      throw new Error(
        `not within ${limitMs / 1000} s of virtual time: ${what}\n${tellViolations(violationsOf(this.trace.events))}\n${this.lastWords()}`,
      );
    });
  }

  async isOver(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(`${this.folder}-backup`, { recursive: true, force: true });
  }

  protected async close(): Promise<void> {
    for (const wire of this.wires.values()) wire.cut('the world is over');
    for (const site of this.#sites.values()) await site.close();
    this.controlPlaneCrashes();
    await Promise.all(this.#burials);
  }

  protected async open(): Promise<void> {
    const network = new InMemoryReplicationNetwork();
    for (const name of this.siteNames) {
      const id = siteIdOf(name);
      const site = await WorldSite.open({
        name,
        id,
        agentId: AgentId.parse(idOf('agent', name)),
        vaultId,
        definition: readSiteFile(siteText(name, this.options), `${name}.yaml`),
        siteFile: this.options.sitesInMemory ? ':memory:' : join(this.folder, `${name}-site.db`),
        journalFile: join(this.folder, `${name}-journal.db`),
        clock: this.clock,
        random: this.random,
        transport: network.join(id),
        verifier: this.keys.verifier,
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
    if (life === null || this.dark.has(name)) return null;
    await life.hasResumed;
    const agent = await life.hub.admit({ agentId: AgentId.parse(idOf('agent', name)), spki: name });
    if (this.#controlPlane !== life) return null;
    const site = siteIdOf(name);
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
    this.trace.note({ type: direction, site: siteIdOf(name), text });
    const what = `${direction} ${String((JSON.parse(text) as { type: string }).type)}`;
    if (this.places.reach({ kind: 'message', site: name, what }) === 'dies') {
      wire.cut('the line was cut', this.cutsAreToldTo);
      return 0;
    }
    return this.deliver[direction];
  }

  protected async firstStart(): Promise<void> {
    await this.controlPlaneRestarts();
    const { store } = this.controlPlane;
    const now = this.clock.now();
    const owner = { id: UserId.parse(uuidOf('owner')), vaultId, name: 'owner', role: 'owner' as const, passwordHash: '', createdAt: now };
    await store.accounts.createFirst({ id: vaultId, name: 'vault', createdAt: now }, owner);
    for (const name of this.siteNames) {
      const siteId = siteIdOf(name);
      await store.sites.create({ id: siteId, vaultId, name, createdAt: now });
      const key = { hash: name, vaultId, siteId, createdAt: now, createdBy: owner.id, expiresAt: now + 86_400_000, usedAt: null };
      await store.sites.addRegistrationKey(key);
      const agent = { agentId: AgentId.parse(idOf('agent', name)), vaultId, siteId, spki: name };
      await store.enrolment.register(name, { ...agent, certificateSerial: name, certificateNotAfter: now + 86_400_000 }, now);
      await this.agentRestarts(name);
    }
  }

  /** Both agents are here and have told what there is; false when something died on the way. */
  protected async connected(): Promise<boolean> {
    const isHere = (name: SiteName) => this.dark.has(name) || this.#controlPlane?.hub.isConnected(siteIdOf(name)) === true;
    await this.until('the agents connect', () => this.hasDied || this.siteNames.every(isHere));
    await this.until('the inventory is there', async () => {
      if (this.#controlPlane === null) return true;
      const clouds = await this.#controlPlane.store.observations.clouds(vaultId);
      return new Set(clouds.map(({ siteId }) => siteId)).size === this.siteNames.length;
    });
    await this.clock.advance(50);
    return !this.hasDied;
  }

  #log(who: string): Log {
    const note = (level: string) => (fields: object, text: string) => void this.logged.push({ level, fields, text: `${who}: ${text}` });
    return { info: () => {}, warn: note('warn'), error: note('error') };
  }

  protected lastWords(): string {
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
