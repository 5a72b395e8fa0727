/** rto-recomputes: every number of a report follows from the job's record and its facts; here they are computed a second way. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildReport } from '../../control-plane/reports/report.ts';
import { siteTime } from '../../control-plane/reports/site-time.ts';
import { type Interval, splitTime } from '../../control-plane/reports/time-split.ts';
import type { Job, StoredFact } from '../../control-plane/store/job-store.ts';
import { ReportAnswer } from '../../shared/api/report.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import { JobId, ProtectedVmId, StepId, VaultId } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const random = new SeededRandom(7);
const T0 = Date.UTC(2026, 10, 23, 2, 0, 0);
const OUTAGE = T0 - 42_000;
const POINT = T0 - 100_000;
const iso = (ms: number) => new Date(ms).toISOString();

const vms = ['sql-01', 'web-01', 'web-02'].map((name) => ({ vm: ProtectedVmId.parse(random.uuid()), name }));
const [sql, web1, web2] = vms as [(typeof vms)[0], (typeof vms)[0], (typeof vms)[0]];
const id = (kind: string, { vm }: { vm: string }) => StepId.parse(`${kind}/${vm}`);

const graph: Graph<unknown> = {
  steps: vms.flatMap((member) => [
    {
      id: id('failover', member),
      title: `prepare ${member.name}`,
      work: { kind: 'failover.execute' },
      undo: { kind: 'failover.cancel' },
      needs: [],
      after: [],
      scope: member.vm,
    },
    {
      id: id('start', member),
      title: `start ${member.name}`,
      work: { kind: 'vm.start' },
      needs: [id('failover', member)],
      after: [],
      scope: member.vm,
      pivot: true,
    },
  ]),
};

const job: Job = {
  id: JobId.parse(random.uuid()),
  vaultId: VaultId.parse(random.uuid()),
  kind: 'unplannedFailover',
  target: 'shop',
  startedBy: 'kim',
  startedAt: T0,
  endedAt: T0 + 20_000,
  state: 'completedWithFailures',
  requestDigest: '0'.repeat(64),
  input: {
    planName: 'shop',
    planVersion: 3,
    groups: [
      { name: 'databases', members: [sql] },
      { name: 'web', members: [web1, web2] },
    ],
    skipped: [{ name: 'web-09', reason: 'it is failedOver' }],
    primary: { evidence: 'unreachable', reason: 'fire' },
    outageAt: OUTAGE,
    recoveryPoint: { choose: 'latest' },
  },
};

const point = { recoveryPointId: 'p', recoveryPointAt: iso(POINT) };
/** What the site measured; its clock is two days ahead. */
const GUEST_MS = 1_234;
const SKEW = 172_800_000;
const running = { runningAt: iso(T0 + SKEW), answeredAt: iso(T0 + SKEW + GUEST_MS) };
const error = { code: 'ERR_GUEST_SILENT', logRef: 'log-1' } as const;
const log: Fact[] = [
  { type: 'started', at: T0 + 100, step: id('failover', sql), attempt: 1 },
  { type: 'started', at: T0 + 100, step: id('failover', web1), attempt: 1 },
  { type: 'started', at: T0 + 100, step: id('failover', web2), attempt: 1 },
  { type: 'done', at: T0 + 1_100, step: id('failover', sql), attempt: 1, result: point },
  { type: 'started', at: T0 + 1_200, step: id('start', sql), attempt: 1 },
  {
    type: 'failed',
    at: T0 + 1_300,
    step: id('failover', web2),
    attempt: 1,
    error: { code: 'ERR_NO_RECOVERY_POINT', logRef: '' },
    retry: false,
  },
  { type: 'undoStarted', at: T0 + 1_300, step: id('failover', web2), attempt: 1 },
  { type: 'undone', at: T0 + 1_900, step: id('failover', web2), attempt: 1 },
  { type: 'done', at: T0 + 2_000, step: id('failover', web1), attempt: 1, result: point },
  { type: 'done', at: T0 + 4_200, step: id('start', sql), attempt: 1, result: running },
  { type: 'started', at: T0 + 4_300, step: id('start', web1), attempt: 1 },
  { type: 'failed', at: T0 + 7_000, step: id('start', web1), attempt: 1, error, retry: false },
  { type: 'parked', at: T0 + 7_000 },
  { type: 'decided', at: T0 + 17_000, step: id('start', web1), direction: 'do', decision: 'retry', by: 'sam', reason: 'seen' },
  { type: 'started', at: T0 + 17_100, step: id('start', web1), attempt: 2 },
  { type: 'done', at: T0 + 19_900, step: id('start', web1), attempt: 2, result: running },
  { type: 'ended', at: T0 + 20_000, state: 'completedWithFailures' },
];
const facts: StoredFact[] = log.map((fact, index) => ({ seq: index + 1, fact }));
const report = ReportAnswer.parse(buildReport({ job, graph, facts, names: new Map() }));
const of = (name: string) => report.vms.find((vm) => vm.name === name);

