import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LogFile } from '../../provider-agent/local/log-file.ts';

const LINE = `${'x'.repeat(1023)}\n`;

function open(t: TestContext, options: { files?: number; folder?: string } = {}) {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'farshore-log-'));
  const path = join(folder, 'logs', 'agent.log');
  const faults: unknown[] = [];
  const log = new LogFile({ path, megabytes: 1, files: options.files ?? 3, onFault: (error) => faults.push(error) });
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { log, path, folder, faults, files: () => readdirSync(join(folder, 'logs')).sort() };
}

const fill = (log: LogFile, megabytes: number) => {
  for (let i = 0; i < megabytes * 1024; i++) log.write(LINE);
};

test('a log grows to its size, then the next file is begun, and only so many are kept', (t) => {
  const { log, path, files } = open(t);
  log.write('oldest\n');
  fill(log, 1);
  assert.deepEqual(files(), ['agent.log', 'agent.log.1']);
  assert.match(readFileSync(`${path}.1`, 'utf8').slice(0, 10), /^oldest/);
  fill(log, 4);
  assert.deepEqual(files(), ['agent.log', 'agent.log.1', 'agent.log.2']);
  assert.ok(files().every((name) => statSync(join(path, '..', name)).size <= 1024 * 1024 + 2048));
  assert.doesNotMatch(readFileSync(`${path}.2`, 'utf8').slice(0, 10), /oldest/);
});

test('no line is lost or torn between two files', (t) => {
  const { log, path } = open(t, { files: 5 });
  const count = 1500;
  for (let i = 0; i < count; i++) log.write(`${String(i).padStart(1023, '0')}\n`);
  const all = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8');
  assert.deepEqual(all.trim().split('\n').map(Number), [...Array(count).keys()]);
});

test('a log goes on where the last process left it', (t) => {
  const { log, folder } = open(t);
  fill(log, 0.6);
  const { log: next, files } = open(t, { folder });
  fill(next, 0.6);
  assert.deepEqual(files(), ['agent.log', 'agent.log.1']);
});

test('one file alone is begun anew', (t) => {
  const { log, path, files } = open(t, { files: 1 });
  fill(log, 2.5);
  assert.deepEqual(files(), ['agent.log']);
  assert.ok(statSync(path).size <= 1024 * 1024);
});

test('a file that cannot be moved costs nothing: it goes on, and is tried again', (t) => {
  const { log, path, faults } = open(t);
  // A folder with something in it stands where the file should go.
  mkdirSync(join(`${path}.2`, 'in-the-way'), { recursive: true });
  fill(log, 1);
  log.write('still written\n');
  assert.equal(faults.length, 1);
  assert.match(readFileSync(path, 'utf8').slice(-14), /still written/);
  rmSync(`${path}.2`, { recursive: true });
  fill(log, 1);
  assert.ok(statSync(`${path}.1`).isFile());
});

test('a disk that takes nothing is told once, and the agent lives', { skip: existsSync('/dev/full') ? false : 'needs /dev/full' }, () => {
  const faults: unknown[] = [];
  const log = new LogFile({ path: '/dev/full', megabytes: 1, files: 3, onFault: (error) => faults.push(error) });
  for (let i = 0; i < 3; i++) log.write('lost\n');
  assert.deepEqual(
    faults.map((error) => (error as NodeJS.ErrnoException).code),
    ['ENOSPC'],
  );
});
