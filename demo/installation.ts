/** One control plane and the agents of two sites, each in a folder of its own, set up as an administrator would. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import colors from 'picocolors';
import type { SiteAnswer } from '../shared/api/sites.ts';
import type { CommandLine } from './farshore.ts';
import { freePort, type Processes, programs } from './processes.ts';

const CLI_CONFIG = 'farshore-cli.json';
const OWNER = 'owner';
const PASSWORD_BYTES = 15;
const LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 300;
/** As long as the control plane waits before it calls a site unreachable. */
const DARK_AFTER_MS = 10_000;

export class Installation {
  readonly address: string;
  readonly cliConfig: string;
  readonly folder: string;
  readonly #ports: { api: number; agents: number };
  readonly #processes: Processes;
  readonly #onDied: (why: string) => void;
  readonly #password = randomBytes(PASSWORD_BYTES).toString('base64url');

  private constructor(folder: string, ports: { api: number; agents: number }, processes: Processes, onDied: (why: string) => void) {
    this.folder = folder;
    this.#ports = ports;
    this.#processes = processes;
    this.#onDied = onDied;
    this.address = `https://127.0.0.1:${ports.api}`;
    this.cliConfig = path.join(folder, CLI_CONFIG);
  }

  /** An empty folder; what an earlier demo left there is removed. Throws while one still runs there. */
  static async make(folder: string, processes: Processes, onDied: (why: string) => void): Promise<Installation> {
    const running = await runningAt(path.join(folder, CLI_CONFIG));
    if (running !== null) {
      throw new Error(`another demo runs on ${folder}: ${running} answers; end it with Ctrl-C in its terminal, or use that one`);
    }
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return new Installation(folder, { api: await freePort(), agents: await freePort() }, processes, onDied);
  }

