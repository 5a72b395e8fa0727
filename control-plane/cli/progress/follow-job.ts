/**
 * Watches a job until it has ended or waits for a person. A connection that breaks is made again and goes on behind the last
 * fact seen, so the control plane may restart in the middle. Ctrl-C ends the watching, never the job.
 */

import { eventData } from '../../../shared/api/events.ts';
import type { RouteAnswer } from '../../../shared/api/routes.ts';
import { Fact } from '../../../shared/engine/facts.ts';
import { FarshoreError, toFarshoreError } from '../../../shared/errors.ts';
import type { JobId } from '../../../shared/ids.ts';
import { pause } from '../../../shared/ports.ts';
import type { Client } from '../client.ts';
import { readEvents, type ServerEvent } from '../event-reader.ts';
import type { Surroundings } from '../surroundings.ts';
import { JobModel } from './job-model.ts';
import type { Watcher } from './watchers.ts';
import { awaitedText } from './words.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 3_000;
/** So long without an answer, and the control plane counts as gone. */
const GIVE_UP_MS = 180_000;
/** How often the job is read anew at most, for what facts alone do not tell. */
const REFRESH_MS = 2_000;

type JobDetail = RouteAnswer<'getJob'>;

export interface Followed {
  readonly detail: JobDetail;
  readonly isInterrupted: boolean;
}

/** Throws ERR_CONTROL_PLANE_UNREACHABLE when it stays away, and what the server refuses. */
export async function followJob(client: Client, id: JobId, watcher: Watcher, surroundings: Surroundings): Promise<Followed> {
  const stop = new AbortController();
  const stopListening = surroundings.onInterrupt(() => stop.abort(new Error('interrupted')));
  try {
    return await new Following(client, id, watcher, surroundings, stop.signal).run();
  } finally {
    stopListening();
    watcher.end();
  }
}

class Following {
  readonly #client: Client;
  readonly #id: JobId;
  readonly #watcher: Watcher;
  readonly #surroundings: Surroundings;
  readonly #signal: AbortSignal;
  #model: JobModel | null = null;
  #readAt = 0;
  #told = '';

  constructor(client: Client, id: JobId, watcher: Watcher, surroundings: Surroundings, signal: AbortSignal) {
    this.#client = client;
    this.#id = id;
    this.#watcher = watcher;
    this.#surroundings = surroundings;
    this.#signal = signal;
  }

  async run(): Promise<Followed> {
    const { clock } = this.#surroundings;
    let answeredAt = clock.now();
    let wait = FIRST_WAIT_MS;
    for (;;) {
      try {
        const detail = await this.#watchOnce(() => {
          answeredAt = clock.now();
          wait = FIRST_WAIT_MS;
        });
        if (detail) return { detail, isInterrupted: false };
      } catch (thrown) {
        if (this.#signal.aborted && this.#model) return { detail: this.#model.detail, isInterrupted: true };
        const error = toFarshoreError(thrown);
        const isLost = error.code === 'ERR_CONTROL_PLANE_UNREACHABLE' || error.code === 'ERR_TOO_MANY_REQUESTS';
        if (!isLost || clock.now() - answeredAt > GIVE_UP_MS) throw error;
      }
      this.#tell('The control plane does not answer; the job goes on, and watching resumes when it is back ...');
      await pause(clock, wait, this.#signal).catch(() => {});
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** One connection. Answers the job when there is nothing more to watch; null when the stream broke. */
  async #watchOnce(onAnswer: () => void): Promise<JobDetail | null> {
    let model = await this.#read();
    onAnswer();
    if (isAtRest(model)) return model.detail;
    const stream = await this.#client.openEvents({ job: this.#id }, model.lastSeq, this.#signal);
    this.#tell(awaitedText(model.detail));
    try {
      for await (const event of readEvents(stream, this.#surroundings.clock)) {
        onAnswer();
        if (event !== null) this.#take(model, event);
        const isOld = (event === null || model.isOutdated) && this.#surroundings.clock.now() - this.#readAt > REFRESH_MS;
        const mustRead = isAtRest(model) || isOld;
        if (mustRead) model = await this.#read();
        if (isAtRest(model)) return model.detail;
      }
    } catch (thrown) {
      if (this.#signal.aborted || thrown instanceof FarshoreError) throw thrown;
    }
    return null;
  }

  #take(model: JobModel, { name, id, data }: ServerEvent): void {
    if (name === 'stage') {
      const { step, stage } = eventData.stage.parse(data);
      model.stage(step, stage);
      this.#watcher.stage(step, stage);
    }
    if (name !== 'fact' || id === null) return;
    const fact = Fact.parse(data);
    if (model.apply(id, fact)) this.#watcher.fact(model, id, fact);
  }

  /** The job anew. The watcher is told every fact that it has not seen, from the first one on. */
  async #read(): Promise<JobModel> {
    const detail = await this.#client.call('getJob', { params: { jobId: this.#id } });
    this.#readAt = this.#surroundings.clock.now();
    const fresh = new JobModel(detail);
    this.#watcher.begin(fresh);
    const seen = this.#model?.lastSeq ?? 0;
    if (fresh.lastSeq > seen) {
      const { facts } = await this.#client.call('listFacts', { params: { jobId: this.#id }, query: { after: seen } });
      for (const { seq, fact } of facts) if (seq <= fresh.lastSeq) this.#watcher.fact(fresh, seq, fact);
    }
    this.#model = fresh;
    this.#tell(awaitedText(detail));
    return fresh;
  }

  #tell(notice: string): void {
    if (notice !== this.#told) this.#watcher.notice(notice);
    this.#told = notice;
  }
}

function isAtRest({ state }: JobModel): boolean {
  return state !== 'inProgress';
}
