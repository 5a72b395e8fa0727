/** An export of jobs says what happened, and obeys no name: not in a spreadsheet, not in a parser, not in a terminal. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Client } from '../../control-plane/cli/client.ts';
import { csvText } from '../../control-plane/cli/csv.ts';
import { csvOfJobs, exportedJob } from '../../control-plane/cli/job-export.ts';
import { momentOption } from '../../control-plane/cli/moment-option.ts';
import { jobsSince } from '../../control-plane/cli/read-jobs.ts';
import type { JobAnswer, JobDetailAnswer, StoredFactAnswer } from '../../shared/api/jobs.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { type JobId, StepId } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const T0 = Date.UTC(2026, 10, 23, 2, 0, 0);
const iso = (ms: number) => new Date(ms).toISOString();
const random = new SeededRandom(11);
const step = StepId.parse('start/sql-01');

function jobNamed(name: string): JobDetailAnswer {
  const error = { code: 'ERR_GUEST_SILENT', cause: 'it said "no"', remedy: 'look, then retry', logRef: 'log-1' } as const;
  const steps: JobDetailAnswer['groups'][number]['members'][number]['steps'] = [
    {
      id: step,
      title: `start ${name}`,
      status: 'failed',
      attempt: 2,
      startedAt: iso(T0),
      endedAt: iso(T0 + 2_500),
      stage: null,
      error,
      waitsForPerson: true,
      instruction: null,
      comment: null,
    },
  ];
  return {
    id: random.uuid() as JobId,
    kind: 'unplannedFailover',
    target: name,
    startedBy: 'kim',
    startedAt: iso(T0),
    endedAt: null,
    state: 'parked',
    lastSeq: 3,
    held: null,
    awaitedAgents: [],
    byRule: null,
    leftOut: [],
    approval: null,
    reason: null,
    cancelled: null,
    restartOf: null,
    takesItselfBackAt: null,
    groups: [{ name, members: [{ vm: null, name, isAction: false, status: 'waitsForPerson', steps }] }],
  };
}

const decided = { type: 'decided', direction: 'do', by: 'sam', step } as const;
const log: StoredFactAnswer[] = [
  { seq: 1, fact: { ...decided, at: T0 + 1_000, decision: 'retry', reason: 'seen' } },
  { seq: 2, fact: { type: 'cancelled', at: T0 + 2_000, by: 'kim', reason: 'wrong plan' } },
  { seq: 3, fact: { ...decided, at: T0 + 3_000, decision: 'skip', reason: '=no use' } },
  { seq: 4, fact: { type: 'parked', at: T0 + 4_000 } },
];

/** Reads RFC 4180 strictly, the other way round: no knowledge of how it was written. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let rest = text; rest !== ''; ) {
    const [whole, quoted, bare = '', end] = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest) ?? assert.fail(`not CSV: ${rest}`);
    row.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    if (end === '\r\n') {
      rows.push(row);
      row = [];
    }
    rest = rest.slice(whole.length);
  }
  return rows;
}

describe('the export of jobs as CSV', () => {
  it('has a row per step with its error and who decided it, in order', () => {
    const [heads = [], row = [], ...more] = parse(csvOfJobs([exportedJob(jobNamed('sql-01'), log)]));
    assert.equal(more.length, 0);
    assert.equal(heads.join('|').includes('seconds|error code|cause|remedy|decided by|reason'), true);
    assert.deepEqual(Object.fromEntries(heads.map((head, index) => [head, row[index]])), {
      'job id': row[0],
      kind: 'unplannedFailover',
      target: 'sql-01',
      'started by': 'kim',
      group: 'sql-01',
      member: 'sql-01',
      step: 'start sql-01',
      status: 'failed',
      attempts: '2',
      'started at': iso(T0),
      'ended at': iso(T0 + 2_500),
      seconds: '2.5',
      'error code': 'ERR_GUEST_SILENT',
      cause: 'it said "no"',
      remedy: 'look, then retry',
      'decided by': 'sam; sam',
      reason: 'retry: seen; skip: =no use',
    });
  });

  it('keeps a hostile name in its one cell', () => {
    for (const name of ['a,b', 'a"b', '",""', 'a\r\nb', 'a\nb', 'web"\r\n"x,=1']) {
      const [heads = [], row = [], ...more] = parse(csvOfJobs([exportedJob(jobNamed(name), [])]));
      assert.deepEqual([row.length, more.length], [heads.length, 0], JSON.stringify(name));
      assert.equal(row[heads.indexOf('member')], name);
    }
  });

  it('makes no formula of a name', () => {
    for (const name of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '=HYPERLINK("http://x","y")']) {
      const [heads = [], row = []] = parse(csvOfJobs([exportedJob(jobNamed(name), [])]));
      assert.equal(row[heads.indexOf('member')], `'${name}`);
      assert.equal(row[heads.indexOf('target')], `'${name}`);
    }
    const [heads = [], row = []] = parse(csvOfJobs([exportedJob(jobNamed('a=1-2'), [])]));
    assert.equal(row[heads.indexOf('member')], 'a=1-2');
  });

  it('steers no terminal', () => {
    const text = csvOfJobs([exportedJob(jobNamed('web\x1b[2J\x9b31m\u202e01'), [])]);
    assert.match(text, /web\?\[2J\?31m\?01/);
    assert.doesNotMatch(text, /[^\P{Cc}\t\r\n]|\p{Bidi_Control}/u);
  });

  it('reads back cell by cell, whatever stands in it', () => {
    const letter = fc.constantFrom('a', ',', '"', '\r', '\n', '=', '-', '@', '\t', '\x1b', '\u202e', "'", ' ');
    const cells = fc.array(fc.string({ unit: letter, maxLength: 6 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(cells, { minLength: 1, maxLength: 4 }), (rows) => {
        const [heads = [], ...others] = rows;
        const back = parse(csvText(heads, others));
        assert.deepEqual(
          back.map((row) => row.map((cell) => cell.replace(/^'(?=[=+\-@\t\r\n])/, ''))),
          rows.map((row) =>
            row.map((cell) =>
              cell
                .replaceAll('\x1b', '?')
                .replaceAll('\u202e', '?')
                .replace(/^'(?=[=+\-@\t\r\n])/, ''),
            ),
          ),
        );
        for (const cell of back.flat()) assert.doesNotMatch(cell, /^[=+\-@\t\r\n]/);
      }),
    );
  });
});

describe('the export of jobs as JSON', () => {
  it('has decisions of steps and of the job, and the facts that the answer tells of', () => {
    const { decisions, facts } = exportedJob(jobNamed('sql-01'), log);
    assert.deepEqual(
      decisions.map(({ by, what, step: of, reason }) => [by, what, of, reason]),
      [
        ['sam', 'retry', step, 'seen'],
        ['kim', 'cancel', null, 'wrong plan'],
        ['sam', 'skip', step, '=no use'],
      ],
    );
    assert.equal(facts.length, 3, 'not the one that came after the answer');
  });
});

describe('which jobs are exported', () => {
  const clock = {
    now: () => T0,
    after: (_ms: number, callback: () => void) => {
      queueMicrotask(callback);
      return () => {};
    },
  };
  /** A server with these starts, newest first, that refuses each third question for its haste. */
  const server = (starts: readonly number[]) => {
    let asked = 0;
    const jobs = starts.map((at) => ({ id: random.uuid() as JobId, startedAt: iso(at) }) as JobAnswer);
    const call = (_route: string, { query }: { query: { limit: number; before?: string } }) => {
      if (++asked % 3 === 0) return Promise.reject(new FarshoreError('ERR_TOO_MANY_REQUESTS', 'slower'));
      const { limit, before } = query;
      return Promise.resolve({ jobs: jobs.filter(({ startedAt }) => before === undefined || startedAt < before).slice(0, limit) });
    };
    return { jobs, client: { call } as unknown as Pick<Client, 'call'> };
  };

  it('are all of them, page by page, also those that started in one millisecond', async () => {
    const { jobs, client } = server(Array.from({ length: 1_700 }, (_, index) => T0 - Math.floor(index / 7)));
    assert.deepEqual(
      await jobsSince(client, clock, 0),
      jobs.map(({ id }) => id),
    );
  });

  it('are those that started at the moment of --since or later', async () => {
    const { jobs, client } = server([T0 + 1, T0, T0 - 1]);
    assert.deepEqual(
      await jobsSince(client, clock, T0),
      jobs.slice(0, 2).map(({ id }) => id),
    );
    assert.equal(momentOption('2026-11-23'), Date.UTC(2026, 10, 23));
    assert.equal(momentOption('2026-11-23T02:00:00Z'), T0);
    for (const text of ['yesterday', '2026-13-01', '2026-11-23T02:00:00', '1'])
      assert.throws(() => momentOption(text), /a day or a moment/);
  });
});
