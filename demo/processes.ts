/** The demo's processes: a control plane, two agents and what their sites stand on, ended by id and never by name. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';

const built = path.resolve(import.meta.dirname, '..');
const STOP_MS = 12_000;

export const programs = {
  server: path.join(built, 'control-plane/main.js'),
  agent: path.join(built, 'provider-agent/main.js'),
  cli: path.join(built, 'control-plane/cli/main.js'),
};

export class Processes {
  readonly #running = new Map<string, ChildProcess>();

  /** Starts a program; each line it prints goes to `onLine`. An end that nobody asked for goes to `onDied`. */
  start(name: string, program: string, args: readonly string[], onLine: (line: string) => void, onDied: (why: string) => void): void {
    // Its own process group on POSIX, so that Ctrl-C reaches the demo alone and it ends them in order.
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    });
    this.#running.set(name, child);
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    child.once('exit', (code, signal) => {
      if (this.#running.get(name) === child) onDied(`${name} ended with ${signal ?? `exit code ${code}`}`);
    });
  }

  /** A line on its standard input. */
  tell(name: string, line: string): void {
    this.#running.get(name)?.stdin?.write(`${line}\n`);
  }

  /** As a power cut ends it. */
  async kill(name: string): Promise<number> {
    const child = this.#take(name);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    return child.pid ?? 0;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.#stop(name)));
  }

  async #stop(name: string): Promise<void> {
    const child = this.#take(name);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await gone;
    clearTimeout(force);
  }

  #take(name: string): ChildProcess {
    const child = this.#running.get(name);
    if (!child) throw new Error(`${name} does not run`);
    this.#running.delete(name);
    return child;
  }
}

/** A port of this machine that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
