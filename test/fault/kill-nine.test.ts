/**
 * kill -9 of the control plane and of the recovery agent, as real processes, at thirty seeded places of a failover whose primary
 * site is dead. Each run begins from the same installation on disk, is killed at its place, restarted, and must end right.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { type JobSeen, type Part, RealPair } from '../support/real-pair.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { generated, siteText } from '../support/simulated-sites.ts';

const PLACES = 30;
const VMS = 12;
/** Each VM gives two steps, and each step two facts and two tasks or more; the last of them are left to end after the kill. */
const MOST_FACTS = 4 * VMS - 8;
const MOST_TASKS = 3 * VMS - 6;
const TIMINGS =
  'timings: { startVm: { from: 20 ms, to: 60 ms }, startFailover: { from: 20 ms, to: 60 ms } }\nreplication: { bandwidth: 10000 GB/s }';

interface Place {
  readonly victims: readonly Part[];
  /** Where the kill comes: so many facts in the job's log, or so many tasks in the log of the recovery site. */
  readonly log: 'facts' | 'tasks';
  readonly count: number;
}

const victimsOf: readonly (readonly Part[])[] = [['control-plane'], ['slough'], ['control-plane', 'slough']];

function seededPlaces(): Place[] {
  const random = new SeededRandom(20_261_123);
  return Array.from({ length: PLACES }, (_, index) => {
    const log = random.fraction() < 0.5 ? 'facts' : 'tasks';
    const most = log === 'facts' ? MOST_FACTS : MOST_TASKS;
    return { victims: victimsOf[index % 3] ?? [], log, count: 1 + Math.floor(random.fraction() * most) } as const;
  });
}

describe('a failover whose processes are killed', () => {
  let ready: RealPair;
  let alreadyThere = 0;
  let killed = 0;

  before(async () => {
    ready = await RealPair.make({
      reading: siteText('reading', { Gold: generated('Gold', VMS) }, TIMINGS),
      slough: siteText('slough', { Silver: '' }, TIMINGS),
    });
    await ready.protectAll();
    const groups = [1, 5, 9].map((first) => ({
      name: `group ${first}`,
      members: [0, 1, 2, 3].map((offset) => ({ vm: `vm-${String(first + offset).padStart(4, '0')}` })),
    }));
    await ready.put('/plans/shop', { text: JSON.stringify({ name: 'shop', guestAnswersWithinSeconds: 30, groups }) });
    await ready.kill('reading');
    await ready.untilConnected('reading', false);
    await ready.kill('slough');
    await ready.kill('control-plane');
    alreadyThere = countRows(ready, 'tasks');
  });

  after(async () => {
    await ready?.close();
    assert.equal(killed, PLACES, 'every place was reached with the job under way');
  });

  for (const [index, place] of seededPlaces().entries()) {
    it(`ends right after kill -9 of ${place.victims.join(' and ')} at ${place.log} ${place.count} (place ${index + 1})`, async () => {
      const pair = await ready.copy();
      try {
        await Promise.all([pair.start('control-plane'), pair.start('slough')]);
        await pair.untilConnected('slough');
        const job = await failOverKilledAt(pair, place);
        const end = await pair.untilEnded(job);
        assertAllRunOnce(pair, end);
        killed++;
      } finally {
        await pair.close();
      }
    });
  }

  /** Throws unless the job was under way when its processes died. */
  async function failOverKilledAt(pair: RealPair, { victims, log, count }: Place): Promise<string> {
    const { plans } = await pair.get<{ plans: { id: string }[] }>('/plans');
    const from = log === 'tasks' ? alreadyThere : 0;
    const job = await pair.begin({
      kind: 'unplannedFailover',
      target: { plan: plans[0]?.id },
      // A control plane that has just started cannot tell by itself that a site is gone.
      primary: { evidence: 'attested', reason: 'the building is dark' },
    });
    const until = performance.now() + 30_000;
    while (countRows(pair, log, job) < from + count) {
      if (performance.now() > until) throw new Error(`the run never reached ${log} ${count}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(victims.map((part) => pair.kill(part)));
    assert.equal(endOf(pair, job), 'inProgress', 'the job had not ended when its processes were killed');
    await Promise.all(victims.map((part) => pair.start(part)));
    return job;
  }
});

function assertAllRunOnce(pair: RealPair, end: JobSeen): void {
  assert.equal(end.state, 'succeeded');
  const site = open(pair, 'slough/site.db');
  try {
    const starts = site
      .prepare<[], { vm: string; times: number }>(
        "SELECT vm_id AS vm, count(*) AS times FROM power_change WHERE change = 'on' AND cause = 'startVm' GROUP BY vm_id",
      )
      .all();
    assert.equal(starts.length, VMS, 'every VM was started');
    assert.deepEqual(
      starts.filter(({ times }) => times !== 1),
      [],
      'no VM was started twice',
    );
    const offs = site.prepare("SELECT * FROM power_change WHERE change = 'off'").all();
    assert.deepEqual(offs, [], 'no VM was switched off');
    const effects = site
      .prepare(
        "SELECT operation, vm_id, count(*) AS times FROM task WHERE had_effect = 1 AND operation IN ('startFailover', 'startVm') GROUP BY operation, vm_id HAVING times <> 1",
      )
      .all();
    assert.deepEqual(effects, [], 'each effect came once');
  } finally {
    site.close();
  }
}

function endOf(pair: RealPair, job: string): unknown {
  const database = open(pair, 'control-plane/farshore.db');
  try {
    return database.prepare('SELECT state FROM jobs WHERE id = ?').pluck().get(job);
  } finally {
    database.close();
  }
}

function countRows(pair: RealPair, log: Place['log'], job?: string): number {
  const database = open(pair, log === 'facts' ? 'control-plane/farshore.db' : 'slough/site.db');
  try {
    const count =
      log === 'facts'
        ? database.prepare('SELECT count(*) FROM facts WHERE job_id = ?').pluck().get(job)
        : database.prepare('SELECT count(*) FROM task').pluck().get();
    return Number(count);
  } finally {
    database.close();
  }
}

function open(pair: RealPair, file: string): Database.Database {
  return new Database(join(pair.folder, file), { readonly: true });
}
