/**
 * The wire between the agents of a world and its control plane: the very texts, in order, both ways, without sockets.
 * A cut is known to both ends at once unless it is half-open; what was on its way is lost. Every text is a place where a
 * test may hurt it.
 */
import type { Link as CloudLink, LinkEvents as LinkEventsOfCloud } from '../../control-plane/channel/link.ts';
import type { Link, LinkEvents } from '../../provider-agent/channel/link.ts';
import type { SiteId } from '../../shared/ids.ts';

export type Direction = 'toAgent' | 'toCloud';

export interface WirePorts {
  readonly site: SiteId;
  /** Null while nobody listens. */
  accept(socket: CloudLink): Promise<LinkEventsOfCloud | null>;
  /** Before a text is delivered; how often it is delivered, 0 for lost. May cut the wire. */
  carry(direction: Direction, text: string, wire: Wire): number;
}

export class Wire {
  readonly #ports: WirePorts;
  readonly #agent: LinkEvents;
  #cloud: LinkEventsOfCloud | null = null;
  #isOpen = true;
  #isAgentTold = false;
  #isCloudTold = false;

  constructor(agent: LinkEvents, ports: WirePorts) {
    this.#agent = agent;
    this.#ports = ports;
    queueMicrotask(() => void this.#open());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Nothing is carried any more. An end that is not told finds out by itself, from the silence. */
  cut(reason: string, told: 'both' | 'agent' | 'cloud' = 'both'): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (told !== 'agent') this.#tellCloud(reason);
    if (told !== 'cloud') this.#tellAgent(reason);
  }

  /** What the agent holds. */
  readonly link: Link = {
    send: (text) => this.#carry('toCloud', text, () => this.#cloud?.received(text)),
    ping: () =>
      this.#later(() => {
        this.#cloud?.heard();
        this.#later(() => this.#agent.answered());
      }),
    waitingBytes: 0,
    close: (reason) => {
      this.cut(reason);
      this.#tellAgent(reason);
    },
  };

  readonly #socket: CloudLink = {
    send: (text) => this.#carry('toAgent', text, () => this.#agent.received(text)),
    ping: () =>
      this.#later(() => {
        this.#agent.heard();
        this.#later(() => this.#cloud?.heard());
      }),
    waitingBytes: 0,
    close: (_code, reason) => {
      this.cut(reason);
      this.#tellCloud(reason);
    },
  };

  async #open(): Promise<void> {
    if (!this.#isOpen) return;
    const cloud = await this.#ports.accept(this.#socket);
    if (cloud === null) return this.cut('nobody listens');
    if (!this.#isOpen) return cloud.closed('cut while it was opened');
    this.#cloud = cloud;
    this.#agent.opened();
  }

  #carry(direction: Direction, text: string, deliver: () => void): void {
    if (!this.#isOpen) return;
    const times = this.#ports.carry(direction, text, this);
    for (let i = 0; i < times; i++) this.#later(deliver);
  }

  #tellAgent(reason: string): void {
    if (this.#isAgentTold) return;
    this.#isAgentTold = true;
    queueMicrotask(() => this.#agent.closed(reason));
  }

  #tellCloud(reason: string): void {
    if (this.#isCloudTold) return;
    this.#isCloudTold = true;
    const cloud = this.#cloud;
    queueMicrotask(() => cloud?.closed(reason));
  }

  #later(deliver: () => void): void {
    queueMicrotask(() => {
      if (this.#isOpen) deliver();
    });
  }
}
