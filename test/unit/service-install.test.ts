/** Installing, upgrading and removing the service of an agent, over programs of Windows that are played, and real files. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readStatus } from '../../provider-agent/local/status-file.ts';
import { readAccount } from '../../provider-agent/service/account.ts';
import { serviceCommands } from '../../provider-agent/service/commands.ts';
import { describeDeed, perform } from '../../provider-agent/service/deeds.ts';
import { launchText, serviceFiles } from '../../provider-agent/service/definition.ts';
import { describeService, installDeeds, type ServicePorts, uninstallDeeds, upgrade } from '../../provider-agent/service/service.ts';
import { systemPrograms, type WindowsCommand } from '../../provider-agent/service/windows.ts';
import type { Clock } from '../../shared/ports.ts';
import { FakeWindows } from '../support/fake-windows.ts';

const NAME = 'FarshoreAgent';
const account = readAccount('CORP\\farshore$', NAME);

class Killed extends Error {}

/** Whatever waits is called soon, and then that much time has gone by: files are really written, so no clock may run away. */
class SoonClock implements Clock {
  #now = 1_000_000;

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = setImmediate(() => {
      this.#now += ms;
      callback();
    });
    return () => clearImmediate(timer);
  }
}

/** A server with two releases of the agent on it. */
class Server {
  readonly folder: string;
  readonly data: string;
  readonly windows: FakeWindows;
  readonly clock: Clock;
  readonly ports: ServicePorts;
  /** Dies when this many calls and deeds have gone by; before the call, or right after it. */
  killAt: { readonly count: number; readonly isAfter: boolean } | null = null;
  #count = 0;
  #die = () => {};

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'farshore service '));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    this.data = join(this.folder, 'Größe data');
    mkdirSync(this.data);
    this.clock = new SoonClock();
    this.windows = new FakeWindows(this.clock, this.data);
    const files = serviceFiles(NAME, this.data);
    const hurt = { run: (command: WindowsCommand) => this.#hurt(() => this.windows.run(command)) };
    this.ports = {
      windows: hurt,
      files,
      clock: this.clock,
      commands: serviceCommands(systemPrograms('C:\\Windows'), files),
      onDeed: () => {
        if (this.#isLast(false)) throw new Killed();
      },
      readyAt: () => {
        const status = readStatus(join(this.data, 'status.json'));
        return status === null ? null : { version: status.version, startedAt: Date.parse(status.startedAt) };
      },
    };
  }

  get kills(): number {
    return this.#count;
  }

  /** Puts a release there and answers what starts it. */
  release(version: string): string {
    const folder = join(this.folder, 'releases', version);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'node.exe'), '');
    writeFileSync(join(folder, 'main.js'), '');
    return launchText(join(folder, 'node.exe'), join(folder, 'main.js'), this.data);
  }

  async install(launch: string): Promise<void> {
    const isThere = (await describeService(this.ports)).state !== null;
    await perform(installDeeds(this.ports, account, launch, isThere), this.ports);
  }

  /** As Windows would after a restart of the server, or a person by services.msc. */
  async startsNow(): Promise<string> {
    if (this.windows.services.get(NAME)?.state === 'RUNNING') await this.windows.run(this.ports.commands.stop);
    const { code } = await this.windows.run(this.ports.commands.start);
    assert.equal(code, 0, 'the service starts');
    return readStatus(join(this.data, 'status.json'))?.version ?? '';
  }

  /** Does the work; resolves with whether it was killed before its end. */
  async attempt(work: () => Promise<void>): Promise<boolean> {
    const died = new Promise<boolean>((resolve) => {
      this.#die = () => resolve(true);
    });
    const done = work().then(
      () => false,
      (error: unknown) => {
        if (error instanceof Killed) return true;
        throw error;
      },
    );
    return Promise.race([died, done]).finally(() => {
      this.killAt = null;
    });
  }

  /** Whoever is dead goes no further. */
  async #hurt<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#isLast(false)) return new Promise(() => {});
    const result = await call();
    return this.#isLast(true) ? new Promise(() => {}) : result;
  }

  #isLast(isAfter: boolean): boolean {
    if (!isAfter) this.#count++;
    const isKilled = this.killAt !== null && this.#count >= this.killAt.count && this.killAt.isAfter === isAfter;
    if (isKilled) this.#die();
    return isKilled;
  }

  counted(): void {
    this.#count = 0;
  }
}

