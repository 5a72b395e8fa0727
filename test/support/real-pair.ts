/**
 * The product as it runs in the field: a control plane and two agents with simulated sites, as processes of their own over real
 * TLS on loopback, set up through registration and the API alone. They can be killed, restarted, and copied as they lie on disk.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as tick } from 'node:timers/promises';
import axios, { type AxiosInstance } from 'axios';
import { systemRandom } from '../../shared/system-ports.ts';
import { until } from './until.ts';

export type Part = 'control-plane' | 'reading' | 'slough';

interface Site {
  readonly id: string;
  readonly name: string;
  readonly isConnected: boolean;
}
interface Named {
  readonly id: string;
  readonly name: string;
  readonly siteName: string;
}
export interface JobSeen {
  readonly id: string;
  readonly state: string;
  readonly groups: readonly { members: readonly { name: string; status: string }[] }[];
}

const root = path.resolve(import.meta.dirname, '../..');
const extension = path.extname(import.meta.filename);
const serverProgram = path.join(root, `control-plane/main${extension}`);
const agentProgram = path.join(root, `provider-agent/main${extension}`);
const PASSWORD = 'correct horse battery staple';
const LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 50;

export class RealPair {
  readonly folder: string;
  readonly #ports: { api: number; agents: number };
  readonly #children = new Map<Part, ChildProcess>();
  #api: AxiosInstance | null = null;

  private constructor(folder: string, ports: { api: number; agents: number }) {
    this.folder = folder;
    this.#ports = ports;
  }

  /** Simulated sites described by the texts, registered and connected; nothing is paired yet. */
  static make(sites: { reading: string; slough: string }): Promise<RealPair> {
    return RealPair.#make(async (part, data) => {
      await writeFile(path.join(data, 'site.yaml'), sites[part]);
      return 'fabric: { kind: simulated, site: site.yaml }\n';
    });
  }

  /** Sites with any fabric: what it answers stands in their `agent.yaml`. */
  static makeWith(fabricOf: (part: 'reading' | 'slough', siteIds: ReadonlyMap<string, string>) => string): Promise<RealPair> {
    return RealPair.#make(async (part, _data, siteIds) => fabricOf(part, siteIds));
  }

  static async #make(
    fabricOf: (part: 'reading' | 'slough', data: string, siteIds: ReadonlyMap<string, string>) => Promise<string>,
  ): Promise<RealPair> {
    const folder = await mkdtemp(path.join(tmpdir(), 'farshore-pair-'));
    const pair = new RealPair(folder, { api: await freePort(), agents: await freePort() });
    try {
      await pair.#setUp();
      const parts = ['reading', 'slough'] as const;
      const siteIds = new Map<string, string>();
      for (const part of parts) siteIds.set(part, (await pair.post<{ id: string }>('/sites', { name: part })).id);
      for (const part of parts) {
        const data = path.join(folder, part);
        await mkdir(data);
        await writeFile(path.join(data, 'agent.yaml'), `${await fabricOf(part, data, siteIds)}inventoryEverySeconds: 1\n`);
        await pair.#register(part, siteIds.get(part) ?? '');
      }
      return pair;
    } catch (error) {
      await pair.close();
      throw error;
    }
  }

  /** The same installation as it lies on disk now, in a folder of its own; its processes are not started. */
  async copy(): Promise<RealPair> {
    const folder = await mkdtemp(path.join(tmpdir(), 'farshore-pair-'));
    await cp(this.folder, folder, { recursive: true });
    const copy = new RealPair(folder, this.#ports);
    copy.#api = this.#api;
    return copy;
  }

  pidOf(part: Part): number {
    return this.#child(part).pid ?? 0;
  }

  async start(part: Part): Promise<void> {
    const program = part === 'control-plane' ? serverProgram : agentProgram;
    const child = spawn(process.execPath, [program, 'run', '--data', path.join(this.folder, part)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.set(part, child);
    const errors = readAll(child.stderr);
    child.stdout.resume();
    if (part !== 'control-plane') return;
    await until(
      'the control plane answers',
      async () => {
        if (child.exitCode !== null) throw new Error(`the control plane ended: ${await errors}`);
        return this.get('/health').then(
          () => true,
          () => false,
        );
      },
      LIMIT_MS,
    );
  }

  /** kill -9; resolves when the process is gone. */
  async kill(part: Part): Promise<void> {
    const child = this.#child(part);
    this.#children.delete(part);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    const [, signal] = await gone;
    if (signal !== 'SIGKILL') throw new Error(`${part} had ended by itself before it was killed`);
  }

  async close(): Promise<void> {
    for (const [part, child] of new Map(this.#children)) {
      if (child.exitCode === null && child.signalCode === null) await this.kill(part).catch(() => {});
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  async get<T>(route: string): Promise<T> {
    return (await this.#client().get<T>(`/api/v1${route}`)).data;
  }

  async post<T>(route: string, body: unknown): Promise<T> {
    return (await this.#client().post<T>(`/api/v1${route}`, body)).data;
  }

  async put(route: string, body: unknown): Promise<void> {
    await this.#client().put(`/api/v1${route}`, body);
  }

  async untilConnected(part: 'reading' | 'slough', isConnected = true): Promise<void> {
    await until(
      `${part} is ${isConnected ? 'connected' : 'dark'}`,
      async () => {
        const { sites } = await this.get<{ sites: Site[] }>('/sites');
        return sites.some((site) => site.name === part && site.isConnected === isConnected);
      },
      LIMIT_MS,
    );
  }

  /** Pairs the sites and protects every VM of the first. */
  async protectAll(): Promise<void> {
    await this.run({ kind: 'protect', ...(await this.pairSites()) });
  }

  /** Pairs the first cloud of each site, with the network LAN of each; the VMs are those that could be protected. */
  async pairSites(): Promise<{ pairing: string; vms: string[] }> {
    await until(
      'both sites have reported',
      async () => {
        const { clouds } = await this.get<{ clouds: Named[] }>('/clouds');
        return new Set(clouds.map(({ siteName }) => siteName)).size === 2;
      },
      LIMIT_MS,
    );
    const { sites } = await this.get<{ sites: Site[] }>('/sites');
    const { clouds } = await this.get<{ clouds: Named[] }>('/clouds');
    const { networks } = await this.get<{ networks: Named[] }>('/networks');
    const first = (list: readonly Named[], siteName: string) => list.find((each) => each.siteName === siteName)?.id;
    const end = (siteName: string) => ({ siteId: sites.find(({ name }) => name === siteName)?.id, cloudId: first(clouds, siteName) });
    const lans = networks.filter(({ name }) => name === 'LAN');
    const map = [{ from: first(lans, 'reading'), to: first(lans, 'slough') }];
    const policy = { copyFrequencySeconds: 30 };
    await this.run({ kind: 'pair', name: 'pair', primary: end('reading'), recovery: end('slough'), policy, networks: map });
    const { pairings } = await this.get<{ pairings: { id: string }[] }>('/pairings');
    const primary = end('reading');
    const { vms } = await this.get<{ vms: { id: string }[] }>(`/sites/${primary.siteId}/vms`);
    return { pairing: pairings[0]?.id ?? '', vms: vms.map(({ id }) => id) };
  }

  /** Starts an operation and waits until its job has ended well. */
  async run(request: object): Promise<JobSeen> {
    return this.untilEnded(await this.begin(request));
  }

  async begin(request: object): Promise<string> {
    const id = systemRandom.uuid();
    await this.post('/operations', { id, ...request });
    return id;
  }

  async untilEnded(id: string, limitMs = LIMIT_MS): Promise<JobSeen> {
    let job: JobSeen | null = null;
    await until(
      `job ${id} ends`,
      async () => {
        job = await this.get<JobSeen>(`/jobs/${id}`);
        // The API takes only so many requests.
        if (job.state === 'inProgress') await tick(LOOK_EVERY_MS);
        return job.state !== 'inProgress';
      },
      limitMs,
    );
    if (job === null) throw new Error('no job');
    return job;
  }

  #client(): AxiosInstance {
    if (this.#api === null) throw new Error('nobody is signed in');
    return this.#api;
  }

  async #setUp(): Promise<void> {
    const data = path.join(this.folder, 'control-plane');
    await mkdir(data);
    await writeFile(path.join(data, 'server.yaml'), `apiPort: ${this.#ports.api}\nagentPort: ${this.#ports.agents}\n`);
    const child = spawn(process.execPath, [serverProgram, 'run', '--data', data], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.set('control-plane', child);
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    await until('the set-up link is printed', () => /\/setup#\S+\s/.test(printed), LIMIT_MS);
    const secret = /\/setup#(\S+)/.exec(printed)?.[1];
    const ca = await readFile(path.join(data, 'authority.pem'), 'utf8');
    const open = axios.create({ baseURL: `https://127.0.0.1:${this.#ports.api}`, httpsAgent: new Agent({ ca }) });
    await open.post('/api/v1/setup', { secret, vaultName: 'test', ownerName: 'owner', password: PASSWORD });
    const { data: session } = await open.post('/api/v1/session', { name: 'owner', password: PASSWORD, as: 'bearer' });
    this.#api = axios.create({
      baseURL: `https://127.0.0.1:${this.#ports.api}`,
      httpsAgent: new Agent({ ca }),
      headers: { Authorization: `Bearer ${session.secret}` },
      timeout: 20_000,
    });
  }

  async #register(part: 'reading' | 'slough', siteId: string): Promise<void> {
    const data = path.join(this.folder, part);
    const { key } = await this.post<{ key: string }>(`/sites/${siteId}/registration-keys`, {});
    const child = spawn(process.execPath, [agentProgram, 'register', '--key-file', 'stdin', '--data', data], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stdin.end(key);
    const [errors, [code]] = await Promise.all([readAll(child.stderr), once(child, 'exit')]);
    if (code !== 0) throw new Error(`${part} could not register: ${errors}`);
    await this.start(part);
    await this.untilConnected(part);
  }

  #child(part: Part): ChildProcess {
    const child = this.#children.get(part);
    if (!child) throw new Error(`${part} does not run`);
    return child;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
