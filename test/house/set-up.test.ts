/** The door to every task: set-ups take turns, signals and exit codes pass through, deleted sources leave dist/. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '../..');
const setup = (name: string): string => pathToFileURL(path.join(root, 'scripts/setup', name)).href;
const noSignals = process.platform === 'win32' ? 'Windows has no signals to send to one process' : false;

/** A program in a process of its own, and what it has written so far. */
function start(program: string): { process: ChildProcess; output: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { process: child, output: () => text, ended: once(child, 'close').then(([code]) => code as number | null) };
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('two set-ups at once', () => {
  let folder: string;
  let lock: string;
  const diary = (): string => (existsSync(path.join(folder, 'diary')) ? readFileSync(path.join(folder, 'diary'), 'utf8') : '');

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'farshore-lock-'));
    lock = path.join(folder, '.setup.lock');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Holds the lock for `ms`, and notes when it took it and gave it back. */
  const holder = (name: string, ms: number): string => `
    import { withSetupLock } from '${setup('setup-lock.mjs')}';
    import { appendFileSync } from 'node:fs';
    const note = (text) => appendFileSync(${JSON.stringify(path.join(folder, 'diary'))}, text + '\\n');
    await withSetupLock(${JSON.stringify(folder)}, async () => {
      note('${name} in');
      await new Promise((resolve) => setTimeout(resolve, ${ms}));
      note('${name} out');
    });`;

  it('take turns', async () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => start(holder(name, 100)));
    assert.deepEqual(await Promise.all(all.map(({ ended }) => ended)), [0, 0, 0, 0]);
    const lines = diary().trim().split('\n');
    assert.equal(lines.length, 8);
    for (let index = 0; index < lines.length; index += 2) assert.equal(lines[index]?.replace(' in', ' out'), lines[index + 1]);
    assert.ok(!existsSync(lock), 'the lock stayed');
  });

  it('go on when the one before was killed', async () => {
    const killed = start(holder('killed', 60_000));
    await until(() => diary().includes('killed in'), 'the first has the lock');
    killed.process.kill('SIGKILL');
    await killed.ended;
    assert.ok(existsSync(lock), 'the killed one left its lock behind');
    assert.equal(await start(holder('next', 0)).ended, 0);
    assert.match(diary(), /killed in\nnext in\nnext out\n$/);
  });

  it('go on when a holder on another host has not been heard of for a minute, and wait for one that has', async () => {
    writeFileSync(lock, JSON.stringify({ pid: 1, host: `not-${hostname()}`, token: 'other' }));
    const waiting = start(holder('patient', 0));
    await until(() => waiting.output().includes('waiting for another set-up'), 'it says that it waits');
    assert.doesNotMatch(diary(), /patient/);
    const minuteAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, minuteAgo, minuteAgo);
    assert.equal(await waiting.ended, 0);
    assert.match(diary(), /patient in\npatient out\n$/);
  });
});

describe('a task', () => {
  const wrapped = (program: string): string => `
    import { runProgram } from '${setup('run-program.mjs')}';
    process.exitCode = await runProgram(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(program)}, 'first', 'two words'], process.cwd());`;

  it('gets its arguments, and its exit code is passed on', async () => {
    const task = start(wrapped('console.log(JSON.stringify(process.argv.slice(1))); process.exitCode = 7;'));
    assert.equal(await task.ended, 7);
    assert.equal(task.output().trim(), '["first","two words"]');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`gets ${signal} once, and its clean-up is waited for`, { skip: noSignals }, async () => {
      const task = start(
        wrapped(`
        let count = 0;
        process.on('${signal}', () => { count += 1; setTimeout(() => { console.log('cleaned up', count); process.exit(3); }, 200); });
        setInterval(() => {}, 1000);
        console.log('ready');`),
      );
      await until(() => task.output().includes('ready'), 'the task runs');
      task.process.kill(signal);
      task.process.kill(signal);
      assert.equal(await task.ended, 3);
      assert.match(task.output(), /cleaned up 1\n/);
    });
  }

  it('that a signal ended says so by its exit code', { skip: noSignals }, async () => {
    assert.equal(await start(wrapped("process.kill(process.pid, 'SIGKILL');")).ended, 137);
  });

  it('of a name that does not exist is refused with a list of those that do', () => {
    const { status, stderr } = spawnSync(process.execPath, [path.join(root, 'scripts/with-setup.mjs'), 'dmeo'], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /no task "dmeo"[\s\S]*\bdemo\b/);
  });
});

describe('the build', () => {
  it('takes the outputs of deleted sources away and keeps the others', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'farshore-build-'));
    try {
      const write = (name: string, text: string): void => {
        mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
        writeFileSync(path.join(folder, name), text);
      };
      symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
      write('tsconfig.json', '{ "files": [], "references": [{ "path": "room" }] }');
      write(
        'room/tsconfig.json',
        '{ "compilerOptions": { "composite": true, "rootDir": ".", "outDir": "../dist/room", "types": [] }, "include": ["**/*.ts"] }',
      );
      write('room/kept.ts', 'export const kept = 1;');
      write('room/gone.ts', 'export const gone = 1;');
      write('cellar/gone.ts', '');
      const program = `import { build } from '${setup('build.mjs')}'; await build(${JSON.stringify(folder)}, process.execPath);`;
      const build = (): void => assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', program]).status, 0);
      const has = (name: string): boolean => existsSync(path.join(folder, 'dist', name));

      build();
      assert.ok(has('room/kept.js') && has('room/gone.js'));
      rmSync(path.join(folder, 'room/gone.ts'));
      write('dist/cellar/gone.js', '');
      rmSync(path.join(folder, 'cellar'), { recursive: true });
      build();
      assert.ok(has('room/kept.js') && !has('room/gone.js') && !has('room/gone.d.ts') && !has('cellar'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
