/**
 * Failovers that take themselves back unless they are committed in time. When that is stands with the VMs, so it outlives this
 * process; here is only the looking: after a start, when a job has ended, and at the next moment. What is started is an ordinary
 * job to take back, and its id follows from that of the failover, so it can be asked for again and never runs twice.
 */
import { JobInput } from '../../shared/api/job-input.ts';
import type { OperationRequestOf, Target } from '../../shared/api/operations.ts';
import { toFarshoreError } from '../../shared/errors.ts';
import { type JobId, PlanId } from '../../shared/ids.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Job, JobStore, OpenCommitWindow } from '../store/store.ts';
import { derivedJobId } from './derived-job-id.ts';
import type { Actor } from './operations.ts';

/** No user can be called so: names of users have no spaces. */
const ACTOR_NAME = 'Farshore (commit window)';
/** While it cannot be taken back now: an agent is away, another job works on a VM. */
const LOOK_AGAIN_MS = 15_000;
/** Later than that nobody expects it any more, and what was written meanwhile would be lost. */
const LAPSES_AFTER_MS = 3_600_000;
/** Timers do not take a month. */
const LONGEST_WAIT_MS = 3_600_000;

export interface CommitWindowPorts {
  readonly jobs: JobStore;
  readonly clock: Clock;
  readonly log: Log;
  start(request: OperationRequestOf<'takeBack'>, actor: Actor): Promise<unknown>;
}

export class CommitWindows {
  readonly #ports: CommitWindowPorts;
  #cancelLook = () => {};
  #isStopped = false;
  #isLooking = false;
  #isAskedAgain = false;

  constructor(ports: CommitWindowPorts) {
    this.#ports = ports;
  }

  /** Acts on every window that has ended, and looks again at the next moment that matters. One look at a time. */
  look(): void {
    if (this.#isStopped) return;
    this.#isAskedAgain = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#cancelLook();
    void this.#lookSurely().then((wait) => {
      this.#isLooking = false;
      if (this.#isAskedAgain) this.look();
      else if (wait !== null && !this.#isStopped) this.#cancelLook = this.#ports.clock.after(wait, () => this.look());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook();
  }

  async #lookSurely(): Promise<number | null> {
    try {
      return await this.#lookOnce();
    } catch (error) {
      this.#ports.log.error({ err: error }, 'commit windows could not be looked at');
      return LOOK_AGAIN_MS;
    }
  }

  /** How long nothing is to be done; null where there is no window. */
  async #lookOnce(): Promise<number | null> {
    const { jobs, clock } = this.#ports;
    const waits: number[] = [];
    for (const window of await jobs.commitWindows()) {
      const left = window.endsAt - clock.now();
      if (left > 0) waits.push(left);
      else if (await this.#isOpenStill(window)) waits.push(LOOK_AGAIN_MS);
    }
    return waits.length === 0 ? null : Math.min(LONGEST_WAIT_MS, ...waits);
  }

  /** Whether it has to be looked at again without anything having happened. */
  async #isOpenStill(window: OpenCommitWindow): Promise<boolean> {
    const { jobs, clock } = this.#ports;
    const { vaultId, failover, endsAt } = window;
    const id = takeBackOf(failover);
    const known = await jobs.find(vaultId, id);
    // While it runs its own end will have us look; when it has ended and VMs are left, a person left them there.
    if (known !== null) return known.endedAt === null ? false : this.#lapse(window, 'it was tried, and a person left VMs where they are');
    if (clock.now() > endsAt + LAPSES_AFTER_MS) return this.#lapse(window, 'it was not possible within an hour of its moment');
    try {
      await this.#takeBack(window, id);
      return false;
    } catch (error) {
      this.#ports.log.warn({ err: error, vaultId, failover }, 'a failover that was not committed in time cannot be taken back now');
      return true;
    }
  }

  async #takeBack({ vaultId, failover, vms }: OpenCommitWindow, id: JobId): Promise<void> {
    const job = await this.#ports.jobs.find(vaultId, failover);
    const { commitWithinMinutes, ...input } = JobInput.parse(job?.input ?? {});
    const reason = `it was not committed within ${commitWithinMinutes} minutes, as its plan asks (failover ${failover})`;
    const actor = { vaultId, name: ACTOR_NAME };
    const ask = (target: Target) => this.#ports.start({ id, kind: 'takeBack', target, reason }, actor);
    const plan = planOf(job, input.planVersion);
    if (plan === null) return void (await ask({ vms: [...vms] }));
    try {
      await ask({ ...plan, only: [...vms] });
    } catch (error) {
      // Names of VMs may have changed since: then they go back together, without the order of the plan.
      if (toFarshoreError(error).code !== 'ERR_DOCUMENT_INVALID') throw error;
      await ask({ vms: [...vms] });
    }
  }

  async #lapse({ vaultId, failover }: OpenCommitWindow, why: string): Promise<false> {
    this.#ports.log.error({ vaultId, failover, why }, 'a failover that was not committed in time does not take itself back any more');
    await this.#ports.jobs.lapseCommitWindow(vaultId, failover);
    return false;
  }
}

/** The version that ran, whichever is the newest now. */
function planOf(job: Job | null, version: number | null | undefined): { plan: PlanId; version: number } | null {
  const { plan } = (job?.input as { target?: { plan?: unknown } } | undefined)?.target ?? {};
  const id = PlanId.safeParse(plan);
  return id.success && version ? { plan: id.data, version } : null;
}

export const takeBackOf = (failover: JobId): JobId => derivedJobId(`take back ${failover}`);
