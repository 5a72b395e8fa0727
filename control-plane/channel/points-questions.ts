/** Questions how a VM stands and what recovery points it has, that wait for the answer of one agent. They end with its connection. */
import { FarshoreError } from '../../shared/errors.ts';
import type { VmRef } from '../../shared/ids.ts';
import type { Clock } from '../../shared/ports.ts';
import type { AgentMessage } from '../../shared/protocol/egress.ts';
import type { CloudMessage } from '../../shared/protocol/messages.ts';

const ANSWER_WITHIN_MS = 20_000;

export type PointsTold = Extract<AgentMessage, { type: 'recoveryPoints.told' }>;

export class PointsQuestions {
  readonly #send: (message: CloudMessage) => void;
  readonly #clock: Clock;
  readonly #open = new Map<number, PromiseWithResolvers<PointsTold>>();
  #asked = 0;

  constructor(send: (message: CloudMessage) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** Throws ERR_FABRIC_TIMEOUT, ERR_AGENT_OFFLINE when the connection ends first. */
  async ask(vm: VmRef): Promise<PointsTold> {
    const question = ++this.#asked;
    const answer = Promise.withResolvers<PointsTold>();
    const cancel = this.#clock.after(ANSWER_WITHIN_MS, () =>
      answer.reject(
        new FarshoreError('ERR_FABRIC_TIMEOUT', `the site has not told its recovery points within ${ANSWER_WITHIN_MS / 1000} s`),
      ),
    );
    this.#open.set(question, answer);
    this.#send({ type: 'recoveryPoints.ask', question, vm });
    try {
      return await answer.promise;
    } finally {
      cancel();
      this.#open.delete(question);
    }
  }

  /** An answer that nobody waits for any more means nothing. */
  told(answer: PointsTold): void {
    this.#open.get(answer.question)?.resolve(answer);
  }

  end(): void {
    for (const answer of this.#open.values())
      answer.reject(new FarshoreError('ERR_AGENT_OFFLINE', 'the agent of the site was disconnected before it had answered'));
  }
}
