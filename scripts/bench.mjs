/**
 * Runs the benchmarks one after the other, each in its own process, so that none warms or crowds the next.
 * Arguments are parts of their names. Each program directly in test/bench is a benchmark.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const all = globSync('dist/test/bench/*.js', { cwd: root }).sort();
const chosen = all.filter((file) => wanted.length === 0 || wanted.some((part) => path.basename(file).includes(part)));
if (chosen.length === 0) {
  console.error(
    `no benchmark ${wanted.length > 0 ? `fits ${wanted.join(', ')}` : 'in test/bench'}; there are: ${all.map((file) => path.basename(file, '.js')).join(', ') || 'none'}`,
  );
  process.exitCode = 1;
}
for (const file of chosen) {
  console.log(`\n# ${path.basename(file, '.js')}`);
  const { status } = spawnSync(process.execPath, [path.join(root, file)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
