/**
 * The control plane as people meet it: the real API over HTTPS on port 0, with the real store and the real operations. Only
 * the agents are played: `answers` says how each command ends, and null keeps it waiting.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import axios, { type AxiosInstance } from 'axios';
import Database from 'better-sqlite3';
import { Authority, makeAuthority } from '../../certs/authority.ts';
import type { KeyPair } from '../../certs/validity.ts';
import { createApi } from '../../control-plane/api/app.ts';
import { makeCredential } from '../../control-plane/api/credentials.ts';
import { hashPassword } from '../../control-plane/api/passwords.ts';
import type { SiteLooks } from '../../control-plane/operations/operations.ts';
import { OperationRunner } from '../../control-plane/operations/runner.ts';
import type { Role, User } from '../../control-plane/store/account-store.ts';
import { Bell } from '../../control-plane/store/bell.ts';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { Store } from '../../control-plane/store/store.ts';
import { type ErrorCode, FarshoreError } from '../../shared/errors.ts';
import { CloudId, JobId, NetworkId, SiteId, UserId, VaultId, VmId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Outcome, RecoveryPointReport, VmReport } from '../../shared/protocol/egress.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { type Listener, startListener } from './enrolment-world.ts';
import { until } from './until.ts';

export const PASSWORD = 'correct horse battery';
const uuid = () => systemRandom.uuid();

export interface SiteInWorld {
  readonly id: SiteId;
  readonly cloudId: CloudId;
  readonly networkId: NetworkId;
  readonly isolatedId: NetworkId;
}

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class ApiWorld {
  readonly folder: string;
  readonly store: Store;
  readonly bell = new Bell();
  readonly runner: OperationRunner;
  readonly logged: { readonly fields: object; readonly text: string }[] = [];
  readonly connected = new Set<SiteId>();
  readonly heardAt = new Map<SiteId, number>();
  readonly scripts = new Map<SiteId, { name: string; sha256: string }[]>();
  readonly points = new Map<SiteId, readonly RecoveryPointReport[]>();
  readonly revoked: string[] = [];
  /** How each command ends; null: not yet. */
  answers: (command: CommandToSend) => Outcome | null = succeed;
  readonly sent: CommandToSend[] = [];
  readonly #pair: KeyPair;
  #listener!: Listener;
  #api!: ReturnType<typeof createApi>;

  private constructor(folder: string, store: Store, authority: Authority, pair: KeyPair) {
    this.folder = folder;
    this.store = store;
    this.#pair = pair;
    this.authority = authority;
    this.runner = new OperationRunner({
      store,
      looks: this.#looks,
      bell: this.bell,
      clock: systemClock,
      random: systemRandom,
      log: this.log,
      replication: { rootPem: '-----BEGIN CERTIFICATE-----', signSite: async () => '-----BEGIN CERTIFICATE-----' },
      presence: this.presence,
      dispatcher: { send: (siteId, commands) => this.#take(siteId, commands) },
    });
  }

  readonly authority: Authority;

  static async open(
    t: TestContext | null,
    options: { perMinute?: { strict: number; generous: number }; clock?: Clock } = {},
  ): Promise<ApiWorld> {
    const folder = await mkdtemp(path.join(tmpdir(), 'farshore-api-'));
    const store = await openStore({ file: path.join(folder, 'control-plane.db'), defer: setImmediate });
    const authority = await Authority.open(await makeAuthority(Date.now(), systemRandom), systemRandom);
    const pair = await authority.issueServer({ dnsNames: ['localhost'], addresses: ['127.0.0.1'] }, Date.now());
    await writeFile(path.join(folder, 'ca.pem'), authority.certificate);
    const world = new ApiWorld(folder, store, authority, pair);
    world.#perMinute = options.perMinute ?? { strict: 1000, generous: 100_000 };
    world.#clock = options.clock ?? systemClock;
    await world.listen();
    t?.after(() => world.close());
    return world;
  }

  /** For those that were opened for no single test. */
  async close(): Promise<void> {
    this.runner.stop();
    await this.hangUp();
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  #perMinute = { strict: 0, generous: 0 };
  /** Of the API; the jobs run on the system's. */
  #clock: Clock = systemClock;

  /** Also on the port of an earlier life. */
  async listen(port = 0): Promise<void> {
    this.#api = createApi({
      store: this.store,
      operations: this.runner,
      presence: this.presence,
      looks: this.#looks,
      bell: this.bell,
      clock: this.#clock,
      random: systemRandom,
      registration: { address: 'https://127.0.0.1:1', authorityDigest: this.authority.digest },
      log: this.log,
      revokeAgent: async (_vaultId, id) => {
        this.revoked.push(id);
        return false;
      },
      perMinute: this.#perMinute,
    });
    this.#listener = await startListener(this.#pair, this.#api.app, port);
  }

  async hangUp(): Promise<void> {
    this.#api.close();
    await this.#listener.close();
  }

  get port(): number {
    return this.#listener.port;
  }

  get address(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get caFile(): string {
    return path.join(this.folder, 'ca.pem');
  }

  readonly #looks: SiteLooks = { recoveryPoints: async (site) => this.#pointsAt(site), lookAt: async () => null };

  get presence() {
    return {
      isConnected: (id: SiteId) => this.connected.has(id),
      lastHeardAt: (id: SiteId) => this.heardAt.get(id) ?? null,
      scriptsOf: (id: SiteId) => (this.connected.has(id) ? (this.scripts.get(id) ?? []) : null),
    };
  }

  #pointsAt(id: SiteId): readonly RecoveryPointReport[] {
    if (!this.connected.has(id)) throw new FarshoreError('ERR_AGENT_OFFLINE', 'the agent of the site is not connected');
    return this.points.get(id) ?? [];
  }

  get log(): Log {
    const note = (fields: object, text: string) => void this.logged.push({ fields, text });
    return { info: note, warn: note, error: note };
  }

  /** Requests as a client makes them; any status is an answer. */
  client(secret?: string, headers: Record<string, string> = {}): AxiosInstance {
    return axios.create({
      baseURL: this.address,
      proxy: false,
      validateStatus: null,
      maxRedirects: 0,
      httpsAgent: new Agent({ ca: this.authority.certificate, keepAlive: false }),
      headers: { ...headers, ...(secret === undefined ? {} : { Authorization: `Bearer ${secret}` }) },
    });
  }

  /** A vault with a user in it. The store makes the first one only, as a set-up does; others come from outside. */
  async addVault(name: string, ownerName: string): Promise<User> {
    const vault = { id: VaultId.parse(uuid()), name, createdAt: Date.now() };
    const passwordHash = await hashPassword(PASSWORD, systemRandom);
    const owner: User = {
      id: UserId.parse(uuid()),
      vaultId: vault.id,
      name: ownerName,
      role: 'owner',
      passwordHash,
      createdAt: Date.now(),
    };
    if (await this.store.accounts.createFirst(vault, owner)) return owner;
    const database = new Database(path.join(this.folder, 'control-plane.db'));
    database.prepare('insert into vaults (id, name, created_at) values (?, ?, ?)').run(vault.id, vault.name, vault.createdAt);
    database.close();
    await this.store.accounts.addUser(owner);
    return owner;
  }

  async addUser({ vaultId }: User, name: string, role: Role): Promise<User> {
    const user: User = { id: UserId.parse(uuid()), vaultId, name, role, passwordHash: 'none', createdAt: Date.now() };
    await this.store.accounts.addUser(user);
    return user;
  }

  /** The secret of a credential, straight from the store. */
  async credential(user: User, kind: 'session' | 'token' = 'session', role: Role = user.role, lifetimeMs = 3_600_000): Promise<string> {
    const { secret, row } = makeCredential({ user, kind, name: 'test', role, now: Date.now(), lifetimeMs }, systemRandom);
    await this.store.accounts.addCredential(row);
    return secret;
  }

  /** A site that has reported a cloud, a network and VMs, and is connected. */
  async addSite({ vaultId }: User, name: string, cloud: string, vms: readonly string[] = []): Promise<SiteInWorld> {
    const site = {
      id: SiteId.parse(uuid()),
      cloudId: CloudId.parse(uuid()),
      networkId: NetworkId.parse(uuid()),
      isolatedId: NetworkId.parse(uuid()),
    };
    await this.store.sites.create({ id: site.id, vaultId, name, createdAt: Date.now() });
    const message = {
      type: 'inventory.changed' as const,
      full: true,
      clouds: [{ id: site.cloudId, name: cloud }],
      networks: [
        { id: site.networkId, name: `${name} front` },
        { id: site.isolatedId, name: 'Bubble' },
      ],
      vms: vms.map((vm) => report(vm, site)),
      removedVms: [],
      digest: null,
    };
    await this.store.observations.take(vaultId, site.id, message, Date.now());
    this.connected.add(site.id);
    this.heardAt.set(site.id, Date.now());
    return site;
  }

  /** Its agent is gone, and for long enough that the site is judged dead. */
  goDark({ id }: SiteInWorld): void {
    this.connected.delete(id);
    this.heardAt.set(id, Date.now() - 60_000);
  }

  /** Runs `farshore` as a process of its own, with what is typed or piped in as `input`. */
  cli(
    args: readonly string[],
    options: { input?: string; environment?: Record<string, string>; onOutput?: (text: string) => void } = {},
  ): Promise<CliRun> {
    const main = path.resolve(import.meta.dirname, '../../control-plane/cli/main.ts');
    const environment = { ...process.env, FARSHORE_CONFIG: path.join(this.folder, 'cli.json'), ...options.environment };
    const child = spawn(process.execPath, [main, ...args], { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(options.input ?? '');
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onOutput?.(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  }

  async jobEnded({ vaultId }: User, id: string): Promise<void> {
    await until(
      `job ${id} is at rest`,
      async () => ((await this.store.jobs.find(vaultId, JobId.parse(id)))?.state ?? 'inProgress') !== 'inProgress',
    );
  }

  #take(siteId: SiteId, commands: readonly CommandToSend[]): void {
    for (const command of commands) {
      this.sent.push(command);
      setImmediate(() => this.finish(siteId, command));
    }
  }

  /** Ends a command as `answers` says now. */
  finish(siteId: SiteId, command: CommandToSend): void {
    const outcome = this.answers(command);
    if (outcome !== null) void this.runner.onFinished(siteId, uuid() as never, command.commandId, outcome);
  }
}

export function report(name: string, { cloudId, networkId }: SiteInWorld): VmReport {
  return {
    ref: { cloudId, vmId: VmId.parse(uuid()) },
    name,
    power: 'running',
    networkIds: [networkId],
    replication: { mode: 'none', state: 'disabled', health: 'notApplicable', lastPointAt: null, settings: null },
    epoch: 0,
  };
}

/** What an agent answers that does everything at once. */
export function succeed({ command: { kind } }: CommandToSend): Outcome {
  const at = new Date().toISOString();
  const pem = '-----BEGIN CERTIFICATE REQUEST-----';
  switch (kind) {
    case 'hosts.requestAuthority':
      return { status: 'done', kind, result: { csr: pem } };
    case 'hosts.prepare':
      return { status: 'done', kind, result: { address: '127.0.0.1:443' } };
    case 'wait.copied':
      return { status: 'done', kind, result: { recoveryPointAt: at } };
    case 'failover.execute':
    case 'drill.copy':
      return { status: 'done', kind, result: { recoveryPointId: 'point-1', recoveryPointAt: new Date(Date.now() - 60_000).toISOString() } };
    case 'vm.start':
    case 'drill.start':
      return { status: 'done', kind, result: { runningAt: at, answeredAt: at } };
    default:
      return { status: 'done', kind, result: {} } as Outcome;
  }
}

export function fail(code: ErrorCode): Outcome {
  return { status: 'failed', code, logRef: 'abc-1' };
}
