/**
 * Failovers that take themselves back unless they are committed in time. When that is stands with the VMs, so it outlives this
 * process; here is only the looking. What can be taken back is, by an ordinary job; the rest is tried again, and when its time is
 * over its VMs say why. The ids of the jobs follow from that of the failover, so no job is asked for twice and no VM is tried twice.
 */
import { JobInput } from '../../shared/api/job-input.ts';
import type { OperationRequestOf, Target } from '../../shared/api/operations.ts';
import { AGENT_AWAY, SITE_KNOWS_MORE } from '../../shared/domain/health.ts';
import { whyNot } from '../../shared/domain/protected-vm.ts';
import { toFarshoreError } from '../../shared/errors.ts';
import { type JobId, PlanId, type ProtectedVmId, type SiteId } from '../../shared/ids.ts';
import type { Bell } from '../store/bell.ts';
import type { Job } from '../store/job-store.ts';
import type { OpenCommitWindow, ProtectedVm } from '../store/promise-store.ts';
import type { Store } from '../store/store.ts';
import { derivedJobId } from './derived-job-id.ts';
import { LOOK_AGAIN_MS, type LookPorts, Looks } from './looks.ts';
import type { Actor, Presence } from './operations.ts';

/** No user can be called so: names of users have no spaces. */
const ACTOR_NAME = 'Farshore (commit window)';
/** Later than that nobody expects it any more, and what was written meanwhile would be lost. */
const LAPSES_AFTER_MS = 3_600_000;

export interface CommitWindowPorts extends LookPorts {
  readonly store: Pick<Store, 'jobs' | 'promises'>;
  readonly bell: Bell;
  readonly presence: Pick<Presence, 'isConnected'>;
  /** Whether a site of it knows more than the log, or has not told yet. */
  isUnsure(vm: ProtectedVm, sites: readonly SiteId[]): boolean;
  start(request: OperationRequestOf<'takeBack'>, actor: Actor): Promise<unknown>;
}

export class CommitWindows {
  readonly #ports: CommitWindowPorts;
  readonly #looks: Looks;

  constructor(ports: CommitWindowPorts) {
    this.#ports = ports;
    this.#looks = new Looks('commit windows', ports, () => this.#lookOnce());
  }

  /** Acts on every window that has ended, and looks again at the next moment that matters. */
  look(): void {
    this.#looks.look();
  }

  stop(): void {
    this.#looks.stop();
  }

  async #lookOnce(): Promise<number | null> {
    const { store, clock } = this.#ports;
    const waits: number[] = [];
    for (const window of await store.jobs.commitWindows()) {
      const left = window.endsAt - clock.now();
      if (left > 0) waits.push(left);
      else if (await this.#isOpenStill(window)) waits.push(LOOK_AGAIN_MS);
    }
    return waits.length === 0 ? null : Math.min(...waits);
  }

  /** Whether it has to be looked at again without anything having happened. */
  async #isOpenStill(window: OpenCommitWindow): Promise<boolean> {
    const { vaultId, failover, endsAt } = window;
    const before = await this.#takeBacksOf(window);
    const tried = (isEnded: boolean) => new Set(before.filter(({ endedAt }) => (endedAt !== null) === isEnded).flatMap(vmsOf));
    const [ended, underWay] = [tried(true), tried(false)];
    await this.#lapse(
      window,
      window.vms.filter((vm) => ended.has(vm)),
      'it was tried, and a person left it where it is',
    );
    // While a job runs its own end will have us look.
    const left = await this.#ports.store.promises.protectedVms(vaultId, {
      ids: window.vms.filter((vm) => !ended.has(vm) && !underWay.has(vm)),
    });
    const reasons = await this.#reasons(left);
    if (this.#ports.clock.now() > endsAt + LAPSES_AFTER_MS) {
      for (const [why, vms] of Map.groupBy(left, ({ id }) => reasons.get(id) || 'nothing could begin it within an hour of its moment'))
        await this.#lapse(
          window,
          vms.map(({ id }) => id),
          why,
        );
      return false;
    }
    const ready = left.flatMap(({ id }) => (reasons.get(id) === '' ? [id] : []));
    if (ready.length === 0) return left.length > 0;
    try {
      await this.#takeBack(window, takeBackOf(failover, before.length + 1), ready);
      return ready.length < left.length;
    } catch (error) {
      this.#ports.log.warn({ err: error, vaultId, failover }, 'a failover that was not committed in time cannot be taken back now');
      return true;
    }
  }

  /** The jobs that it has started so far. */
  async #takeBacksOf({ vaultId, failover }: OpenCommitWindow): Promise<Job[]> {
    const jobs: Job[] = [];
    for (;;) {
      const job = await this.#ports.store.jobs.find(vaultId, takeBackOf(failover, jobs.length + 1));
      if (job === null) return jobs;
      jobs.push(job);
    }
  }

  /** Why each cannot be taken back now; empty where it can. */
  async #reasons(vms: readonly ProtectedVm[]): Promise<ReadonlyMap<ProtectedVmId, string>> {
    const { store, presence, isUnsure } = this.#ports;
    const [vaultId] = vms.map((vm) => vm.vaultId);
    const pairings = new Map((vaultId === undefined ? [] : await store.promises.pairings(vaultId)).map((pairing) => [pairing.id, pairing]));
    const reasonOf = (vm: ProtectedVm) => {
      const pairing = pairings.get(vm.pairingId);
      const sites = pairing === undefined ? [] : [pairing.primary.siteId, pairing.recovery.siteId];
      const isAway = !sites.every((siteId) => presence.isConnected(siteId));
      return whyNot(vm, 'takeBack') || (isAway ? AGENT_AWAY : isUnsure(vm, sites) ? SITE_KNOWS_MORE : '');
    };
    return new Map(vms.map((vm) => [vm.id, reasonOf(vm)]));
  }

  async #takeBack({ vaultId, failover }: OpenCommitWindow, id: JobId, vms: readonly ProtectedVmId[]): Promise<void> {
    const job = await this.#ports.store.jobs.find(vaultId, failover);
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

  async #lapse({ vaultId, failover }: OpenCommitWindow, vms: readonly ProtectedVmId[], why: string): Promise<void> {
    if (vms.length === 0) return;
    const { store, bell, log } = this.#ports;
    log.error({ vaultId, failover, vms, why }, 'a failover that was not committed in time does not take itself back any more');
    await store.jobs.lapseCommitWindow({ vaultId, failover, vms }, why);
    bell.ring(vaultId, { type: 'vms' });
  }
}

/** The VMs that a job to take back is for. */
function vmsOf({ input }: Job): ProtectedVmId[] {
  return (JobInput.parse(input).groups ?? []).flatMap(({ members }) => members.map(({ vm }) => vm));
}

/** The version that ran, whichever is the newest now. */
function planOf(job: Job | null, version: number | null | undefined): { plan: PlanId; version: number } | null {
  const { plan } = (job?.input as { target?: { plan?: unknown } } | undefined)?.target ?? {};
  const id = PlanId.safeParse(plan);
  return id.success && version ? { plan: id.data, version } : null;
}

/** The first for what can be taken back when the window ends, the others for what had to wait. */
export const takeBackOf = (failover: JobId, round = 1): JobId => derivedJobId(`take back ${failover}${round === 1 ? '' : ` ${round}`}`);