test('the service is made with its account, starts delayed and again after failures, and runs', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  const description = await describeService(server.ports);
  assert.deepEqual(
    [description.state, description.account, description.start, description.host],
    ['running', 'CORP\\farshore$', 'delayed', server.ports.files.host],
  );
  assert.equal(server.windows.services.get(NAME)?.isManaged, true);
  assert.equal(server.windows.holders, '*S-1-5-80-0,CORP\\farshore$');
  assert.deepEqual([...server.windows.registry.keys()], [`HKLM\\SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\${NAME}`]);
  assert.equal(readStatus(join(server.data, 'status.json'))?.version, '1.0');
});

test('no call that is made holds a password or asks for one', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  const words = server.windows.calls.flatMap(({ args }) => args).join(' ');
  assert.doesNotMatch(words, /password/i);
});

test('an installation that was killed anywhere is finished by the same command', async (t) => {
  const calm = new Server(t);
  await calm.install(calm.release('1.0'));
  const wanted = await describeService(calm.ports);
  let killed = 0;
  for (let count = 1; count <= calm.kills; count++)
    for (const isAfter of [false, true]) {
      const server = new Server(t);
      const launch = server.release('1.0');
      server.killAt = { count, isAfter };
      killed += (await server.attempt(() => server.install(launch))) ? 1 : 0;
      await server.install(launch);
      const { host, launch: starts, ...rest } = await describeService(server.ports);
      assert.deepEqual(rest, { name: wanted.name, state: 'running', account: wanted.account, start: wanted.start, previous: null });
      assert.deepEqual([host, starts?.[1]], [server.ports.files.host, join(server.folder, 'releases', '1.0', 'main.js')]);
      assert.equal(server.windows.holders, '*S-1-5-80-0,CORP\\farshore$');
    }
  assert.ok(killed > 20, `${killed} kills`);
});

test('an upgrade starts the new release and keeps what was started before', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  await upgrade(server.ports, server.release('2.0'), '2.0');
  const { launch, previous, state } = await describeService(server.ports);
  assert.deepEqual(
    [launch?.[1], previous?.[1]].map((file) => dirname(file ?? '')),
    ['2.0', '1.0'].map((version) => join(server.folder, 'releases', version)),
  );
  assert.equal(state, 'running');
  assert.equal(await server.startsNow(), '2.0');
});

test('an upgrade that was killed anywhere leaves a release that starts, the old one or the new one, and is finished by the same command', async (t) => {
  const calm = new Server(t);
  await calm.install(calm.release('1.0'));
  calm.counted();
  await upgrade(calm.ports, calm.release('2.0'), '2.0');
  const started = new Set<string>();
  let killed = 0;
  for (let count = 1; count <= calm.kills; count++)
    for (const isAfter of [false, true]) {
      const server = new Server(t);
      await server.install(server.release('1.0'));
      const launch = server.release('2.0');
      server.counted();
      server.killAt = { count, isAfter };
      killed += (await server.attempt(() => upgrade(server.ports, launch, '2.0'))) ? 1 : 0;
      started.add(await server.startsNow());
      await upgrade(server.ports, launch, '2.0');
      assert.equal(readStatus(join(server.data, 'status.json'))?.version, '2.0');
    }
  assert.deepEqual([...started].sort(), ['1.0', '2.0']);
  assert.ok(killed > 15, `${killed} kills`);
});

test('a new release that does not get ready is told, and the old one runs again', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  const launch = server.release('2.0');
  server.windows.badReleases.add(join(server.folder, 'releases', '2.0'));
  await assert.rejects(upgrade(server.ports, launch, '2.0'), {
    code: 'ERR_SERVICE_FAILED',
    message: /the old one runs again: release 2\.0 did not get ready within 120 s/,
  });
  assert.equal((await describeService(server.ports)).state, 'running');
  assert.equal(readStatus(join(server.data, 'status.json'))?.version, '1.0');
});

