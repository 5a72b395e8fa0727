/**
 * Keeps one session with the control plane up: dials, backs off with full jitter, dials again. What is told while no
 * session is up is dropped here, because a new session begins with everything the control plane has not confirmed.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { CommandId } from '../../shared/ids.ts';
import { isoMoment, type Random } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { Dial, Link, LinkEvents } from './link.ts';
import type { FinishedOutcome } from './outbox.ts';
import { Session, type SessionPorts } from './session.ts';

export interface ChannelPorts extends Omit<SessionPorts, 'onWelcome' | 'onViolation'> {
  readonly dial: Dial;
  readonly random: Random;
  onStatus(status: ChannelStatus): void;
}

export interface ChannelStatus {
  readonly state: 'connecting' | 'connected' | 'waiting' | 'stopped';
  readonly since: string;
  /** Why the last connection ended or was not made; null before the first end. */
  readonly lastFailure: string | null;
  /** Messages from the control plane that broke a limit or the form. */
  readonly violations: number;
}

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** A session that was up for so long shows that the way is good. */
const STEADY_MS = 10_000;

export class AgentChannel {
  readonly #ports: ChannelPorts;
  #session: Session | null = null;
  #link: Link | null = null;
  #attempt = 0;
  #upAt: number | null = null;
  #violations = 0;
  #lastFailure: string | null = null;
  #isStopped = false;
  #isHurried = false;
  #cancelWait = () => {};

  constructor(ports: ChannelPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#connect();
  }

  /** Ends the session and dials at once, for instance with a new certificate or to be sent again what got lost. */
  reconnect(reason: string): void {
    if (this.#isStopped) return;
    if (this.#link === null) {
      this.#cancelWait();
      this.#connect();
      return;
    }
    this.#isHurried = true;
    this.#link.close(reason);
  }

  /** Ends a session that is up, with the usual wait before the next: its welcome brings all that the control plane still wants. */
  drop(reason: string): void {
    if (this.#upAt !== null) this.#link?.close(reason);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancelWait();
    this.#link?.close('the agent stops');
    this.#tell('stopped');
  }

  finished(outcome: FinishedOutcome): void {
    this.#session?.finished(outcome);
  }

  progress(commandId: CommandId, stage: Stage): void {
    this.#session?.progress(commandId, stage);
  }

  refused(code: ErrorCode): void {
    this.#session?.refused(code);
  }

  /** The inventory has something new to tell. */
  inventoryChanged(): void {
    this.#session?.wake();
  }

  #connect(): void {
    this.#tell('connecting');
    let session: Session | null = null;
    const link = this.#dial({
      opened: () => session?.opened(),
      received: (text) => session?.received(text),
      heard: () => session?.heard(),
      answered: () => session?.answered(),
      closed: (reason) => {
        session?.ended();
        this.#closed(reason);
      },
    });
    if (link === null) return;
    this.#link = link;
    session = new Session(link, { ...this.#ports, onWelcome: () => this.#welcomed(), onViolation: () => this.#violations++ });
    this.#session = session;
  }

  /** A way out that cannot even be tried, such as a certificate that cannot be read, is one that failed. */
  #dial(events: LinkEvents): Link | null {
    try {
      return this.#ports.dial(events);
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the control plane cannot be dialled');
      events.closed('the control plane cannot be dialled');
      return null;
    }
  }

  #welcomed(): void {
    this.#upAt = this.#ports.clock.now();
    this.#tell('connected');
  }

  #closed(reason: string): void {
    const { clock, random } = this.#ports;
    const wasSteady = this.#upAt !== null && clock.now() - this.#upAt >= STEADY_MS;
    this.#attempt = wasSteady ? 0 : this.#attempt;
    this.#session = null;
    this.#link = null;
    this.#upAt = null;
    this.#lastFailure = reason;
    if (this.#isStopped) return;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempt++);
    const wait = this.#isHurried ? 0 : Math.round(random.fraction() * longest);
    this.#isHurried = false;
    this.#tell('waiting');
    this.#cancelWait = clock.after(wait, () => this.#connect());
  }

  #tell(state: ChannelStatus['state']): void {
    const status: ChannelStatus = {
      state,
      since: isoMoment(this.#ports.clock.now()),
      lastFailure: this.#lastFailure,
      violations: this.#violations,
    };
    this.#ports.log.info(status, 'channel to the control plane');
    this.#ports.onStatus(status);
  }
}
