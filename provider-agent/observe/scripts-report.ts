/**
 * Tells which scripts the site has, so that a plan that names another is found when it is written and not at night. All of them after
 * every connect, and again when they have changed; a site without scripts tells nothing.
 */
import type { Clock, Log } from '../../shared/ports.ts';
import type { AgentMessage } from '../../shared/protocol/egress.ts';
import type { ScriptEntry, Scripts } from '../scripts/scripts.ts';

export interface ScriptsReportPorts {
  readonly scripts: Pick<Scripts, 'list'>;
  readonly clock: Clock;
  readonly log: Log;
  /** There is something to send: `next` has it. */
  onChanged(): void;
}

const LOOK_EVERY_MS = 60_000;

export class ScriptsReport {
  readonly #ports: ScriptsReportPorts;
  #told = '';
  #waiting: readonly ScriptEntry[] | null = null;
  #cancelLook = () => {};
  /** Counts connections, so that a look begun on an earlier one is dropped. */
  #connection = 0;

  constructor(ports: ScriptsReportPorts) {
    this.#ports = ports;
  }

  connected(): void {
    this.disconnected();
    this.#told = JSON.stringify([]);
    void this.#look(this.#connection);
  }

  disconnected(): void {
    this.#connection++;
    this.#cancelLook();
    this.#waiting = null;
  }

  next(): AgentMessage | null {
    const scripts = this.#waiting;
    this.#waiting = null;
    return scripts === null ? null : { type: 'scripts.changed', scripts: [...scripts] };
  }

  async #look(connection: number): Promise<void> {
    const { scripts, clock, log, onChanged } = this.#ports;
    const found = await scripts.list().catch((error: unknown) => {
      log.warn({ err: error }, 'scripts of the site could not be listed');
      return null;
    });
    if (connection !== this.#connection) return;
    const text = JSON.stringify(found ?? []);
    if (found !== null && text !== this.#told) {
      this.#told = text;
      this.#waiting = found;
      onChanged();
    }
    this.#cancelLook = clock.after(LOOK_EVERY_MS, () => void this.#look(connection));
  }
}
