/**
 * One agent core with a real journal in a temporary folder, a test fabric, a virtual clock and the control plane's end
 * of the wire in the test's hand. `crash` ends the agent as a power cut would; `start` begins its next life.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { LinkEvents } from '../../provider-agent/channel/link.ts';
import { type AgentCore, type AgentSettings, startAgentCore } from '../../provider-agent/core.ts';
import type { Fabric, VmView } from '../../provider-agent/fabric/fabric.ts';
import type { Journal } from '../../provider-agent/state/journal.ts';
import { openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import { defaultPolicy, settingsOf } from '../../shared/domain/policy.ts';
import type { AgentId, CloudId, CommandId, JobId, StepId, VaultId, VmId, VmRef } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import type { AgentMessage, Outcome } from '../../shared/protocol/egress.ts';
import { type Envelope, type SignedEnvelope, type Signer, sealEnvelope, type Verifier } from '../../shared/protocol/envelope.ts';
import { type CloudMessage, encodeCloudMessage, readAgentMessage } from '../../shared/protocol/messages.ts';
import { VirtualClock } from './agent-clock.ts';
import { TestFabric } from './agent-fabric.ts';
import { SeededRandom } from './seeded-random.ts';
import { TestNetwork } from './test-network.ts';
import { TestScripts } from './test-scripts.ts';

export const agentId = 'a0000000-0000-4000-8000-000000000001' as AgentId;
export const vaultId = 'b0000000-0000-4000-8000-000000000001' as VaultId;
export const cloudId = '0c000000-0000-4000-8000-00000000000c' as CloudId;

export function vmRef(n: number): VmRef {
  return { cloudId, vmId: `d0000000-0000-4000-8000-${String(n).padStart(12, '0')}` as VmId };
}

export function replica(n: number, over: Partial<VmView> = {}): VmView {
  return {
    ref: vmRef(n),
    name: `vm-${n}`,
    power: 'off',
    networkIds: [],
    replication: {
      mode: 'replica',
      state: 'replicating',
      health: 'normal',
      failoverType: 'none',
      lastPointAt: Date.parse('2026-11-23T07:59:00Z'),
      settings: settingsOf(defaultPolicy),
    },
    epoch: 0,
    tags: [],
    failover: null,
    ...over,
  };
}

export function keyPair(): { signer: Signer; verifier: Verifier } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const issuer = '00112233445566ff';
  return {
    signer: { issuer, sign: (bytes) => sign(null, bytes, privateKey).toString('base64url') },
    verifier: { verify: (by, bytes, signature) => by === issuer && verify(null, bytes, publicKey, Buffer.from(signature, 'base64url')) },
  };
}

export interface WorldOptions {
  /** In place of the small test fabric and a clock of its own. */
  readonly site?: { readonly fabric: Fabric; readonly clock: VirtualClock };
  readonly settings?: Partial<AgentSettings>;
  /** Wraps the journal of every life. */
  readonly journal?: (journal: Journal) => Journal;
}

export class AgentWorld {
  readonly clock: VirtualClock;
  readonly fabric = new TestFabric();
  readonly network = new TestNetwork();
  readonly scripts = new TestScripts();
  readonly keys = keyPair();
  readonly received: AgentMessage[] = [];
  readonly sentTexts: string[] = [];
  readonly ledger: string[] = [];
  readonly logged: { level: string; fields: Record<string, unknown>; text: string }[] = [];
  readonly #folder: string;
  readonly #options: WorldOptions;
  readonly #random = new SeededRandom(1);
  #wire: LinkEvents | null = null;
  #sequence = 0;
  #core: AgentCore | null = null;
  #journal: Journal | null = null;
  isCloudReachable = true;
  isWireDead = false;
  waitingBytes = 0;
  dials = 0;
  pings = 0;

