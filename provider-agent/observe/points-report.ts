/**
 * Answers how a VM stands and what recovery points its replica has now. It is asked by a person who is about to choose, so nothing is reported of it
 * before, and nothing is kept: each answer is a fresh look.
 */
import { toFarshoreError } from '../../shared/errors.ts';
import { isoMoment, type Log } from '../../shared/ports.ts';
import { type AgentMessage, POINTS_MOST, type RecoveryPointReport } from '../../shared/protocol/egress.ts';
import type { CloudMessage } from '../../shared/protocol/messages.ts';
import type { Fabric, RecoveryPoint } from '../fabric/fabric.ts';

type Told = Extract<AgentMessage, { type: 'recoveryPoints.told' }>;
export type PointsQuestion = Extract<CloudMessage, { type: 'recoveryPoints.ask' }>;

export interface PointsReportPorts {
  readonly fabric: Pick<Fabric, 'findVm' | 'recoveryPoints'>;
  readonly log: Log;
  /** There is something to send: `next` has it. */
  onChanged(): void;
}

/** Whoever asks faster than the site answers is not waited upon. */
const OPEN_MOST = 50;

export class PointsReport {
  readonly #ports: PointsReportPorts;
  #waiting: AgentMessage[] = [];
  #open = 0;
  /** Counts connections, so that a look begun on an earlier one is dropped. */
  #connection = 0;

  constructor(ports: PointsReportPorts) {
    this.#ports = ports;
  }

  async asked(question: PointsQuestion): Promise<void> {
    const connection = this.#connection;
    if (this.#open >= OPEN_MOST) return;
    this.#open++;
    const answer = await this.#look(question);
    this.#open--;
    if (connection !== this.#connection) return;
    this.#waiting.push(answer);
    this.#ports.onChanged();
  }

  next(): AgentMessage | null {
    return this.#waiting.shift() ?? null;
  }

  disconnected(): void {
    this.#connection++;
    this.#waiting = [];
  }

  async #look({ question, vm }: PointsQuestion): Promise<AgentMessage> {
    const { fabric, log } = this.#ports;
    const head = { type: 'recoveryPoints.told', question } as const;
    let found: Told['found'] = null;
    try {
      const view = await fabric.findVm(vm);
      if (view === null) return { ...head, found, points: [], code: 'ERR_VM_NOT_FOUND' };
      const { mode, state } = view.replication;
      found = { power: view.power, mode, state };
      return { ...head, found, points: (await fabric.recoveryPoints(vm)).map(toReport).slice(0, POINTS_MOST), code: null };
    } catch (thrown) {
      log.warn({ err: thrown, vm }, 'recovery points could not be read');
      return { ...head, found, points: [], code: toFarshoreError(thrown).code };
    }
  }
}

const toReport = ({ id, at, kind }: RecoveryPoint): RecoveryPointReport => ({ id, at: isoMoment(at), kind });
