/** The picture of a running job: it fits every window, and shows what matters when there is no room for all. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import colors from 'picocolors';
import { completionScript } from '../../control-plane/cli/completion.ts';
import { Output, plain, table, widthOf } from '../../control-plane/cli/output.ts';
import { buildProgram } from '../../control-plane/cli/program.ts';
import { frame, type Window } from '../../control-plane/cli/progress/frame.ts';
import { JobModel } from '../../control-plane/cli/progress/job-model.ts';
import { LiveTerminal } from '../../control-plane/cli/progress/live-terminal.ts';
import { watcherFor } from '../../control-plane/cli/progress/watchers.ts';
import type { Surroundings } from '../../control-plane/cli/surroundings.ts';
import type { JobDetailAnswer } from '../../shared/api/jobs.ts';
import { type JobId, ProtectedVmId, StepId } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const T0 = Date.UTC(2026, 10, 23, 2, 0, 0);
const noColors = colors.createColors(false);
const random = new SeededRandom(3);

function detail(groups: number, members: number): JobDetailAnswer {
  return {
    id: random.uuid() as JobId,
    kind: 'unplannedFailover',
    target: 'shop',
    startedBy: 'kim',
    startedAt: new Date(T0).toISOString(),
    endedAt: null,
    state: 'inProgress',
    lastSeq: 0,
    held: null,
    awaitedAgents: [],
    byRule: null,
    leftOut: [],
    approval: null,
    reason: null,
    cancelled: null,
    restartOf: null,
    takesItselfBackAt: null,
    groups: Array.from({ length: groups }, (_, g) => ({
      name: `group ${g}`,
      members: Array.from({ length: members }, (_, m) => {
        const vm = ProtectedVmId.parse(random.uuid());
        const step = { id: StepId.parse(`start/${vm}`), title: `start vm-${g}-${m}`, status: 'waiting' as const, attempt: 0 };
        return {
          vm,
          name: `vm-${g}-${m}`,
          isAction: false,
          status: 'waiting' as const,
          steps: [
            { ...step, startedAt: null, endedAt: null, stage: null, error: null, waitsForPerson: false, instruction: null, comment: null },
          ],
        };
      }),
    })),
  };
}

const window = (columns: number, rows: number): Window => ({
  columns,
  rows,
  now: T0 + 10_000,
  colors: noColors,
  isUnicode: true,
  notice: '',
});
const stepOf = (model: JobModel, g: number, m: number) => model.groups[g]?.members[m]?.steps[0]?.id ?? ('' as StepId);

describe('the picture of a job', () => {
  it('never is wider or higher than the window', () => {
    for (const [groups, members] of [
      [1, 1],
      [3, 4],
      [200, 5],
      [3, 1000],
    ] as const) {
      const model = new JobModel(detail(groups, members));
      model.apply(1, { type: 'started', at: T0 + 1_000, step: stepOf(model, 0, 0), attempt: 1 });
      for (const [columns, rows] of [
        [20, 5],
        [60, 16],
        [80, 24],
        [200, 60],
      ] as const) {
        const lines = frame(model, window(columns, rows));
        assert.ok(lines.length <= rows - 2, `${lines.length} lines in ${rows} rows`);
        for (const line of lines) assert.ok(widthOf(line) < columns, `${widthOf(line)} wide in ${columns} columns: ${line}`);
      }
    }
  });

  it('gives every member a line where there is room', () => {
    const lines = frame(new JobModel(detail(2, 3)), window(80, 24));
    for (const name of ['vm-0-0', 'vm-1-2'])
      assert.ok(
        lines.some((line) => line.includes(name)),
        name,
      );
  });

  it('shows of a thousand what failed first, then what runs longest, and counts the rest', () => {
    const model = new JobModel(detail(2, 500));
    for (let m = 0; m < 100; m++) model.apply(m + 1, { type: 'started', at: T0 + m, step: stepOf(model, 0, m), attempt: 1 });
    model.apply(101, {
      type: 'failed',
      at: T0 + 200,
      step: stepOf(model, 0, 77),
      attempt: 1,
      error: { code: 'ERR_HOST_DOWN', logRef: '' },
      retry: false,
    });
    const lines = frame(model, window(100, 20));
    const members = lines.filter((line) => line.includes('vm-'));
    assert.match(members[0] ?? '', /✗ vm-0-77 .*ERR_HOST_DOWN/);
    assert.match(members[1] ?? '', /› vm-0-0 /);
    assert.match(members[2] ?? '', /› vm-0-1 /);
    assert.match(lines.find((line) => line.includes('group 0')) ?? '', /0 of 500 done, 99 running, 1 failed/);
    assert.ok(lines.some((line) => /and \d+ more/.test(line)));
  });

  it('takes a fact once, and knows when the server must be asked again', () => {
    const model = new JobModel(detail(1, 1));
    const started = { type: 'started', at: T0, step: stepOf(model, 0, 0), attempt: 1 } as const;
    assert.deepEqual([model.apply(1, started), model.apply(1, started), model.isOutdated], [true, false, false]);
    model.apply(2, { type: 'failed', at: T0, step: started.step, attempt: 1, error: { code: 'ERR_HOST_DOWN', logRef: '' }, retry: true });
    assert.deepEqual([model.groups[0]?.members[0]?.status, model.isOutdated], ['waiting', false]);
    model.apply(3, { type: 'parked', at: T0 });
    assert.deepEqual([model.state, model.isOutdated], ['parked', true]);
  });
});

describe('what is written where nobody looks on', () => {
  it('tells what a person is asked as asked', () => {
    let written = '';
    const stdout = { write: (text: string) => (written += text) };
    const surroundings = { stdout, stderr: stdout, environment: {} } as unknown as Surroundings;
    const watcher = watcherFor(surroundings, new Output(surroundings, false));
    const model = new JobModel(detail(1, 1));
    watcher.fact(model, 1, { type: 'asked', at: T0, step: stepOf(model, 0, 0), attempt: 1 });
    watcher.fact(model, 2, { type: 'undone', at: T0, step: stepOf(model, 0, 0), attempt: 1 });
    assert.match(written, /^02:00:00 {2}vm-0-0 {2}start vm-0-0: waits for a person to confirm it\n.*: taken back\n$/);
  });
});

describe('the terminal', () => {
  it('goes up by the lines that a narrower window has made of those it drew', () => {
    let written = '';
    const stdout = { columns: 80, rows: 24, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream & {
      columns: number;
    };
    const terminal = new LiveTerminal(stdout);
    terminal.draw(['x'.repeat(70), 'short']);
    stdout.columns = 40;
    written = '';
    terminal.draw(['new']);
    assert.ok(written.includes('\x1b[3F'), JSON.stringify(written));
    terminal.close();
    assert.ok(written.endsWith('\x1b[?25h'), 'the cursor is given back');
  });

  it('is not steered by names from elsewhere', () => {
    assert.equal(plain('web\x1b[2J\u202e01'), 'web?[2J?01');
    assert.equal(
      table(
        ['A', 'B'],
        [
          ['1', '22'],
          ['333', '4'],
        ],
        'none',
        noColors,
      ),
      'A    B\n1    22\n333  4',
    );
  });
});

describe('completion', () => {
  const stream = { write: () => true, columns: 100 } as unknown as NodeJS.WriteStream;
  const surroundings = { stdout: stream, stderr: stream } as unknown as Parameters<typeof buildProgram>[0]['surroundings'];
  const program = buildProgram({ surroundings, setExitCode: () => {} }, '1');

  it('knows every command of the tree and its options, in both shells', () => {
    const [bash, powershell] = [completionScript(program, 'bash'), completionScript(program, 'powershell')];
    assert.match(bash, /'plans apply'\) words='' options='--json --help'/);
    assert.match(powershell, /'failover' = @\(.*'--recovery-point'/);
    for (const script of [bash, powershell]) assert.ok(script.includes('registration-keys'));
  });

  it('has examples in the help of each command', () => {
    const visit = (command: typeof program): void => {
      for (const child of command.commands) {
        let help = '';
        child.configureOutput({ writeOut: (text) => (help += text) });
        child.outputHelp();
        if (child.commands.length === 0) assert.match(help, /Examples:\n {2}/, child.name());
        visit(child);
      }
    };
    visit(program);
  });
});