/** The last `done` of a step, looked up in the log alone. */
const doneAt = (step: StepId) => log.findLast((fact) => fact.type === 'done' && fact.step === step)?.at ?? Number.NaN;

describe('the report of a failover', () => {
  it('measures RTO, outage and RPO of each VM as the log has them (rto-recomputes)', () => {
    for (const member of [sql, web1]) {
      const served = doneAt(id('start', member));
      const line = of(member.name);
      assert.equal(line?.rtoSeconds, (served - T0) / 1000);
      assert.equal(line?.outageSeconds, (served - OUTAGE) / 1000);
      assert.equal(line?.rpoSeconds, (OUTAGE - POINT) / 1000);
    }
    assert.equal(report.total.rtoSeconds, Math.max(...[sql, web1].map((member) => (doneAt(id('start', member)) - T0) / 1000)));
    assert.equal(report.rpoFrom, 'outage');
  });

  it('splits the time so that the parts add up, sampled millisecond by millisecond', () => {
    // The other way to the same numbers: ask of every moment what was going on.
    const spans = (own: (step: StepId) => boolean) => {
      const open = new Map<StepId, number>();
      const found: { from: number; to: number; guestFrom: number }[] = [];
      for (const fact of log) {
        if (!('step' in fact) || !own(fact.step)) continue;
        if (fact.type === 'started' || fact.type === 'undoStarted') open.set(fact.step, fact.at);
        else if (fact.type !== 'decided') {
          const hasGuest = fact.type === 'done' && fact.step.startsWith('start/');
          found.push({ from: open.get(fact.step) ?? Number.NaN, to: fact.at, guestFrom: fact.at - (hasGuest ? GUEST_MS : 0) });
        }
      }
      return found;
    };
    const sample = (end: number, own: (step: StepId) => boolean, asked: [number, number][]) => {
      const sites = spans(own);
      const first = Math.min(...sites.map(({ from }) => from));
      const sum = { queued: 0, fabric: 0, guest: 0, person: 0, rest: 0 };
      for (let at = T0; at < end; at++) {
        if (sites.some(({ from, guestFrom }) => at >= from && at < guestFrom)) sum.fabric++;
        else if (sites.some(({ guestFrom, to }) => at >= guestFrom && at < to)) sum.guest++;
        else if (asked.some(([from, to]) => at >= from && at < to)) sum.person++;
        else if (at < first) sum.queued++;
        else sum.rest++;
      }
      return {
        queuedSeconds: sum.queued / 1000,
        fabricSeconds: sum.fabric / 1000,
        guestSeconds: sum.guest / 1000,
        checksSeconds: 0,
        personSeconds: sum.person / 1000,
        orchestrationSeconds: sum.rest / 1000,
      };
    };
    const waited: [number, number][] = [[T0 + 7_000, T0 + 17_000]];
    assert.deepEqual(
      report.total.split,
      sample(T0 + 20_000, () => true, waited),
    );
    assert.deepEqual(
      of('web-01')?.split,
      sample(T0 + 19_900, (step) => step.endsWith(web1.vm), waited),
    );
    assert.deepEqual(
      of('sql-01')?.split,
      sample(T0 + 4_200, (step) => step.endsWith(sql.vm), []),
    );
    assert.equal(report.total.split?.personSeconds, 10);
    assert.equal(of('web-01')?.split?.guestSeconds, GUEST_MS / 1000, 'only the attempt that the guest answered');
  });

  it('names what failed with cause and remedy, what was left out, who decided, and why it was safe', () => {
    assert.deepEqual(
      [of('web-02')?.outcome, of('web-02')?.rtoSeconds, of('web-02')?.failures[0]?.code],
      ['undone', null, 'ERR_NO_RECOVERY_POINT'],
    );
    assert.match(of('web-02')?.failures[0]?.remedy ?? '', /recovery point/);
    assert.deepEqual(report.leftOut, [{ name: 'web-09', reason: 'it is failedOver' }]);
    assert.deepEqual(report.decisions, [
      { at: iso(T0 + 17_000), by: 'sam', reason: 'seen', what: 'retry', step: id('start', web1), title: 'start web-01' },
    ]);
    assert.deepEqual([report.primary?.evidence, report.plan?.version, report.outageAt], ['unreachable', 3, iso(OUTAGE)]);
    const { vms: count, succeeded, failed, leftOut } = report.total;
    assert.deepEqual([count, succeeded, failed, leftOut], [3, 2, 1, 1]);
  });

  it('measures the RPO from the start of the job where there was no outage, and says so', () => {
    const attested = buildReport({ job: { ...job, input: { ...(job.input as object), outageAt: null } }, graph, facts, names: new Map() });
    assert.equal(attested.rpoFrom, 'start');
    assert.equal(attested.vms[0]?.rpoSeconds, (T0 - POINT) / 1000);
    assert.equal(attested.vms[0]?.outageSeconds, null);
  });

  it('says nothing of times that are not over', () => {
    const early = buildReport({ job: { ...job, endedAt: null, state: 'parked' }, graph, facts: facts.slice(0, 13), names: new Map() });
    const line = early.vms.find((vm) => vm.name === 'web-01');
    assert.deepEqual([line?.outcome, line?.rtoSeconds, line?.split], ['waitsForPerson', null, null]);
  });
});

