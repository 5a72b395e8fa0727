/**
 * The control plane's own share of an unplanned failover: VMs whose operations take no time, over the real hub, session, signatures,
 * engine and database on disk. The limit beside it: as many facts written by bare batched synced commits of the same database.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { failOverAtOnce } from '../support/bench-control-plane.ts';

const FACTS_A_COMMIT = 100;
const RUNS = 3;

const folder = await mkdtemp(join(tmpdir(), 'farshore-bench-'));
try {
  for (const count of [1_000, 10_000]) {
    const runs = [];
    for (let run = 0; run < RUNS; run++) runs.push(await measure(count, join(folder, `${count}-${run}`)));
    runs.sort((a, b) => a.ratio - b.ratio);
    const { seconds, facts, bareSeconds, ratio } = runs[Math.floor(RUNS / 2)] as (typeof runs)[number];
    console.log(
      `${count} VMs: control plane ${seconds.toFixed(2)} s for ${facts} facts; bare synced commits of ${FACTS_A_COMMIT}: ${bareSeconds.toFixed(2)} s; ` +
        `ratio ${ratio.toFixed(1)} (median of ${RUNS}; ${runs.map((each) => each.ratio.toFixed(1)).join(', ')})`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(count: number, base: string) {
  const [run] = await failOverAtOnce(`${base}.db`, { vms: count, groupSize: count / 10 });
  if (run === undefined) throw new Error('no run');
  const facts = run.facts.map((fact) => JSON.stringify(fact));
  const bareSeconds = writeBare(`${base}-bare.db`, facts);
  return { seconds: run.seconds, facts: facts.length, bareSeconds, ratio: run.seconds / bareSeconds };
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
