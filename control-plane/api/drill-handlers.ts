/** Handlers: drills, each read from its jobs and from what the protected VMs say of it. */
import { JobInput } from '../../shared/api/job-input.ts';
import type { recoveryRoutes } from '../../shared/api/recovery-routes.ts';
import { type CleanUp, drillRecord, needsFacts } from '../reports/drill-record.ts';
import type { Job } from '../store/store.ts';
import type { ApiPorts, Handlers } from './handler.ts';

const MOST_CLEAN_UPS = 10_000;

export function drillHandlers({ store }: ApiPorts): Handlers<'listDrills' & keyof typeof recoveryRoutes> {
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
  };
}
