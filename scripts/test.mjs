/**
 * Runs the suites from source on Node 24, a process for each file, and ends with one line of counts:
 * `412 passed, 0 failed, 3 skipped`. Arguments are files, folders or parts of a file's name. It fails when a test
 * failed, when none ran, and when a file ended before its tests did, which node:test itself takes for a success.
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const root = path.resolve(import.meta.dirname, '..');
const pattern = 'test/{house,unit,contract,scenario,simulation,fault,qemu}/**/*.test.ts';
/** For one test; the longest kill real processes dozens of times. */
const testLimitMs = 300_000;

/** The files that the arguments choose; all where there are none. Throws on an argument that chooses nothing. */
function chosenFiles(args) {
  const all = globSync(pattern, { cwd: root }).map((file) => path.join(root, file));
  if (args.length === 0 && all.length === 0) throw new Error(`there is no test file; suites are ${pattern}`);
  if (args.length === 0) return all.sort();
  const chosen = args.flatMap((arg) => {
    const exact = [path.resolve(arg), path.resolve(root, arg)].find((file) => existsSync(file));
    if (exact !== undefined && statSync(exact).isFile()) return [exact];
    const some =
      exact === undefined
        ? all.filter((file) => path.relative(root, file).includes(arg))
        : all.filter((file) => file.startsWith(exact + path.sep));
    if (some.length === 0) throw new Error(`no test file fits "${arg}"; suites are ${pattern}`);
    return some;
  });
  return [...new Set(chosen)].sort();
}

/** Counts tests, not the suites round them, and holds every file to having ended in order. */
class Tally {
  passed = 0;
  failed = 0;
  /** Reason -> titles. */
  skipped = new Map();
  #unfinished;
  #broken = new Set();

  constructor(files) {
    this.#unfinished = new Set(files);
  }

  take({ type, data }) {
    if (type === 'test:summary' && data.file !== undefined) this.#unfinished.delete(data.file);
    if (type !== 'test:pass' && type !== 'test:fail') return;
    const isWholeFile = data.nesting === 0 && data.name === data.file;
    if (type === 'test:fail') this.#fail(data, isWholeFile);
    else if (!isWholeFile && data.details.type !== 'suite') this.#pass(data);
  }

  #pass(data) {
    const without = data.skip ?? data.todo;
    if (without === undefined || without === false) this.passed += 1;
    else {
      const reason = typeof without === 'string' && without !== '' ? without : 'no reason given';
      this.skipped.set(reason, [...(this.skipped.get(reason) ?? []), `${data.name} (${path.relative(root, data.file)})`]);
    }
  }

  #fail(data, isWholeFile) {
    if (isWholeFile) this.#broken.add(data.file);
    // A suite fails by itself only when its hooks do; else its tests were counted.
    if (data.details.type !== 'suite' || data.details.error?.failureType === 'hookFailed') this.failed += 1;
  }

  /** Files that ended, by their own account well, before their tests did; each counts as one failure. */
  endedEarly() {
    const files = [...this.#unfinished].filter((file) => !this.#broken.has(file));
    this.failed += files.length;
    return files.map((file) => path.relative(root, file));
  }

  skippedCount() {
    return [...this.skipped.values()].reduce((sum, titles) => sum + titles.length, 0);
  }

  line() {
    const skipped = this.skippedCount();
    return `${this.passed} passed, ${this.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }
}

async function runFiles(files) {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupt.abort());
  const tally = new Tally(files);
  const events = run({
    files,
    cwd: root,
    concurrency: Math.max(2, availableParallelism()),
    timeout: testLimitMs,
    signal: interrupt.signal,
  });
  events.on('data', (event) => tally.take(event));
  const report = events.compose(spec);
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve, reject) => report.on('end', resolve).on('error', reject));
  return tally;
}

function summarise(tally) {
  const lines = [''];
  for (const [reason, titles] of tally.skipped) {
    lines.push(`SKIPPED ${titles.length}: ${reason}`, ...titles.slice(0, 5).map((title) => `    ${title}`));
    if (titles.length > 5) lines.push(`    and ${titles.length - 5} more`);
  }
  for (const file of tally.endedEarly()) lines.push(`FAILED ${file}: it ended before its tests did, or has none`);
  if (tally.passed + tally.failed === 0) lines.push('FAILED: no test ran');
  return [...lines, tally.line()].join('\n');
}

try {
  const tally = await runFiles(chosenFiles(process.argv.slice(2)));
  process.stdout.write(`${summarise(tally)}\n`);
  process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
} catch (thrown) {
  process.stdout.write(`${thrown.message}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
}
