/** The last line of `npm test` can be believed: a test run fails for each way in which tests can fail to pass. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

const runner = path.resolve(import.meta.dirname, '../../scripts/test.mjs');
const head = "import { describe, it, test } from 'node:test';\nimport assert from 'node:assert/strict';\n";

const runs: readonly { title: string; body: string; line: string; status: number }[] = [
  { title: 'all pass', body: "describe('a', () => { it('b', () => {}); it('c', () => {}); });", line: '2 passed, 0 failed', status: 0 },
  {
    title: 'one fails',
    body: "test('a', () => {}); describe('b', () => { it('c', () => assert.equal(1, 2)); });",
    line: '1 passed, 1 failed',
    status: 1,
  },
  {
    title: 'one is skipped',
    body: "test('a', () => {}); test('b', { skip: 'needs strace, which this machine lacks' }, () => {});",
    line: '1 passed, 0 failed, 1 skipped',
    status: 0,
  },
  { title: 'all are skipped', body: "test('a', { skip: 'needs Windows' }, () => {});", line: '0 passed, 0 failed, 1 skipped', status: 1 },
  { title: 'the file cannot be loaded', body: "import './is-not-there.ts';", line: '0 passed, 1 failed', status: 1 },
  {
    title: 'the file crashes',
    body: "test('a', () => {}); test('b', () => process.kill(process.pid, 'SIGKILL'));",
    line: '0 passed, 1 failed',
    status: 1,
  },
  {
    title: 'the file ends early and calls it success',
    body: "test('a', () => {}); test('b', () => process.exit(0));",
    line: '0 passed, 1 failed',
    status: 1,
  },
  { title: 'the file has no tests', body: 'export const a = 1;', line: '0 passed, 1 failed', status: 1 },
  {
    title: 'something is thrown after the tests',
    body: "test('a', () => { setTimeout(() => { throw new Error('late'); }, 50); });",
    line: '1 passed, 1 failed',
    status: 1,
  },
  {
    title: 'a hook fails',
    body: "import { after } from 'node:test';\ndescribe('b', () => { after(() => { throw new Error('hook'); }); it('c', () => {}); });",
    line: '1 passed, 1 failed',
    status: 1,
  },
];

describe('the test run', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'farshore-tests-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function runTests(args: readonly string[]): { status: number | null; stdout: string; lastLine: string | undefined } {
    // As a child of a test it would report to that test's runner.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, [runner, ...args], { encoding: 'utf8', env });
    return { status, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) };
  }

  for (const [index, { title, body, line, status }] of runs.entries()) {
    it(`says so when ${title}`, () => {
      const file = path.join(folder, `run-${index}.test.ts`);
      writeFileSync(file, `${head}${body}\n`);
      const run = runTests([file]);
      assert.equal(run.lastLine, line, run.stdout);
      assert.equal(run.status, status);
    });
  }

  it('names what was skipped and why', () => {
    const file = path.join(folder, 'skipped.test.ts');
    writeFileSync(file, `${head}test('a', () => {}); test('the title', { skip: 'needs strace' }, () => {});\n`);
    assert.match(runTests([file]).stdout, /^SKIPPED 1: needs strace\n {4}the title/m);
  });

  it('fails when nothing fits its arguments', () => {
    const run = runTests(['no-such-suite']);
    assert.equal(run.lastLine, '0 passed, 1 failed');
    assert.equal(run.status, 1);
    assert.match(run.stdout, /no test file fits "no-such-suite"/);
  });
});