  /** Starts the control plane, takes the link that it prints, and makes the owner with it. */
  async start(farshore: CommandLine): Promise<void> {
    const data = await this.#dataFolder('control-plane');
    const config = `apiPort: ${this.#ports.api}\nagentPort: ${this.#ports.agents}\nlog: { level: info, file: control-plane.log }\n`;
    await writeFile(path.join(data, 'server.yaml'), config);
    const link = await new Promise<string>((resolve, reject) => {
      const onLine = (line: string) => {
        const found = /https:\S+\/setup#\S+/.exec(line);
        if (found) resolve(found[0]);
      };
      this.#processes.start('control plane', programs.server, ['run', '--data', data], onLine, (why) => {
        reject(new Error(why));
        this.#onDied(why);
      });
    });
    const authority = path.join(data, 'authority.pem');
    const words = ['set-up', '--address', this.address, '--ca', authority, '--vault', 'Demo', '--owner', OWNER];
    await farshore.json(words, `${link}\n${this.#password}\n`);
  }

  /** Registers a site's agent with a key made for it, and runs it with this as the `fabric` of its configuration. */
  async startAgent(site: string, fabric: object, farshore: CommandLine): Promise<void> {
    const data = await this.#dataFolder(site.toLowerCase());
    await writeFile(
      path.join(data, 'agent.yaml'),
      `fabric: ${JSON.stringify(fabric)}\ninventoryEverySeconds: 1\nlog: { level: info, file: agent.log }\n`,
    );
    const keyFile = path.join(data, 'registration.key');
    const { key } = await farshore.json<{ key: string }>(['registration-keys', 'create', site]);
    await writeFile(keyFile, key, { mode: 0o600 });
    await this.#runToEnd(`${site} registers`, ['register', '--key-file', keyFile, '--data', data]);
    await rm(keyFile);
    this.#processes.start(site, programs.agent, ['run', '--data', data], () => {}, this.#onDied);
    await this.#until(`${site} is connected`, async () => (await this.#site(site, farshore))?.isConnected === true);
  }

  async siteIds(farshore: CommandLine): Promise<ReadonlyMap<string, string>> {
    const { sites } = await farshore.json<{ sites: SiteAnswer[] }>(['sites', 'list']);
    return new Map(sites.map(({ name, id }) => [name, id]));
  }

  async untilReported(farshore: CommandLine): Promise<void> {
    await this.#until('clouds and networks are reported', async () => {
      const { clouds } = await farshore.json<{ clouds: unknown[] }>(['clouds', 'list']);
      const { networks } = await farshore.json<{ networks: unknown[] }>(['networks', 'list']);
      return clouds.length >= 2 && networks.length >= 4;
    });
  }

  killSite(site: string): Promise<number> {
    return this.#processes.kill(site);
  }

  /** Dark: not connected, and silent for so long that the control plane may say so. */
  async untilDark(name: string, farshore: CommandLine): Promise<void> {
    await this.#until(`${name} is dark`, async () => {
      const site = await this.#site(name, farshore);
      return site?.isConnected === false && site.lastHeardAt !== null && Date.now() - Date.parse(site.lastHeardAt) > DARK_AFTER_MS;
    });
  }

  async lastFailover(farshore: CommandLine): Promise<string> {
    const { jobs } = await farshore.json<{ jobs: { id: string; kind: string }[] }>(['jobs', 'list']);
    const job = jobs.find(({ kind }) => kind === 'unplannedFailover');
    if (!job) throw new Error('no failover was run');
    return job.id;
  }

  /** As the administrator of the site would. `data`: where its faults are ordered. */
  async orderFault(data: string, fault: string): Promise<void> {
    console.log(colors.dim('$ ') + colors.cyan(`farshore-agent fault order --data ${data} '${fault}'`));
    await this.#runToEnd('the fault', ['fault', 'order', '--data', data, fault]);
  }

  /** `brokenAt`: where a fault waits to be lifted. */
  sayGoodbye(brokenAt: string | null): void {
    const farshore = `FARSHORE_CONFIG=${this.cliConfig} npm run farshore --`;
    const agent = (words: string, data: string) => `npm run farshore-agent -- ${words} --data ${data}`;
    const toTry =
      brokenAt === null
        ? [`${farshore} vms list`, `${farshore} commit --plan web-shop`, agent('egress --total', path.join(this.folder, 'slough'))]
        : [
            `${agent('fault lift', brokenAt)} 1`,
            `${farshore} jobs retry latest --all --reason "the fault is lifted"`,
            `${farshore} report latest`,
          ];
    console.log(`
${colors.bold('Everything runs on, until Ctrl-C.')}
  API          ${this.address}/api/v1/openapi.json
  sign in as   ${OWNER}   password  ${this.#password}
  authority    ${path.join(this.folder, 'control-plane', 'authority.pem')}
  try          ${toTry.join('\n               ')}`);
  }

  async #site(name: string, farshore: CommandLine): Promise<SiteAnswer | undefined> {
    const { sites } = await farshore.json<{ sites: SiteAnswer[] }>(['sites', 'list']);
    return sites.find((site) => site.name === name);
  }

  async #dataFolder(name: string): Promise<string> {
    const folder = path.join(this.folder, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  #runToEnd(what: string, args: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const said: string[] = [];
      const name = `${what} once`;
      this.#processes.start(
        name,
        programs.agent,
        args,
        (line) => said.push(line),
        (why) => {
          if (why.endsWith('exit code 0')) resolve();
          else reject(new Error(`${why}: ${said.join('\n')}`));
        },
      );
    });
  }

  async #until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + LIMIT_MS;
    while (!(await condition())) {
      if (performance.now() > until) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

/** The address that the command line of an earlier demo was set up for, if something answers there. */
async function runningAt(cliConfig: string): Promise<string | null> {
  const text = await readFile(cliConfig, 'utf8').catch(() => null);
  const found = text === null ? null : /https:\/\/127\.0\.0\.1:(\d+)/.exec(text);
  if (!found) return null;
  const socket = connect(Number(found[1]), '127.0.0.1');
  try {
    await once(socket, 'connect');
    return found[0];
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}
