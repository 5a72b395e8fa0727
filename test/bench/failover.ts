/**
 * The control plane's own share of an unplanned failover: VMs whose operations take no time, over the real hub, session, signatures,
 * engine and database on disk. The limit beside it: as many facts written by bare batched synced commits of the same database.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import { makeControlPlaneCore } from '../../control-plane/core.ts';
import { Bell } from '../../control-plane/store/bell.ts';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { Store } from '../../control-plane/store/store.ts';
import { AgentId, JobId, type VaultId } from '../../shared/ids.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/system-ports.ts';
import { makeProtectedVault } from '../support/bench-vault.ts';
import { joinInstantAgent } from '../support/instant-agent.ts';

const FACTS_A_COMMIT = 100;
const RUNS = 3;

const folder = await mkdtemp(join(tmpdir(), 'farshore-bench-'));
try {
  for (const count of [1_000, 10_000]) {
    const runs = [];
    for (let run = 0; run < RUNS; run++) runs.push(await measure(count, join(folder, `${count}-${run}`)));
    runs.sort((a, b) => a.ratio - b.ratio);
    const { seconds, facts, bareSeconds, ratio } = runs[Math.floor(RUNS / 2)] ?? fail('no run');
    console.log(
      `${count} VMs: control plane ${seconds.toFixed(2)} s for ${facts} facts; bare synced commits of ${FACTS_A_COMMIT}: ${bareSeconds.toFixed(2)} s; ` +
        `ratio ${ratio.toFixed(1)} (median of ${RUNS}; ${runs.map((each) => each.ratio.toFixed(1)).join(', ')})`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(count: number, base: string) {
  const store = await openStore({ file: `${base}.db`, defer: setImmediate });
  const vault = await makeProtectedVault(store, random, count, count / 10);
  const signer = new IssuerKey(makeIssuerKey());
  const quiet = { info: () => {}, warn: console.warn, error: console.error };
  const bell = new Bell();
  const replication = { rootPem: '', signSite: async () => fail('nobody pairs here') };
  const core = makeControlPlaneCore({ store, bell, replication, signerOf: () => signer, clock, random, log: quiet, defer: setImmediate });
  joinInstantAgent(core.hub, { agentId: AgentId.parse(random.uuid()), vaultId: vault.vaultId, siteId: vault.recoverySite });
  while (!core.hub.isConnected(vault.recoverySite)) await new Promise((resolve) => setImmediate(resolve));

  const id = JobId.parse(random.uuid());
  const ended = untilEnded(store, bell, vault.vaultId, id);
  const began = performance.now();
  await core.operations.start(
    {
      id,
      kind: 'unplannedFailover',
      target: { plan: vault.planId },
      direction: 'toRecovery',
      recoveryPoint: { choose: 'latest' },
      primary: { evidence: 'attested', reason: 'bench' },
    },
    { vaultId: vault.vaultId, name: 'bench' },
  );
  await ended;
  const seconds = (performance.now() - began) / 1000;
  const job = await store.jobs.find(vault.vaultId, id);
  if (job?.state !== 'succeeded') fail(`the run ended ${job?.state}`);
  const facts = (await store.jobs.facts(vault.vaultId, id)).map(({ fact }) => JSON.stringify(fact));
  core.stop();
  await store.close();
  const bareSeconds = writeBare(`${base}-bare.db`, facts);
  return { seconds, facts: facts.length, bareSeconds, ratio: seconds / bareSeconds };
}

/** Looks when the bell has rung for the job, one look at a time. */
async function untilEnded(store: Store, bell: Bell, vaultId: VaultId, id: JobId): Promise<void> {
  for (;;) {
    const rung = new Promise<void>((resolve) => {
      const stop = bell.listen(vaultId, () => {
        stop();
        resolve();
      });
    });
    if ((await store.jobs.find(vaultId, id))?.endedAt) return;
    await rung;
  }
}

function writeBare(file: string, facts: readonly string[]): number {
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE facts (seq INTEGER PRIMARY KEY, fact TEXT NOT NULL)');
  const insert = database.prepare('INSERT INTO facts (fact) VALUES (?)');
  const commit = database.transaction((batch: readonly string[]) => {
    for (const fact of batch) insert.run(fact);
  });
  const began = performance.now();
  for (let first = 0; first < facts.length; first += FACTS_A_COMMIT) commit(facts.slice(first, first + FACTS_A_COMMIT));
  const seconds = (performance.now() - began) / 1000;
  database.close();
  return seconds;
}

function fail(why: string): never {
  throw new Error(why);
}
