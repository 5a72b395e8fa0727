/** What rules must know of a vault before they take a VM, read from the store: for the keeper of the rules and for a preview. */
import { JobInput } from '../../shared/api/job-input.ts';
import type { RuleAttempts, RuleSurroundings, RuleVm } from '../../shared/domain/protection-rules.ts';
import type { VaultId, VmId } from '../../shared/ids.ts';
import type { VmReport } from '../../shared/protocol/egress.ts';
import type { Job } from '../store/job-store.ts';
import type { ProtectedVm } from '../store/promise-store.ts';
import type { RuleAttempt, RuleExclusion } from '../store/rule-store.ts';
import type { Store } from '../store/store.ts';

export interface Surroundings extends RuleSurroundings {
  readonly protectedVms: readonly ProtectedVm[];
  /** By the VM, also of those that a person had a say in since. */
  readonly tried: ReadonlyMap<VmId, RuleAttempt>;
  /** A person cancelled their protection on its way: they count as excluded, and this is to be written down. */
  readonly cancelled: readonly RuleExclusion[];
}

export function ruleVm({ ref, name, tags = [], replication }: VmReport): RuleVm {
  return { vmId: ref.vmId, name, tags, mode: replication.mode };
}

export async function readSurroundings(vaultId: VaultId, store: Store, now: number): Promise<Surroundings> {
  const protectedVms = await store.promises.protectedVms(vaultId);
  const isProtected = new Set(protectedVms.map(({ vmId }) => vmId));
  const isExcluded = new Set((await store.rules.exclusions(vaultId)).map(({ vmId }) => vmId));
  const tried = await store.rules.attempts(vaultId);
  const attempts = new Map<VmId, RuleAttempts>();
  const cancelled: RuleExclusion[] = [];
  for (const [jobId, ofJob] of Map.groupBy(tried, (attempt) => attempt.jobId)) {
    const open = ofJob.filter(({ vmId, attempts: count }) => count > 0 && !isProtected.has(vmId) && !isExcluded.has(vmId));
    const job = open.length === 0 ? null : await store.jobs.find(vaultId, jobId);
    if (job?.state === 'cancelled') cancelled.push(...(await exclusionsBy(job, open, store)));
    // A job that the vault no longer keeps ended long ago.
    else
      for (const { vmId, attempts: count } of open)
        attempts.set(vmId, { attempts: count, endedAt: job === null ? 0 : (job.endedAt ?? now) });
  }
  for (const { vmId } of cancelled) isExcluded.add(vmId);
  return {
    protectedVms,
    tried: new Map(tried.map((attempt) => [attempt.vmId, attempt])),
    isProtected,
    isExcluded,
    attempts,
    cancelled,
    now,
  };
}

async function exclusionsBy(job: Job, vms: readonly RuleAttempt[], store: Store): Promise<RuleExclusion[]> {
  const { vaultId, id: jobId } = job;
  const facts = await store.jobs.facts(vaultId, jobId);
  const word = facts.map(({ fact }) => fact).find((fact) => fact.type === 'cancelled');
  const names = new Map(JobInput.parse(job.input).byRule?.vms.map(({ vmId, name }) => [vmId, name]));
  return vms.map(({ vmId }) => ({ vaultId, vmId, name: names.get(vmId) ?? vmId, at: word?.at ?? 0, by: word?.by ?? '', jobId }));
}
