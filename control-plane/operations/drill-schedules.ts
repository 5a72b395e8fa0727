/**
 * Drills that begin and end by themselves: a plan says how often it is drilled, and a drill how long its copies stand. Nothing is
 * remembered here. When a drill is due follows from the last one and from the plan, and the id of its job from that moment, so whoever
 * starts it twice starts it once; the same holds for the clean-up. What is refused now is tried again, and the plan says why.
 */

import { JobInput } from '../../shared/api/job-input.ts';
import type { DrillNetwork, OperationRequest, OperationRequestOf } from '../../shared/api/operations.ts';
import { beginsAt, type DrillSchedule, dueAt, networkMeant, standsUntil } from '../../shared/domain/drill-schedule.ts';
import { FarshoreError, type Problem, toFarshoreError } from '../../shared/errors.ts';
import type { JobId, VaultId } from '../../shared/ids.ts';
import type { Job } from '../store/job-store.ts';
import type { Plan, Store } from '../store/store.ts';
import { derivedJobId } from './derived-job-id.ts';
import { type LookPorts, Looks } from './looks.ts';
import type { Actor, Operations } from './operations.ts';

/** No user can be called so: names of users have no spaces. */
const ACTOR_NAME = 'Farshore (drill schedule)';
/** Plans are saved without a word to anybody, and the soonest that one can ask for is a day away. */
const LOOK_EVERY_MS = 3_600_000;
/** After a refusal: a site is away, a VM is busy or was failed over. */
const AGAIN_AFTER_MS = 300_000;
/** After a clean-up that left something. */
const CLEAN_UP_AGAIN_AFTER_MS = 3_600_000;
const MOST_DRILLS = 10_000;

export interface DrillSchedulePorts extends LookPorts {
  readonly store: Store;
  start(request: OperationRequest, actor: Actor): Promise<unknown>;
}

/** A plan that asks to be drilled. */
export interface DrilledPlan {
  readonly plan: Plan;
  readonly schedule: DrillSchedule;
  /** Its last drill, whoever started it; one of some members only is none of the plan. */
  readonly last: Job | null;
  readonly dueAt: number;
}

export class DrillSchedules {
  readonly #ports: DrillSchedulePorts;
  readonly #looks: Looks;

  constructor(ports: DrillSchedulePorts) {
    this.#ports = ports;
    this.#looks = new Looks('drill schedules', ports, () => this.#lookOnce());
  }

  look(): void {
    this.#looks.look();
  }

  stop(): void {
    this.#looks.stop();
  }

  async #lookOnce(): Promise<number> {
    const { store } = this.#ports;
    const waits = [LOOK_EVERY_MS];
    for (const { id } of await store.accounts.vaults()) {
      for (const plan of await drilledPlans(id, store)) waits.push(await this.#drill(plan));
      for (const drill of await this.#standing(id)) waits.push(await this.#cleanUp(drill));
    }
    return Math.min(...waits);
  }

  /** Starts it where it is due; answers in how many milliseconds to look again. */
  async #drill(drilled: DrilledPlan): Promise<number> {
    const { store, clock, log, start } = this.#ports;
    const { vaultId, id: planId, name } = drilled.plan;
    const now = clock.now();
    const at = beginsAt(drilled.schedule, drilled.dueAt, now);
    if (at > now) return at - now;
    try {
      const request = await requestFor(drilled, store);
      await start(request, { vaultId, name: ACTOR_NAME });
      log.info({ vaultId, planId, jobId: request.id }, 'a plan is drilled, as it asks');
      return LOOK_EVERY_MS;
    } catch (error) {
      log.warn({ err: toFarshoreError(error), vaultId, planId, name }, 'a drill that is due cannot begin now');
      return AGAIN_AFTER_MS;
    }
  }

  /** Drills that have ended, of which copies are left. */
  async #standing(vaultId: VaultId): Promise<Job[]> {
    const { jobs, promises } = this.#ports.store;
    const drills = new Set((await promises.protectedVms(vaultId)).flatMap(({ drill }) => drill ?? []));
    const found = await Promise.all([...drills].map((id) => jobs.find(vaultId, id)));
    return found.flatMap((job) => (job === null || job.endedAt === null ? [] : [job]));
  }

  /** Of one that stands for a time only. */
  async #cleanUp(drill: Job): Promise<number> {
    const { clock, log, start } = this.#ports;
    const { vaultId, id, state } = drill;
    const now = clock.now();
    const before = await this.#lastCleanUp(drill);
    if (before.last?.endedAt === null) return LOOK_EVERY_MS;
    const minutes = JobInput.parse(drill.input).cleanUpAfterMinutes;
    if (minutes === undefined) return LOOK_EVERY_MS;
    const at = before.last ? (before.last.endedAt ?? 0) + CLEAN_UP_AGAIN_AFTER_MS : standsUntil(drill.endedAt ?? now, minutes);
    if (at > now) return at - now;
    const notes = `Cleaned up by its schedule, ${minutes} minutes after it ended: nobody has said anything of it. Its job: ${state}.`;
    const outcome = state === 'succeeded' ? 'passed' : 'failed';
    try {
      await start({ id: before.next, kind: 'cleanUpTest', drill: id, outcome, notes }, { vaultId, name: ACTOR_NAME });
      return LOOK_EVERY_MS;
    } catch (error) {
      log.warn({ err: toFarshoreError(error), vaultId, drill: id }, 'a drill cannot be cleaned up now, as it asks');
      return AGAIN_AFTER_MS;
    }
  }

  /** The clean-up that was started last by itself, and the id of the next. */
  async #lastCleanUp({ vaultId, id }: Job): Promise<{ readonly last: Job | null; readonly next: JobId }> {
    let last: Job | null = null;
    for (let round = 1; ; round++) {
      const next = cleanUpOf(id, round);
      const job = await this.#ports.store.jobs.find(vaultId, next);
      if (job === null) return { last, next };
      last = job;
    }
  }
}

