/** Reads jobs for an export through the routes that everyone has, page by page, and waits where the server asks for less haste. */
import type { JobAnswer } from '../../shared/api/jobs.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId } from '../../shared/ids.ts';
import { type Clock, isoMoment, pause } from '../../shared/ports.ts';
import type { Client } from './client.ts';
import { type ExportedJob, exportedJob } from './job-export.ts';

export const JOBS_A_PAGE = 500;
/** The limit of the server is per minute. */
const HASTE_MS = 5_000;
const MOST_WAITS = 24;

export async function readJob(client: Client, clock: Clock, jobId: JobId): Promise<ExportedJob> {
  const job = await unhurried(clock, () => client.call('getJob', { params: { jobId } }));
  const { facts } = await unhurried(clock, () => client.call('listFacts', { params: { jobId } }));
  return exportedJob(job, facts);
}

/** Ids of all jobs that started at `since` (milliseconds since 1970) or later, newest first. */
export async function jobsSince(client: Pick<Client, 'call'>, clock: Clock, since: number): Promise<JobId[]> {
  const found = new Set<JobId>();
  let before: string | undefined;
  for (;;) {
    const query = { limit: JOBS_A_PAGE, ...(before !== undefined && { before }) };
    const { jobs } = await unhurried(clock, () => client.call('listJobs', { query }));
    const fresh = jobs.filter((job) => !found.has(job.id));
    for (const job of fresh) if (startOf(job) >= since) found.add(job.id);
    const last = jobs.at(-1);
    if (last === undefined || fresh.length === 0 || jobs.length < JOBS_A_PAGE || startOf(last) < since) return [...found];
    // Others may have started in the same millisecond as the last of the page: ask for that millisecond once more.
    before = isoMoment(startOf(last) + 1);
  }
}

async function unhurried<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  for (let waits = 0; ; waits++) {
    try {
      return await ask();
    } catch (refused) {
      const isHaste = refused instanceof FarshoreError && refused.code === 'ERR_TOO_MANY_REQUESTS';
      if (!isHaste || waits === MOST_WAITS) throw refused;
      await pause(clock, HASTE_MS);
    }
  }
}

function startOf({ startedAt }: JobAnswer): number {
  return Date.parse(startedAt);
}
