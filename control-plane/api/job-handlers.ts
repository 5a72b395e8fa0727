/** Handlers: operations and the jobs they become. All that is told of a job is read from its log. */
import { JobInput } from '../../shared/api/job-input.ts';
import type { recoveryRoutes } from '../../shared/api/recovery-routes.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId, VaultId } from '../../shared/ids.ts';
import { restartRequest } from '../operations/restart.ts';
import { buildReport } from '../reports/report.ts';
import type { Job } from '../store/job-store.ts';
import type { ProtectedVm } from '../store/promise-store.ts';
import type { ApiPorts, Caller, Handlers } from './handler.ts';
import { jobAnswer, jobDetail } from './job-view.ts';
import { readLastHeard } from './observation.ts';

type Ids =
  | 'startOperation'
  | 'listJobs'
  | 'getJob'
  | 'listFacts'
  | 'getReport'
  | 'decideStep'
  | 'cancelJob'
  | 'resumeJob'
  | 'restartJob'
  | 'giveUpSite';

export function jobHandlers({ store, operations, presence, clock, log }: ApiPorts): Handlers<Ids & keyof typeof recoveryRoutes> {
  return {
    async startOperation({ caller, body, setHeader }) {
      const { job } = await operations.start(body, actorOf(caller));
      const { approval } = JobInput.safeParse(job.input).data ?? {};
      if (approval?.state === 'emergency')
        log.warn({ jobId: job.id, user: caller.user.name, reason: approval.reason }, 'a plan that nobody approved runs in an emergency');
      setHeader('Location', `/api/v1/jobs/${job.id}`);
      return jobAnswer(job);
    },

    async listJobs({ caller, query }) {
      const { state, limit, before } = query;
      const filter = { limit, ...(state === undefined ? {} : { state }), ...(before === undefined ? {} : { before: Date.parse(before) }) };
      return { jobs: (await store.jobs.list(caller.vaultId, filter)).map(jobAnswer) };
    },

    getJob: ({ caller, params }) => detailOf(caller.vaultId, params.jobId),

    async listFacts({ caller, params, query }) {
      const job = await findJob(caller.vaultId, params.jobId);
      return { facts: await store.jobs.facts(caller.vaultId, job.id, query.after) };
    },

    getReport: async ({ caller, params }) => buildReport(await readJob(caller.vaultId, params.jobId)),

    async decideStep({ caller, params, body }) {
      const job = await findJob(caller.vaultId, params.jobId);
      await operations.decide(actorOf(caller), job.id, body.step, body.decision, body.reason);
    },

    async restartJob({ caller, params, body, setHeader }) {
      const failed = await findJob(caller.vaultId, params.jobId);
      const { groups } = await detailOf(caller.vaultId, failed.id);
      const members = groups.flatMap((group) => group.members.flatMap(({ vm, status }) => (vm === null ? [] : [{ vm, status }])));
      const vms = {
        all: members.map(({ vm }) => vm),
        left: members.flatMap(({ vm, status }) => (status === 'done' ? [] : [vm])),
        protectedNow: new Set((await store.promises.protectedVms(caller.vaultId)).map(({ vmId }) => vmId)),
      };
      const request = restartRequest(failed, vms, { id: body.id, reason: body.reason, attested: body.attested === true });
      const { job } = await operations.start(request, actorOf(caller), undefined, failed.id);
      setHeader('Location', `/api/v1/jobs/${job.id}`);
      return jobAnswer(job);
    },

    async giveUpSite({ caller, params, body }) {
      const job = await findJob(caller.vaultId, params.jobId);
      await operations.giveUp(actorOf(caller), job.id, body.site, body.reason);
    },

    async resumeJob({ caller, params, body }) {
      const job = await findJob(caller.vaultId, params.jobId);
      await operations.letGoOn(actorOf(caller), job.id, body.reason);
    },

    async cancelJob({ caller, params, body }) {
      const job = await findJob(caller.vaultId, params.jobId);
      await operations.cancel(actorOf(caller), job.id, body.reason);
      return detailOf(caller.vaultId, job.id);
    },
  };

  async function findJob(vaultId: VaultId, id: JobId): Promise<Job> {
    const job = await store.jobs.find(vaultId, id);
    if (job === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such job');
    return job;
  }

  async function detailOf(vaultId: VaultId, id: JobId) {
    const parts = await readJob(vaultId, id);
    const sites = new Map((await store.sites.list(vaultId)).map((site) => [site.id, site.name]));
    const lastHeard = await readLastHeard(store, presence, vaultId);
    return jobDetail({
      ...parts,
      stageOf: (step) => operations.stageOf(id, step),
      agentOf: (site) => ({ siteName: sites.get(site) ?? site, isConnected: presence.isConnected(site), lastHeardAt: lastHeard(site) }),
      now: clock.now(),
    });
  }

  async function readJob(vaultId: VaultId, id: JobId) {
    // First the job, then its facts: a job that has ended is never shown without the facts of its end.
    const job = await findJob(vaultId, id);
    const [graph, facts, vms] = await Promise.all([
      store.jobs.graph(vaultId, id),
      store.jobs.facts(vaultId, id),
      store.promises.protectedVms(vaultId),
    ]);
    const isOpen = ({ commitWindow }: ProtectedVm) => commitWindow?.failover === id && commitWindow.lapsed === null;
    const takesItselfBackAt = vms.find(isOpen)?.commitWindow?.endsAt ?? null;
    return { job, graph, facts, takesItselfBackAt, names: new Map(vms.map((vm) => [vm.id, vm.name])) };
  }
}

function actorOf({ vaultId, user }: Caller) {
  return { vaultId, name: user.name };
}
