/**
 * The hub of the control plane on a real store, with real agent cores joined to it in one process: the agent's link and the
 * hub's link are two ends of the same wire, and nothing but sockets is missing. `work` is in the test's hand.
 */
import { generateKeyPairSync, verify } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Hub } from '../../control-plane/channel/hub.ts';
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import type { Link, LinkEvents } from '../../control-plane/channel/link.ts';
import type { AdmittedAgent, AgentWork } from '../../control-plane/channel/session.ts';
import { Bell, type Ring } from '../../control-plane/store/bell.ts';
import type { Dial } from '../../provider-agent/channel/link.ts';
import { type AgentCore, startAgentCore } from '../../provider-agent/core.ts';
import { openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import type { AgentId, CommandId, JobId, SiteId, StepId, VaultId } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { AgentMessage, KnownDecisionReport, Outcome } from '../../shared/protocol/egress.ts';
import { type CommandToSend, openEnvelope, type Verifier } from '../../shared/protocol/envelope.ts';
import { type CloudMessage, readCloudMessage } from '../../shared/protocol/messages.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { VirtualClock } from './agent-clock.ts';
import { TestFabric } from './agent-fabric.ts';
import { startCommand } from './agent-world.ts';
import { SeededRandom } from './seeded-random.ts';
import { makeStoreWorld, type StoreWorld } from './store-world.ts';
import { TestNetwork } from './test-network.ts';
import { TestScripts } from './test-scripts.ts';

export class TestWork implements AgentWork {
  open: CommandToSend[] = [];
  readonly finished: { readonly siteId: SiteId; readonly commandId: CommandId; readonly outcome: Outcome }[] = [];
  readonly progress: { readonly commandId: CommandId; readonly stage: Stage }[] = [];
  /** Outcomes of these cannot be kept. */
  readonly unkept = new Set<CommandId>();
  asksDecisions = false;
  readonly decisions = new Map<SiteId, readonly KnownDecisionReport[]>();

  openCommands(): readonly CommandToSend[] {
    return this.open;
  }

  async onFinished(siteId: SiteId, _agentId: AgentId, commandId: CommandId, outcome: Outcome): Promise<void> {
    this.finished.push({ siteId, commandId, outcome });
    if (this.unkept.has(commandId)) throw new Error('the disk is full');
  }

  wantsDecisions(siteId: SiteId): boolean {
    return this.asksDecisions && !this.decisions.has(siteId);
  }

  onDecisions(_vaultId: VaultId, siteId: SiteId, decisions: readonly KnownDecisionReport[]): void {
    this.decisions.set(siteId, decisions);
  }

  onProgress(_siteId: SiteId, commandId: CommandId, stage: Stage): void {
    this.progress.push({ commandId, stage });
  }
}

export interface HubWorldOf<C extends Clock> extends StoreWorld {
  readonly clock: C;
  readonly hub: Hub;
  readonly work: TestWork;
  readonly rings: Ring[];
  readonly issuer: IssuerKey;
  readonly logged: { readonly level: string; readonly fields: Record<string, unknown>; readonly text: string }[];
}
export type HubWorld = HubWorldOf<VirtualClock>;

export const makeHubWorld = (t: TestContext): Promise<HubWorld> => makeHubWorldOn(t, new VirtualClock());

export async function makeHubWorldOn<C extends Clock>(t: TestContext, clock: C): Promise<HubWorldOf<C>> {
  const world = await makeStoreWorld(t);
  const work = new TestWork();
  const bell = new Bell();
  const rings: Ring[] = [];
  bell.listen(world.vaultId, (ring) => void rings.push(ring));
  const issuer = new IssuerKey(makeIssuerKey());
  const logged: HubWorld['logged'] = [];
  const at = (level: string) => (fields: object, text: string) => void logged.push({ level, fields: { ...fields }, text });
  const log = { info: at('info'), warn: at('warn'), error: at('error') };
  const hub = new Hub({ store: world.store, work, bell, clock, log, defer: setImmediate, signerOf: () => issuer });
  return Object.assign(world, { clock, hub, work, rings, issuer, logged });
}

/** An agent as it stands in the store after its registration. */
export async function enrol(
  world: StoreWorld,
  siteId: SiteId,
  now = 1_000,
  publicKey = makeSpki(),
): Promise<AdmittedAgent & { spki: string }> {
  const hash = Buffer.from(systemRandom.bytes(32)).toString('hex');
  const { vaultId, ownerId } = world;
  const agentId = systemRandom.uuid() as AgentId;
  const key = { hash, vaultId, siteId, createdAt: 1, createdBy: ownerId, expiresAt: now + 1, usedAt: null };
  await world.store.sites.addRegistrationKey(key);
  const certificate = { certificateSerial: Buffer.from(systemRandom.bytes(16)).toString('hex'), certificateNotAfter: now + 1e12 };
  await world.store.enrolment.register(hash, { agentId, vaultId, siteId, spki: publicKey, ...certificate }, now);
  return { agentId, vaultId, siteId, spki: publicKey };
}

function makeSpki(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

/** The agent's end of a wire in the test's hand. */
export class RawAgent implements Link {
  readonly heardTexts: string[] = [];
  readonly received: CloudMessage[] = [];
  closedWith: { readonly code: number; readonly reason: string } | null = null;
  pings = 0;
  waitingBytes = 0;
  readonly #events: LinkEvents;
  readonly #agent: AdmittedAgent;

  constructor(hub: Hub, agent: AdmittedAgent) {
    this.#agent = agent;
    this.#events = hub.join(agent, this);
  }

  send(text: string): void {
    this.heardTexts.push(text);
    this.received.push(readCloudMessage(text));
  }

  ping(): void {
    this.pings++;
  }

  close(code: number, reason: string): void {
    this.closedWith = { code, reason };
  }

  say(message: AgentMessage): void {
    this.sayText(JSON.stringify(message));
  }

  sayText(text: string): void {
    this.#events.received(text);
  }

  hangUp(): void {
    this.#events.closed('the test hung up');
  }

  hello(over: Partial<Extract<AgentMessage, { type: 'hello' }>> = {}): void {
    const { agentId } = this.#agent;
    this.say({ type: 'hello', protocol: 1, agentId, agentVersion: '1.0', lastSequence: 0, inventoryDigest: null, ...over });
  }

  of<T extends CloudMessage['type']>(type: T): Extract<CloudMessage, { type: T }>[] {
    return this.received.filter((message): message is Extract<CloudMessage, { type: T }> => message.type === type);
  }
}

export function command(world: StoreWorld, n: number, deadline: number): CommandToSend {
  return {
    commandId: `job/start/${n}` as CommandId,
    vaultId: world.vaultId,
    jobId: 'e0000000-0000-4000-8000-000000000001' as JobId,
    stepId: 'start' as StepId,
    epoch: 1,
    deadline,
    command: startCommand(n),
  };
}

export const verifierOf = (issuer: IssuerKey): Verifier => ({
  verify: (by, bytes, signature) => by === issuer.issuer && verify(null, bytes, issuer.publicPem, Buffer.from(signature, 'base64url')),
});

/** The commands that an agent was sent, opened as it opens them. */
export function opened(world: HubWorld, agent: AdmittedAgent, raw: RawAgent) {
  let lastSequence = 0;
  return raw.of('commands').flatMap(({ envelopes }) =>
    envelopes.map((signed) => {
      const envelope = openEnvelope(signed, verifierOf(world.issuer), { ...agent, lastSequence });
      lastSequence = envelope.sequence;
      return envelope;
    }),
  );
}

export interface JoinedAgent {
  readonly core: AgentCore;
  readonly fabric: TestFabric;
  dials: number;
  /** Why the wire of the latest connection ended. */
  lastEnd: string | null;
  cut(): void;
}

/** A real agent core, joined to the hub without a socket. */
export async function joinAgent(t: TestContext, world: HubWorld, agent: AdmittedAgent & { spki: string }): Promise<JoinedAgent> {
  const fabric = new TestFabric();
  const joined = { fabric, dials: 0, lastEnd: null as string | null, cut: () => {} };
  const dial: Dial = (events) => {
    joined.dials++;
    let isOver = false;
    let hubEnd: LinkEvents | null = null;
    const end = (reason: string) => {
      if (isOver) return;
      isOver = true;
      joined.lastEnd = reason;
      setImmediate(() => events.closed(reason));
    };
    joined.cut = () => {
      hubEnd?.closed('cut');
      end('cut');
    };
    const link: Link = {
      send: (text) => void setImmediate(() => isOver || events.received(text)),
      ping: () => void setImmediate(() => isOver || hubEnd?.heard()),
      waitingBytes: 0,
      close: (_code, reason) => end(reason),
    };
    world.hub.admit(agent).then(
      (admitted) => {
        if (isOver) return;
        hubEnd = world.hub.join(admitted, link);
        if (!isOver) events.opened();
      },
      (error: Error) => end(error.message),
    );
    return {
      send: (text) => void setImmediate(() => isOver || hubEnd?.received(text)),
      ping: () => void setImmediate(() => isOver || events.heard()),
      waitingBytes: 0,
      close: (reason) => {
        hubEnd?.closed(reason);
        end(reason);
      },
    };
  };
  const core = startAgentCore({
    identity: agent,
    agentVersion: 'test',
    journal: await openJournal(join(world.folder, `${agent.agentId}.db`), setImmediate),
    fabric,
    verifier: verifierOf(world.issuer),
    network: new TestNetwork(),
    scripts: new TestScripts(),
    certificates: { requestCsr: async () => '', issueHostCertificates: async () => [] },
    dial,
    egress: { note: () => {} },
    clock: world.clock,
    random: new SeededRandom(7),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    defer: setImmediate,
  });
  t.after(() => core.abandon());
  return Object.assign(joined, { core });
}