const span = fc
  .tuple(fc.integer({ min: -500, max: 5_500 }), fc.nat(4_000))
  .map(([from, length]): Interval => ({ from, to: from + length }));
const spans = fc.array(span, { maxLength: 6 });
const covers = (all: readonly Interval[], at: number) => all.some(({ from, to }) => at >= from && at < to);
const startStep = { work: { kind: 'vm.start' } };
const attempt = (from: number, to: number, guestMs: number) => ({
  from,
  to,
  result: { runningAt: iso(T0 + SKEW), answeredAt: iso(T0 + SKEW + guestMs) },
});

describe('the split of time', () => {
  it('counts every moment once, however intervals lie: fabric, then guest, then checks, then person', () => {
    const split = splitTime(
      { from: 0, to: 10_000 },
      {
        fabric: [
          { from: 2_000, to: 5_000 },
          { from: 9_000, to: Number.POSITIVE_INFINITY },
        ],
        guest: [{ from: 4_000, to: 6_000 }],
        checks: [{ from: 5_000, to: 6_500 }],
        person: [{ from: 5_500, to: 7_000 }],
      },
    );
    assert.deepEqual(split, {
      queuedSeconds: 2,
      fabricSeconds: 4,
      guestSeconds: 1,
      checksSeconds: 0.5,
      personSeconds: 0.5,
      orchestrationSeconds: 2,
    });
    assert.deepEqual(splitTime({ from: 0, to: 1_000 }, { fabric: [], guest: [], checks: [], person: [] }), {
      queuedSeconds: 1,
      fabricSeconds: 0,
      guestSeconds: 0,
      checksSeconds: 0,
      personSeconds: 0,
      orchestrationSeconds: 0,
    });
  });

  it('has parts that add up to the whole, each as a walk through the moments finds it', () => {
    fc.assert(
      fc.property(spans, spans, spans, spans, fc.integer({ min: 0, max: 600 }), (fabric, guest, checks, person, length) => {
        const parts = { queuedSeconds: 0, fabricSeconds: 0, guestSeconds: 0, checksSeconds: 0, personSeconds: 0, orchestrationSeconds: 0 };
        let isBegun = false;
        for (let at = 0; at < length; at++) {
          const isFabric = covers(fabric, at);
          const isGuest = covers(guest, at);
          const isCheck = covers(checks, at);
          isBegun ||= isFabric || isGuest || isCheck;
          if (isFabric) parts.fabricSeconds++;
          else if (isGuest) parts.guestSeconds++;
          else if (isCheck) parts.checksSeconds++;
          else if (covers(person, at)) parts.personSeconds++;
          else if (isBegun) parts.orchestrationSeconds++;
          else parts.queuedSeconds++;
        }
        const split = splitTime({ from: 0, to: length }, { fabric, guest, checks, person });
        const inMs = Object.fromEntries(Object.entries(split).map(([name, value]) => [name, Math.round(value * 1000)]));
        assert.deepEqual(inMs, parts);
        assert.equal(
          Object.values(inMs).reduce((sum, ms) => sum + ms, 0),
          length,
        );
      }),
    );
  });

  it('lays the time of the guest at the end of its attempt, whatever the clock of the site says, and never beyond it', () => {
    const lay = (...attempts: ReturnType<typeof attempt>[]) => siteTime(startStep, { atSite: attempts });
    assert.deepEqual(lay(attempt(1_000, 5_000, 1_500)), {
      fabric: [{ from: 1_000, to: 3_500 }],
      guest: [{ from: 3_500, to: 5_000 }],
      checks: [],
    });
    assert.deepEqual(lay(attempt(1_000, 5_000, 9_000)).guest, [{ from: 1_000, to: 5_000 }]);
    assert.deepEqual(lay(attempt(1_000, 5_000, -9_000)).guest, [{ from: 5_000, to: 5_000 }], 'a clock that was set back');
    const unanswered = { from: 1_000, to: 5_000, result: { runningAt: iso(T0), answeredAt: null } };
    for (const open of [unanswered, { from: 1_000, to: Number.POSITIVE_INFINITY, result: undefined }]) {
      assert.deepEqual(siteTime(startStep, { atSite: [open] }).fabric, [{ from: open.from, to: open.to }]);
    }
    const other = [attempt(1_000, 5_000, 1_500)];
    assert.deepEqual(siteTime({ work: { kind: 'failover.execute' } }, { atSite: other }), { fabric: other, guest: [], checks: [] });
    assert.deepEqual(siteTime({ work: { kind: 'script.run' } }, { atSite: other }), { fabric: [], guest: [], checks: other });
  });
});
