/**
 * One life of the control plane of a world: the real runner, hub and store. A crash drops all of it at once: nothing that
 * waits is ever told, a transaction under way is rolled back by the closing of its database, and the next life opens the file.
 */
import { Hub } from '../../control-plane/channel/hub.ts';
import { makeKeepers } from '../../control-plane/core.ts';
import type { Presence } from '../../control-plane/operations/operations.ts';
import { OperationRunner } from '../../control-plane/operations/runner.ts';
import { Bell } from '../../control-plane/store/bell.ts';
import type { JobStore } from '../../control-plane/store/job-store.ts';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { Store } from '../../control-plane/store/store.ts';
import { Lifeline } from '../../provider-agent/commands/lifeline.ts';
import type { VaultId } from '../../shared/ids.ts';
import type { Clock, Log, Random } from '../../shared/ports.ts';
import type { Signer } from '../../shared/protocol/envelope.ts';
import type { StoredJob, Trace } from './trace.ts';
import type { Places } from './world-places.ts';

export interface ControlPlanePorts {
  readonly file: string;
  readonly vaultId: VaultId;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trace: Trace;
  readonly places: Places;
  /** Every list of commands is sent so often. */
  readonly deliveries: () => number;
}

export class ControlPlaneLife {
  readonly runner: OperationRunner;
  readonly hub: Hub;
  readonly bell: Bell;
  readonly keepers: ReturnType<typeof makeKeepers>;
  /** Past a crash none of its promises settles. */
  readonly store: Store;
  readonly life = new Lifeline();
  /** Before that it listens to nobody, as main does. */
  hasResumed: Promise<void> = new Promise(() => {});
  readonly #opened: Store;

  static async begin(ports: ControlPlanePorts): Promise<ControlPlaneLife> {
    const opened = await openStore({ file: ports.file });
    ports.trace.note({ type: 'reread', jobs: await allJobs(opened, ports.vaultId) });
    return new ControlPlaneLife(opened, ports);
  }

  private constructor(opened: Store, ports: ControlPlanePorts) {
    this.#opened = opened;
    const clock = this.life.clock(ports.clock);
    const { random, log, signer, deliveries } = ports;
    const bell = new Bell();
    this.store = mortal(opened, this.life, ports);
    const presence: Presence = {
      isConnected: (site) => this.hub.isConnected(site),
      lastHeardAt: (site) => this.hub.lastHeardAt(site),
      scriptsOf: (site) => this.hub.scriptsOf(site),
    };
    const runner: OperationRunner = new OperationRunner({
      store: this.store,
      clock,
      random,
      log,
      bell,
      presence,
      looks: { lookAt: (site, vm) => this.hub.lookAt(site, vm) },
      dispatcher: {
        send: (site, commands) => {
          for (let i = 0; i < deliveries(); i++) this.hub.send(site, commands);
        },
      },
      replication: {
        rootPem: '-----BEGIN CERTIFICATE-----\nroot\n',
        signSite: async () => '-----BEGIN CERTIFICATE-----\nsite\n',
      },
    });
    this.runner = runner;
    this.bell = bell;
    this.keepers = makeKeepers({ store: this.store, bell, presence, operations: runner, clock, random, log });
    this.hub = new Hub({ store: this.store, work: runner, signerOf: () => signer, bell, clock, log, defer: queueMicrotask });
  }

  resume(): void {
    this.hasResumed = this.runner.resume().then(async () => {
      for (const keeper of this.keepers) await keeper.begin();
    });
  }

  async crash(): Promise<void> {
    this.life.cut();
    await this.#opened.close();
  }
}

export async function allJobs(store: Store, vaultId: VaultId): Promise<StoredJob[]> {
  const jobs = await store.jobs.list(vaultId, { limit: 10_000 });
  return Promise.all(jobs.map(async (job) => ({ job, facts: (await store.jobs.facts(vaultId, job.id)).map(({ fact }) => fact) })));
}

/** The store as one life of a process has it, with the writes of jobs in the trace. */
function mortal(store: Store, life: Lifeline, { trace, places }: ControlPlanePorts): Store {
  const jobs: Pick<JobStore, 'open' | 'append'> = {
    async open(job) {
      await places.pass({ kind: 'append', when: 'before', what: 'open' });
      const opened = await store.jobs.open(job);
      if (opened === 'opened') trace.note({ type: 'opened', job });
      await places.pass({ kind: 'append', when: 'after', what: 'open' });
      return opened;
    },
    async append(vaultId, jobId, facts, projections) {
      const what = facts.map(({ type }) => type).join('+');
      await places.pass({ kind: 'append', when: 'before', what });
      await store.jobs.append(vaultId, jobId, facts, projections);
      trace.note({ type: 'facts', jobId, facts, projections });
      await places.pass({ kind: 'append', when: 'after', what });
    },
  };
  const held = (part: object, own: object = {}): never =>
    new Proxy(part, {
      get(target, name) {
        const from = name in own ? own : target;
        const value = Reflect.get(from, name) as unknown;
        return typeof value === 'function' ? (...args: unknown[]) => life.hold(() => value.apply(from, args) as Promise<unknown>) : value;
      },
    }) as never;
  return {
    accounts: held(store.accounts),
    sites: held(store.sites),
    enrolment: held(store.enrolment),
    observations: held(store.observations),
    wishes: held(store.wishes),
    promises: held(store.promises),
    rules: held(store.rules),
    jobs: held(store.jobs, jobs),
    settings: held(store.settings),
    close: () => store.close(),
  };
}
