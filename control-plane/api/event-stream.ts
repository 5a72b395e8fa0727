/**
 * The event stream. A client that reads too slowly is cut, never waited for and never buffered without bound: it comes back
 * with Last-Event-ID and misses nothing. Each heartbeat checks that the credential is still good.
 */
import { once } from 'node:events';
import type { Response } from 'express';
import type { EventName } from '../../shared/api/events.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, StepId } from '../../shared/ids.ts';
import { pause } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { Ring } from '../store/bell.ts';
import type { StoredFact } from '../store/job-store.ts';
import { callerOf } from './credentials.ts';
import type { ApiPorts, Caller } from './handler.ts';

const HEARTBEAT_MS = 15_000;
/** Rings closer together than this are answered as one. */
const GATHER_MS = 50;
const SLOWEST_MS = 20_000;
const BUFFER_BYTES = 1024 * 1024;
/** Open at once by one user: consoles and command lines, and no leak. */
const STREAMS_PER_USER = 50;

export class EventStreams {
  readonly #ports: ApiPorts;
  readonly #open = new Map<string, Set<Response>>();

  constructor(ports: ApiPorts) {
    this.#ports = ports;
  }

  /** Resolves when the stream has ended. Throws before anything is sent: ERR_NOT_FOUND, ERR_TOO_MANY_REQUESTS. */
  async serve(caller: Caller, job: JobId | undefined, lastEventId: string | undefined, response: Response): Promise<void> {
    if (job !== undefined && (await this.#ports.store.jobs.find(caller.vaultId, job)) === null) {
      throw new FarshoreError('ERR_NOT_FOUND', 'there is no such job');
    }
    const ofUser = this.#open.get(caller.user.id) ?? new Set<Response>();
    if (ofUser.size >= STREAMS_PER_USER)
      throw new FarshoreError('ERR_TOO_MANY_REQUESTS', `a user can have ${STREAMS_PER_USER} streams open`);
    this.#open.set(caller.user.id, ofUser.add(response));
    const stream = new EventStream(this.#ports, caller, response);
    try {
      await stream.run(job, Math.max(0, Number.parseInt(lastEventId ?? '0', 10) || 0));
    } finally {
      ofUser.delete(response);
      if (ofUser.size === 0) this.#open.delete(caller.user.id);
    }
  }

  /** Ends all, so that the server can stop. */
  close(): void {
    for (const ofUser of this.#open.values()) for (const response of ofUser) response.destroy();
  }
}

class EventStream {
  readonly #ports: ApiPorts;
  readonly #caller: Caller;
  readonly #response: Response;
  readonly #gone = new AbortController();
  readonly #rings = new Map<string, Ring>();
  #wake: () => void = () => {};

  constructor(ports: ApiPorts, caller: Caller, response: Response) {
    this.#ports = ports;
    this.#caller = caller;
    this.#response = response;
  }

  async run(job: JobId | undefined, lastSeq: number): Promise<void> {
    this.#response.once('close', () => this.#gone.abort(new Error('the client has gone')));
    this.#response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
    this.#response.write('retry: 1000\n\n');
    const hear = (ring: Ring) => {
      if (job !== undefined && !(ring.type === 'job' && ring.jobId === job)) return;
      this.#rings.set(JSON.stringify(ring), ring);
      this.#wake();
    };
    const stopListening = this.#ports.bell.listen(this.#caller.vaultId, hear);
    try {
      await Promise.race([this.#beat(), job === undefined ? this.#sendRings() : this.#sendJob(job, lastSeq)]);
    } catch (reason) {
      if (!this.#gone.signal.aborted) this.#ports.log.warn({ err: reason }, 'event stream was cut');
    } finally {
      stopListening();
      this.#gone.abort(new Error('the stream has ended'));
      this.#response.destroy();
    }
  }

  async #sendRings(): Promise<void> {
    for (;;) {
      for (const { type, ...ids } of await this.#nextRings()) await this.#send(type, ids);
    }
  }

  async #sendJob(job: JobId, lastSeq: number): Promise<void> {
    const running = new Map<StepId, Stage | null>();
    // What the client has seen already is read once too: it tells which steps are running.
    let seen = 0;
    for (;;) {
      const facts = await this.#ports.store.jobs.facts(this.#caller.vaultId, job, seen);
      for (const stored of facts) {
        seen = stored.seq;
        follow(running, stored);
        if (stored.seq > lastSeq) await this.#send('fact', stored.fact, stored.seq);
      }
      for (const [step, known] of running) {
        const stage = this.#ports.operations.stageOf(job, step);
        if (stage === null || stage === known) continue;
        running.set(step, stage);
        await this.#send('stage', { step, stage });
      }
      await this.#nextRings();
    }
  }

  /** Waits for a ring, and a moment longer for those that come with it. */
  async #nextRings(): Promise<Ring[]> {
    if (this.#rings.size === 0) {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        this.#gone.signal.addEventListener('abort', () => reject(this.#gone.signal.reason), { once: true });
      });
    }
    await pause(this.#ports.clock, GATHER_MS, this.#gone.signal);
    const rings = [...this.#rings.values()];
    this.#rings.clear();
    return rings;
  }

  async #send(event: EventName, data: object, id?: number): Promise<void> {
    this.#gone.signal.throwIfAborted();
    const head = id === undefined ? '' : `id: ${id}\n`;
    this.#response.write(`${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (this.#response.writableLength < BUFFER_BYTES) return;
    const stop = new AbortController();
    const tooSlow = pause(this.#ports.clock, SLOWEST_MS, stop.signal).then(() => Promise.reject(new Error('the client reads too slowly')));
    try {
      await Promise.race([once(this.#response, 'drain', { signal: this.#gone.signal }), tooSlow]);
    } finally {
      stop.abort();
      tooSlow.catch(() => {});
    }
  }

  async #beat(): Promise<void> {
    const { clock, store } = this.#ports;
    for (;;) {
      await pause(clock, HEARTBEAT_MS, this.#gone.signal);
      if ((await callerOf(this.#caller.credential.hash, store, clock)) === null) return;
      this.#response.write(': still here\n\n');
    }
  }
}

/** Keeps the steps that are under way. */
function follow(running: Map<StepId, Stage | null>, { fact }: StoredFact): void {
  if (fact.type === 'started' || fact.type === 'undoStarted') running.set(fact.step, null);
  else if ('step' in fact) running.delete(fact.step);
}