  static async make(t: TestContext, options: WorldOptions = {}): Promise<AgentWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'farshore-agent-'));
    const world = new AgentWorld(folder, options);
    t.after(async () => {
      world.crash();
      await rm(folder, { recursive: true, force: true });
    });
    return world;
  }

  constructor(folder: string, options: WorldOptions) {
    this.#folder = folder;
    this.#options = options;
    this.clock = options.site?.clock ?? new VirtualClock();
  }

  get core(): AgentCore {
    if (this.#core === null) throw new Error('no agent runs');
    return this.#core;
  }

  get journal(): Journal {
    if (this.#journal === null) throw new Error('no agent runs');
    return this.#journal;
  }

  /** Starts an agent; without a welcome it only says hello. */
  async start(welcome: boolean = true): Promise<void> {
    const opened = await openJournal(join(this.#folder, 'agent.db'), setImmediate);
    this.#journal = this.#options.journal?.(opened) ?? opened;
    const log = (level: string) => (fields: object, text: string) => void this.logged.push({ level, fields: { ...fields }, text });
    this.#core = startAgentCore({
      identity: { agentId, vaultId },
      agentVersion: 'test',
      journal: this.#journal,
      fabric: this.#options.site?.fabric ?? this.fabric,
      verifier: this.keys.verifier,
      network: this.network,
      scripts: this.scripts,
      certificates: {
        requestCsr: async () => '-----BEGIN CERTIFICATE REQUEST-----\n',
        issueHostCertificates: async (_authority, _root, hosts) =>
          hosts.map(({ host }) => ({ host, pfx: new Uint8Array([1]), passphrase: 'none' })),
      },
      dial: (events) => this.#dial(events),
      egress: { note: (text) => void this.ledger.push(text) },
      clock: this.clock,
      random: this.#random,
      log: { info: log('info'), warn: log('warn'), error: log('error') },
      defer: setImmediate,
      ...(this.#options.settings && { settings: this.#options.settings }),
    });
    if (welcome) await this.connect();
  }

  async connect(): Promise<void> {
    const before = this.received.length;
    await this.clock.until(() => this.received.slice(before).some((message) => message.type === 'hello'), 'hello');
    this.welcome();
    await this.clock.settle();
  }

  crash(): void {
    this.#core?.abandon();
    this.#core = null;
    this.#journal = null;
  }

  async stop(): Promise<void> {
    const stopping = this.core.stop();
    let isStopped = false;
    void stopping.then(() => {
      isStopped = true;
    });
    await this.clock.until(() => isStopped, 'the agent stopped');
    this.#core = null;
    this.#journal = null;
  }

  welcome(inventory: 'inStep' | 'sendAll' = 'sendAll'): void {
    this.say({ type: 'welcome', protocol: 1, heartbeatSeconds: 20, inventory, tags: [], tellDecisions: false });
  }

  say(message: CloudMessage): void {
    this.#wire?.received(encodeCloudMessage(message));
  }

  sayText(text: string): void {
    this.#wire?.received(text);
  }

  cutWire(): void {
    const wire = this.#wire;
    this.#wire = null;
    wire?.closed('cut by the test');
  }

  seal(command: Command, over: Partial<Envelope> = {}): SignedEnvelope {
    const envelope: Envelope = {
      commandId: 'job/step/1' as CommandId,
      agentId,
      vaultId,
      jobId: 'e0000000-0000-4000-8000-000000000001' as JobId,
      stepId: 'step' as StepId,
      epoch: 1,
      sequence: ++this.#sequence,
      deadline: this.clock.now() + 600_000,
      command,
      ...over,
    };
    return sealEnvelope(envelope, this.keys.signer);
  }

  send(command: Command, over: Partial<Envelope> = {}): void {
    this.say({ type: 'commands', envelopes: [this.seal(command, over)] });
  }

  outcomes(commandId = 'job/step/1'): Outcome[] {
    const finished = this.received.flatMap((message) => (message.type === 'command.finished' ? message.finished : []));
    return finished.filter((f) => f.commandId === commandId).map((f) => f.outcome as Outcome);
  }

  refusals(): string[] {
    return this.received.flatMap((message) => (message.type === 'envelope.refused' ? [message.code] : []));
  }

  async outcome(commandId = 'job/step/1', count = 1): Promise<Outcome> {
    await this.clock.until(() => this.outcomes(commandId).length >= count, `an outcome of ${commandId}`);
    const outcome = this.outcomes(commandId).at(-1);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  }

  #dial(events: LinkEvents) {
    this.dials++;
    let isOpen = true;
    const close = (reason: string) => {
      if (!isOpen) return;
      isOpen = false;
      if (this.#wire === events) this.#wire = null;
      events.closed(reason);
    };
    setImmediate(() => {
      if (!isOpen) return;
      if (!this.isCloudReachable) return close('unreachable');
      this.#wire = events;
      events.opened();
    });
    const world = this;
    return {
      send: (text: string) => {
        if (!isOpen || this.isWireDead) return;
        this.sentTexts.push(text);
        this.received.push(readAgentMessage(text));
      },
      ping: () => {
        this.pings++;
        if (!this.isWireDead) events.answered();
      },
      get waitingBytes() {
        return world.waitingBytes;
      },
      close,
    };
  }
}

export const startCommand = (n: number): Command => ({ kind: 'vm.start', args: { vm: vmRef(n), guestAnswersWithinSeconds: 60 } });
export const executeCommand = (n: number): Command => ({
  kind: 'failover.execute',
  args: { vm: vmRef(n), recoveryPoint: { choose: 'latest' } },
});