/** The newest versions that ask to be drilled. */
export async function drilledPlans(vaultId: VaultId, { wishes, jobs }: Pick<Store, 'wishes' | 'jobs'>): Promise<DrilledPlan[]> {
  const plans = (await wishes.plans(vaultId)).flatMap((plan) => (plan.document.drill ? [{ plan, schedule: plan.document.drill }] : []));
  if (plans.length === 0) return [];
  const drills = await jobs.list(vaultId, { kind: 'testFailover', limit: MOST_DRILLS });
  return Promise.all(
    plans.map(async ({ plan, schedule }) => {
      const last = drills.find((job) => isOf(job, plan)) ?? null;
      const since = last?.startedAt ?? askedSince(await wishes.versions(vaultId, plan.id));
      return { plan, schedule, last, dueAt: dueAt(schedule, since) };
    }),
  );
}

function isOf({ input }: Job, { id }: Plan): boolean {
  const { target } = input as { target?: { plan?: unknown; only?: unknown } };
  return target?.plan === id && target.only === undefined;
}

/** `versions` newest first: the oldest of those that have asked for it ever since. */
function askedSince(versions: readonly Plan[]): number {
  const stopped = versions.findIndex(({ document }) => document.drill === undefined);
  return versions.slice(0, stopped < 0 ? versions.length : stopped).at(-1)?.createdAt ?? 0;
}

/** Why it could not begin now; null where it could. */
export async function whyNotDrilled(
  drilled: DrilledPlan,
  store: Store,
  operations: Pick<Operations, 'whyNot'>,
): Promise<FarshoreError | null> {
  try {
    return await operations.whyNot(await requestFor(drilled, store), { vaultId: drilled.plan.vaultId, name: ACTOR_NAME });
  } catch (error) {
    return toFarshoreError(error);
  }
}

/** Throws ERR_NETWORK_NOT_FOUND where its plan names a network that is not there. */
export async function requestFor({ plan, schedule, dueAt: due }: DrilledPlan, store: Store): Promise<OperationRequestOf<'testFailover'>> {
  return {
    id: drillOf(plan, due),
    kind: 'testFailover',
    target: { plan: plan.id, version: plan.version },
    recoveryPoint: { choose: 'latest' },
    network: await networkOf(schedule, plan.vaultId, store),
    cleanUpAfterMinutes: schedule.standsMinutes,
  };
}

async function networkOf({ networks, makeNetworksLike }: DrillSchedule, vaultId: VaultId, store: Store): Promise<DrillNetwork> {
  const names = networks ?? makeNetworksLike;
  if (names === undefined) return { use: 'none' };
  const known = await namedNetworks(vaultId, store);
  const problems: Problem[] = [];
  const meant = names.flatMap((name) => {
    const found = networkMeant(name, known);
    if (!('problem' in found)) return [{ siteId: found.siteId, networkId: found.id }];
    problems.push({ field: 'network', message: found.problem });
    return [];
  });
  if (problems.length > 0) throw new FarshoreError('ERR_NETWORK_NOT_FOUND', 'not every network that the plan names is there', { problems });
  return { use: networks === undefined ? 'made' : 'isolated', networks: meant };
}

export async function namedNetworks(vaultId: VaultId, { observations, sites }: Pick<Store, 'observations' | 'sites'>) {
  const names = new Map((await sites.list(vaultId)).map(({ id, name }) => [id, name]));
  return (await observations.networks(vaultId)).map((network) => ({ ...network, siteName: names.get(network.siteId) ?? '' }));
}

export const drillOf = ({ id }: Pick<Plan, 'id'>, due: number): JobId => derivedJobId(`drill ${id} ${due}`);
export const cleanUpOf = (drill: JobId, round = 1): JobId => derivedJobId(`clean up ${drill} ${round}`);
