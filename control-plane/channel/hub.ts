/**
 * Who is here: at most one session for each site, that of the agent which speaks for it. The way in is in two parts:
 * `admit` holds what the certificate says against the store, `join` begins the session; whatever carries it.
 *
 * It is what operations call their dispatcher and their presence.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { AgentId, SiteId, VaultId, VmRef } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { RecoveryPointReport } from '../../shared/protocol/egress.ts';
import type { CommandToSend, Signer } from '../../shared/protocol/envelope.ts';
import { limits, RateLimit } from '../../shared/protocol/limits.ts';
import type { Bell } from '../store/bell.ts';
import type { Store } from '../store/store.ts';
import { closeCodes, type Link, type LinkEvents } from './link.ts';
import type { PointsTold } from './points-questions.ts';
import { type AdmittedAgent, type AgentWork, type IntakeLimits, Session, type SiteScript } from './session.ts';

export interface HubParts {
  readonly store: Pick<Store, 'enrolment' | 'sites' | 'observations' | 'rules'>;
  readonly work: AgentWork;
  /** The issuer key of a vault. */
  readonly signerOf: (vaultId: VaultId) => Signer;
  readonly bell: Bell;
  readonly clock: Clock;
  readonly log: Log;
  /** Calls back after the present turn of the event loop. */
  readonly defer: (callback: () => void) => void;
  /** How often each side pings; 20 s when not said. */
  readonly heartbeatSeconds?: number;
}

/** What a verified client certificate says. */
export interface Presented {
  readonly agentId: AgentId;
  /** Its public key, SPKI in DER, base64. */
  readonly spki: string;
}

export class Hub {
  readonly #parts: HubParts;
  readonly #sessions = new Map<SiteId, Session>();
  readonly #heardAt = new Map<SiteId, number>();
  readonly #intake = new Map<AgentId, IntakeLimits>();
  /** Revoked since the start: an admission under way must not slip through. */
  readonly #revoked = new Set<AgentId>();
  readonly #unlisten: () => void;
  #isClosed = false;

  constructor(parts: HubParts) {
    this.#parts = parts;
    this.#unlisten = parts.bell.listenToAll((vaultId, { type }) => {
      const sessions = type === 'rules' ? [...this.#sessions.values()] : [];
      for (const session of sessions) if (session.agent.vaultId === vaultId) session.rulesChanged();
    });
  }

  /** Throws ERR_CERTIFICATE_UNKNOWN, ERR_CERTIFICATE_REVOKED. */
  async admit({ agentId, spki }: Presented): Promise<AdmittedAgent> {
    const { store } = this.#parts;
    const agent = await store.enrolment.findAgent(agentId);
    if (agent === null) throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'no agent of this id is enrolled here');
    if (agent.spki !== spki) throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'the certificate is for another key than the enrolled one');
    if (agent.revokedAt !== null) throw new FarshoreError('ERR_CERTIFICATE_REVOKED', 'the agent was revoked');
    const { vaultId, siteId } = agent;
    const speaker = await store.sites.agentOf(vaultId, siteId);
    if (speaker?.id !== agentId)
      throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'an agent that was registered later speaks for this site');
    return { agentId, vaultId, siteId };
  }

  /** Begins the session of an admitted agent; an earlier one of its site ends. The link tells the events returned. */
  join(agent: AdmittedAgent, link: Link): LinkEvents {
    const { agentId, vaultId, siteId } = agent;
    const { store, work, bell, clock, log, defer, signerOf, heartbeatSeconds = 20 } = this.#parts;
    this.#sessions.get(siteId)?.close(closeCodes.replaced, 'a newer connection of this site took over');
    const session = new Session({
      agent,
      link,
      store,
      work,
      bell,
      clock,
      log,
      defer,
      heartbeatSeconds,
      signer: signerOf(vaultId),
      intake: this.#intakeOf(agentId),
      onHeard: (at) => this.#heardAt.set(siteId, at),
      onEnded: () => this.#ended(siteId, session),
    });
    this.#sessions.set(siteId, session);
    if (this.#isClosed) session.close(closeCodes.goingAway, 'the control plane stops');
    if (this.#revoked.has(agentId)) session.close(closeCodes.revoked, 'the agent was revoked');
    return session;
  }

  /** Sends now if the site is connected, in the order given; else nothing: on connect all that is open is sent. */
  send(siteId: SiteId, commands: readonly CommandToSend[]): void {
    this.#sessions.get(siteId)?.send(commands);
  }

  isConnected(siteId: SiteId): boolean {
    return this.#sessions.get(siteId)?.isUp ?? false;
  }

  /** When the agent of the site was last heard; null if never since the start of this process. */
  lastHeardAt(siteId: SiteId): number | null {
    return this.#heardAt.get(siteId) ?? null;
  }

  /** The scripts that plans may run at the site, as its agent has told; null while it is not connected. */
  scriptsOf(siteId: SiteId): readonly SiteScript[] | null {
    const session = this.#sessions.get(siteId);
    return session?.isUp ? session.scripts : null;
  }

  /** The recovery points that a replica at the site has now. Throws ERR_AGENT_OFFLINE, ERR_FABRIC_TIMEOUT, or what the site answers. */
  async recoveryPoints(siteId: SiteId, vm: VmRef): Promise<readonly RecoveryPointReport[]> {
    const { points, code } = await this.#ask(siteId, vm);
    if (code !== null) throw new FarshoreError(code, 'the site cannot tell its recovery points');
    return points;
  }

  /** How the VM stands there now; null where it is not there. Throws as `recoveryPoints` does. */
  async lookAt(siteId: SiteId, vm: VmRef): Promise<PointsTold['found']> {
    const { found, code } = await this.#ask(siteId, vm);
    if (found === null && code !== null && code !== 'ERR_VM_NOT_FOUND')
      throw new FarshoreError(code, 'the site cannot tell how the VM stands');
    return found;
  }

  async #ask(siteId: SiteId, vm: VmRef): Promise<PointsTold> {
    const session = this.#sessions.get(siteId);
    if (!session?.isUp) throw new FarshoreError('ERR_AGENT_OFFLINE', 'the agent of the site is not connected');
    return session.points.ask(vm);
  }

  /** Ends the session of a revoked agent at once, and lets none begin. That the store knows is the caller's part, and first. */
  cutOff(agentId: AgentId): void {
    this.#revoked.add(agentId);
    for (const session of this.#sessions.values()) {
      if (session.agent.agentId === agentId) session.close(closeCodes.revoked, 'the agent was revoked');
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#unlisten();
    for (const session of this.#sessions.values()) session.close(closeCodes.goingAway, 'the control plane stops');
  }

  #ended(siteId: SiteId, session: Session): void {
    if (this.#sessions.get(siteId) === session) this.#sessions.delete(siteId);
    this.#parts.bell.ring(session.agent.vaultId, { type: 'site', siteId });
  }

  #intakeOf(agentId: AgentId): IntakeLimits {
    const now = this.#parts.clock.now();
    const intake = this.#intake.get(agentId) ?? {
      messages: new RateLimit(now),
      bytes: new RateLimit(now, limits.bytesPerSecond, limits.bytesAtOnce),
    };
    this.#intake.set(agentId, intake);
    return intake;
  }
}