test('a new release whose service does not even start is told, and the old one runs again', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  const launch = server.release('2.0');
  server.windows.refusals.set('sc.exe start', { code: 1053, output: 'no answer in time' });
  await assert.rejects(upgrade(server.ports, launch, '2.0'), {
    message: /old one runs again: .*sc\.exe start FarshoreAgent ended with 1053/,
  });
  assert.equal(readStatus(join(server.data, 'status.json'))?.version, '1.0');
});

test('an upgrade that was killed goes back to what was seen to run, when it is repeated and the new release is a bad one', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  const launch = server.release('2.0');
  server.windows.badReleases.add(join(server.folder, 'releases', '2.0'));
  server.counted();
  // Before the service is stopped: what starts is the new release already.
  server.killAt = { count: 7, isAfter: false };
  assert.equal(await server.attempt(() => upgrade(server.ports, launch, '2.0')), true);
  assert.equal(readFileSync(server.ports.files.launch, 'utf8'), launch);
  await assert.rejects(upgrade(server.ports, launch, '2.0'), { message: /the old one runs again/ });
  assert.equal(await server.startsNow(), '1.0');
  assert.equal(existsSync(server.ports.files.proven), false);
});

test('the way back is an upgrade from the folder of the old release', async (t) => {
  const server = new Server(t);
  const old = server.release('1.0');
  await server.install(old);
  await upgrade(server.ports, server.release('2.0'), '2.0');
  await upgrade(server.ports, old, '1.0');
  assert.equal(await server.startsNow(), '1.0');
});

test('an upgrade without a service says how to make one', async (t) => {
  const server = new Server(t);
  await assert.rejects(upgrade(server.ports, server.release('2.0'), '2.0'), { code: 'ERR_NOT_FOUND', message: /service install/ });
});

test('removing the service leaves the data of the agent, and may be repeated', async (t) => {
  const server = new Server(t);
  await server.install(server.release('1.0'));
  writeFileSync(join(server.data, 'agent.yaml'), 'kept');
  for (let i = 0; i < 2; i++) await perform(uninstallDeeds(server.ports), server.ports);
  assert.deepEqual([server.windows.services.size, server.windows.registry.size], [0, 0]);
  assert.equal(existsSync(server.ports.files.folder), false);
  assert.equal(readFileSync(join(server.data, 'agent.yaml'), 'utf8'), 'kept');
});

test('what Windows refuses is told with the call, its code, what that means and what was said', async (t) => {
  const server = new Server(t);
  server.windows.refusals.set('sc.exe create', { code: 5, output: 'Zugriff verweigert' });
  await assert.rejects(server.install(server.release('1.0')), {
    code: 'ERR_SERVICE_FAILED',
    message: /sc\.exe create FarshoreAgent .* ended with 5 \(access denied: .*administrator\): Zugriff verweigert/,
  });
});

test('what would be done is shown call by call, as a person would type it, and nothing is run', (t) => {
  const server = new Server(t);
  const deeds = installDeeds(server.ports, account, server.release('1.0'), false);
  const shown = deeds.map((deed) => describeDeed(deed, server.ports.commands)).join('\n');
  const { host } = server.ports.files;
  for (const part of [
    `sc.exe create FarshoreAgent type= own start= delayed-auto error= normal binPath= "\\"${host}\\" FarshoreAgent" obj= CORP\\farshore$`,
    'sc.exe failure FarshoreAgent reset= 86400 actions= restart/5000/restart/30000/restart/60000',
    'sc.exe managedaccount FarshoreAgent true',
    `icacls.exe "${server.data}" /inheritance:r /grant:r "*S-1-5-18:(OI)(CI)F" "*S-1-5-32-544:(OI)(CI)F" "CORP\\farshore$:(OI)(CI)M"`,
    `"/out:${host}"`,
    'secedit.exe /export /areas USER_RIGHTS',
  ])
    assert.ok(shown.includes(part), `${part}\nis not in\n${shown}`);
  assert.deepEqual(server.windows.calls, []);
});
