/** The agent as a process on a host of its own: a registered data folder with a simulated site, and the test as its control plane. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { makeAgentRequest } from '../../certs/agent-request.ts';
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import { type Identity, storeIdentity } from '../../provider-agent/enroll/identity.ts';
import type { CommandId, JobId, SiteId, StepId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { sealEnvelope } from '../../shared/protocol/envelope.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { AgentServer } from './agent-server.ts';
import { agentId, vaultId } from './agent-world.ts';
import { generated, siteText } from './simulated-sites.ts';
import { until } from './until.ts';

export type AgentProcess = ChildProcessByStdio<Writable, Readable, Readable>;

const PROGRAM = join(import.meta.dirname, '../../provider-agent/main.ts');

/** A registered agent's data folder with a simulated site, and the control plane's end of its channel. */
export class Host {
  readonly folder: string;
  readonly server: AgentServer;
  readonly issuer = new IssuerKey(makeIssuerKey());
  readonly #processes: AgentProcess[] = [];
  #sequence = 0;

  static async make(t: TestContext, vmCount = 3): Promise<Host> {
    const server = await AgentServer.start();
    const folder = await mkdtemp(join(tmpdir(), 'farshore-host-'));
    const host = new Host(folder, server);
    t.after(async () => {
      for (const process of host.#processes) process.kill('SIGKILL');
      await server.close();
      await rm(folder, { recursive: true, force: true });
    });
    const { keyPem, certificatePem, authorityPem, channel } = await server.wayOut();
    const identity: Identity = {
      agentId,
      vaultId,
      siteId: systemRandom.uuid() as SiteId,
      address: `https://127.0.0.1:${server.port}`,
      channel,
      issuerKeys: [host.issuer.publicPem],
      keyPem,
      requestPem: await makeAgentRequest(keyPem),
      certificatePem,
      authorityPem,
    };
    await storeIdentity(folder, identity);
    await writeFile(join(folder, 'agent.yaml'), 'fabric: { kind: simulated, site: site.yaml }\n');
    await writeFile(join(folder, 'site.yaml'), siteText('reading', { gold: generated('gold', vmCount) }));
    return host;
  }

  constructor(folder: string, server: AgentServer) {
    this.folder = folder;
    this.server = server;
  }

  /** How the program finds its way out: HTTPS_PROXY. */
  proxy = '';

  /** A command of the program; resolves with its end. */
  async run(...args: string[]): Promise<{ code: number | null; out: string; error: string }> {
    const child = this.#spawn(args);
    child.stdin.end();
    const ended = once(child, 'exit');
    const [out, error] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
    const [code] = (await ended) as [number | null];
    return { code, out, error };
  }

  /** `run`, until it says that it is ready. */
  async start(): Promise<AgentProcess> {
    return (await this.startUntil('"agent ready"')).child;
  }

  /** ... with more arguments, until its output holds this. */
  async startUntil(sign: string, ...args: string[]): Promise<{ child: AgentProcess; output(): string }> {
    const child = this.#spawn(['run', '--data', this.folder, ...args]);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    await until('the agent is ready', () => output.includes(sign) || child.exitCode !== null, 15_000);
    assert.equal(child.exitCode, null, output);
    return { child, output: () => output };
  }

  send(command: Command, commandId: string, epoch = 2): void {
    const head = { commandId: commandId as CommandId, agentId, vaultId, jobId: systemRandom.uuid() as JobId, stepId: 'step' as StepId };
    const envelope = { ...head, epoch, sequence: ++this.#sequence, deadline: Date.now() + 60_000, command };
    this.server.say({ type: 'commands', envelopes: [sealEnvelope(envelope, this.issuer)] });
  }

  #spawn(args: string[]): AgentProcess {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { ...process.env, HTTPS_PROXY: this.proxy },
      stdio: 'pipe',
    });
    this.#processes.push(child);
    return child;
  }
}
