/**
 * The few things that an administrator of the server wants to read in the event log of Windows. The agent says them as lines of its output and
 * the service host, which alone can write there, passes them on. The numbers are kept: people make alarms of them.
 */
import type { Clock } from '../../shared/ports.ts';

export const administratorEvents = {
  started: { id: 100, level: 'information' },
  stopped: { id: 101, level: 'information' },
  connectedAgain: { id: 201, level: 'information' },
  notConnected: { id: 200, level: 'warning' },
  fenced: { id: 300, level: 'warning' },
  envelopeRefused: { id: 301, level: 'warning' },
  journalDamaged: { id: 400, level: 'error' },
  notStarted: { id: 401, level: 'error' },
} as const;
export type EventName = keyof typeof administratorEvents;

export type TellAdministrator = (name: EventName, text: string) => void;

const TEXT_MOST = 8_000;

/** As `AgentEvent.Read` of the service host takes it: one line. */
export function eventLine(name: EventName, text: string): string {
  const { id, level } = administratorEvents[name];
  return `farshore-event ${id} ${level} ${text.replaceAll(/\s+/g, ' ').slice(0, TEXT_MOST)}`;
}

/** Of a repeated happening the first is told, and one in an hour. */
export function seldom(tell: TellAdministrator, clock: Clock): TellAdministrator {
  const toldAt = new Map<EventName, number>();
  return (name, text) => {
    const before = toldAt.get(name);
    if (before !== undefined && clock.now() - before < HOUR_MS) return;
    toldAt.set(name, clock.now());
    tell(name, text);
  };
}
const HOUR_MS = 3_600_000;

const LONG_MS = 15 * 60_000;

/** Tells once that the control plane is not reached for long, and then that it is again. Counts from the first word of the channel. */
export class ConnectionWatch {
  readonly #clock: Clock;
  readonly #tell: TellAdministrator;
  #isUp = true;
  #isTold = false;
  #failure: string | null = null;
  #cancel = () => {};

  constructor(clock: Clock, tell: TellAdministrator) {
    this.#clock = clock;
    this.#tell = tell;
  }

  status({ state, lastFailure }: { readonly state: string; readonly lastFailure: string | null }): void {
    const wasUp = this.#isUp;
    this.#isUp = state === 'connected';
    this.#failure = lastFailure;
    if (this.#isUp) {
      this.#cancel();
      if (this.#isTold) this.#tell('connectedAgain', 'The control plane is reached again.');
      this.#isTold = false;
    } else if (wasUp) this.#cancel = this.#wait();
  }

  stop(): void {
    this.#cancel();
  }

  #wait(): () => void {
    return this.#clock.after(LONG_MS, () => {
      this.#isTold = true;
      const failure = this.#failure ?? 'no reason is known';
      this.#tell(
        'notConnected',
        `The control plane was not reached for ${LONG_MS / 60_000} minutes: ${failure}. Nothing is changed at this site meanwhile. farshore-agent check tells more.`,
      );
    });
  }
}
