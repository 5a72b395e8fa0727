/** The real control plane on a database on disk, with a site that is played: what the benchmarks of runs have in common. */
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import { makeControlPlaneCore } from '../../control-plane/core.ts';
import { OperationRunner, type RunnerPorts } from '../../control-plane/operations/runner.ts';
import { Bell } from '../../control-plane/store/bell.ts';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { Store } from '../../control-plane/store/store.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import { AgentId, JobId, type PlanId, type VaultId } from '../../shared/ids.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/system-ports.ts';
import { type BenchPlan, type BenchVault, makeProtectedVault } from './bench-vault.ts';
import { finish, joinInstantAgent, type SiteTimes } from './instant-agent.ts';

export interface Run {
  readonly id: JobId;
  /** From the request to the end, as the one who asked sees it. */
  readonly seconds: number;
  /** From the first step handed out to the end: the part of the engine, with the writing of its log. */
  readonly engineSeconds: number;
  readonly graph: Graph<unknown>;
  readonly facts: readonly Fact[];
}

export interface Load extends SiteTimes {
  readonly plan: BenchPlan;
}

/** Fails over every plan of a new vault, all at once. Without the channel, outcomes come straight from the played site. */
export async function failOverAtOnce(file: string, plan: BenchPlan, times: SiteTimes & { readonly channel?: false } = {}): Promise<Run[]> {
  const [runs] = await failOverVaults(file, [{ ...times, plan }], times.channel ?? true);
  return runs as Run[];
}

/** The same for several vaults at the same time; the runs of each. */
export async function failOverVaults(file: string, loads: readonly Load[], channel = true): Promise<Run[][]> {
  const store = await openStore({ file, defer: setImmediate });
  const untilEnded = watchEnds(store);
  const vaults: LoadedVault[] = [];
  for (const load of loads) vaults.push({ ...load, ...(await makeProtectedVault(store, file, random, load.plan)) });
  const parts = { store, bell: new Bell(), replication, clock, random, log: quiet };
  const { operations, stop } = channel ? await withChannel(parts, vaults) : withoutChannel(parts, vaults);
  const run = async (vaultId: VaultId, plan: PlanId): Promise<Pick<Run, 'id' | 'seconds'>> => {
    const id = JobId.parse(random.uuid());
    const ended = untilEnded(id);
    const began = performance.now();
    const primary = { evidence: 'attested' as const, reason: 'bench' };
    const request = { id, kind: 'unplannedFailover', direction: 'toRecovery', recoveryPoint: { choose: 'latest' }, primary } as const;
    await operations.start({ ...request, target: { plan } }, { vaultId, name: 'bench' });
    await ended;
    return { id, seconds: (performance.now() - began) / 1000 };
  };
  const measured = await Promise.all(vaults.map(({ vaultId, planIds }) => Promise.all(planIds.map((planId) => run(vaultId, planId)))));
  stop();
  const runs: Run[][] = [];
  for (const [index, { vaultId }] of vaults.entries()) runs.push(await readRuns(store, vaultId, measured[index] ?? []));
  await store.close();
  return runs;
}

async function readRuns({ jobs }: Store, vaultId: VaultId, measured: readonly Pick<Run, 'id' | 'seconds'>[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const each of measured) {
    const job = await jobs.find(vaultId, each.id);
    if (job?.state !== 'succeeded' || job.endedAt === null) return fail(`the run ended ${job?.state}`);
    const facts = (await jobs.facts(vaultId, each.id)).map(({ fact }) => fact);
    const engineSeconds = (job.endedAt - (facts[0]?.at ?? 0)) / 1000;
    runs.push({ ...each, engineSeconds, graph: await jobs.graph(vaultId, each.id), facts });
  }
  return runs;
}

const quiet = { info: () => {}, warn: console.warn, error: console.error };
const replication = { rootPem: '', signSite: async () => fail('nobody pairs here') };

type Parts = Omit<RunnerPorts, 'dispatcher' | 'presence' | 'looks'>;
type LoadedVault = Load & BenchVault;

async function withChannel(parts: Parts, vaults: readonly LoadedVault[]) {
  const signer = new IssuerKey(makeIssuerKey());
  const core = makeControlPlaneCore({ ...parts, signerOf: () => signer, defer: setImmediate });
  for (const { vaultId, recoverySite: siteId, ...times } of vaults) {
    joinInstantAgent(core.hub, { agentId: AgentId.parse(random.uuid()), vaultId, siteId }, times);
    while (!core.hub.isConnected(siteId)) await new Promise((resolve) => setImmediate(resolve));
  }
  return { operations: core.operations, stop: () => core.stop() };
}

function withoutChannel(parts: Parts, vaults: readonly LoadedVault[]) {
  const agentId = AgentId.parse(random.uuid());
  const timesOf = new Map(vaults.map((vault) => [vault.recoverySite, vault]));
  const operations: OperationRunner = new OperationRunner({
    ...parts,
    presence: { isConnected: () => true, lastHeardAt: () => clock.now(), scriptsOf: () => null },
    looks: { lookAt: async () => null },
    dispatcher: {
      send(siteId, commands) {
        const { millisecondsOf = () => 0, fails = () => false } = timesOf.get(siteId) ?? {};
        for (const { commandId, command } of commands) {
          const seen = { commandId, kind: command.kind };
          const { outcome } = finish(seen, fails(seen));
          setTimeout(() => void operations.onFinished(siteId, agentId, commandId, outcome), millisecondsOf(seen));
        }
      },
    },
  });
  return { operations, stop: () => operations.stop() };
}

/** Resolves for a job when its end is durable; told by the log itself, so that the looking costs the run nothing. */
function watchEnds({ jobs }: Store): (id: JobId) => Promise<void> {
  const waiting = new Map<JobId, () => void>();
  const append = jobs.append.bind(jobs);
  jobs.append = async (vaultId, jobId, facts, projections) => {
    await append(vaultId, jobId, facts, projections);
    if (facts.at(-1)?.type === 'ended') waiting.get(jobId)?.();
  };
  return (id) => new Promise((resolve) => void waiting.set(id, resolve));
}

function fail(why: string): never {
  throw new Error(why);
}
