/** Handlers: drills, each read from its jobs and from what the protected VMs say of it. */
import type { DrillScheduleAnswer } from '../../shared/api/drills.ts';
import { JobInput } from '../../shared/api/job-input.ts';
import type { recoveryRoutes } from '../../shared/api/recovery-routes.ts';
import { beginsAt, isOverdue } from '../../shared/domain/drill-schedule.ts';
import type { Problem } from '../../shared/errors.ts';
import { isoMoment } from '../../shared/ports.ts';
import { type DrilledPlan, drilledPlans, whyNotDrilled } from '../operations/drill-schedules.ts';
import { type CleanUp, drillRecord, needsFacts } from '../reports/drill-record.ts';
import type { Job } from '../store/job-store.ts';
import type { ApiPorts, Handlers } from './handler.ts';

const MOST_CLEAN_UPS = 10_000;

export function drillHandlers({
  store,
  operations,
  clock,
}: ApiPorts): Handlers<('listDrills' | 'listDrillSchedules') & keyof typeof recoveryRoutes> {
  return {
    async listDrills({ caller: { vaultId }, query: { limit, before } }) {
      const earlier = before === undefined ? {} : { before: Date.parse(before) };
      const drills = await store.jobs.list(vaultId, { kind: 'testFailover', limit, ...earlier });
      // In this order what happens in between can only make a drill look open for a moment longer.
      const vms = await store.promises.protectedVms(vaultId);
      const cleanUps = await store.jobs.list(vaultId, { kind: 'cleanUpTest', limit: MOST_CLEAN_UPS });
      const byDrill = Map.groupBy(cleanUps, ({ input }) => JobInput.safeParse(input).data?.drill);
      const left = Map.groupBy(vms, ({ drill }) => drill);
      const withFacts = async (job: Job): Promise<CleanUp> => ({
        job,
        facts: needsFacts(job) ? (await store.jobs.facts(vaultId, job.id)).map(({ fact }) => fact) : [],
      });
      const record = async (drill: Job) =>
        drillRecord(drill, await Promise.all((byDrill.get(drill.id) ?? []).map(withFacts)), left.get(drill.id)?.length ?? 0);
      return { drills: await Promise.all(drills.map(record)) };
    },

    async listDrillSchedules({ caller: { vaultId } }) {
      return { schedules: await Promise.all((await drilledPlans(vaultId, store)).map(scheduleAnswer)) };
    },
  };

  async function scheduleAnswer(drilled: DrilledPlan): Promise<DrillScheduleAnswer> {
    const { plan, schedule, last, dueAt } = drilled;
    const now = clock.now();
    return {
      plan: { id: plan.id, name: plan.name, version: plan.version },
      schedule,
      last: last && { drill: last.id, startedAt: isoMoment(last.startedAt), startedBy: last.startedBy },
      nextAt: isoMoment(dueAt),
      issues: isOverdue(dueAt, now) ? [await overdue(drilled, now)] : [],
    };
  }

  /** With what would keep it from beginning now, if anything does. */
  async function overdue(drilled: DrilledPlan, now: number): Promise<DrillScheduleAnswer['issues'][number]> {
    const against = await whyNotDrilled(drilled, store, operations);
    const from = isoMoment(beginsAt(drilled.schedule, drilled.dueAt, now));
    const reason = against === null ? `it begins from ${from} on` : [against.message, ...against.problems.map(problemText)].join('; ');
    return {
      issue: 'drillOverdue',
      cause: `It was to be drilled at ${isoMoment(drilled.dueAt)}, and was not. Reason: ${reason}.`,
      remedy: 'Remove the reason named: it is tried again by itself. Or drill it yourself: farshore drills start.',
    };
  }
}

const problemText = ({ field, message }: Problem): string => (field === undefined ? message : `${field}: ${message}`);
