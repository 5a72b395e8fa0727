import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { plantedBugs } from '../support/planted-bugs.ts';

const support = join(import.meta.dirname, '../support');

/** Runs scenarios in a process of their own, with a bug or with none. */
async function run(plant: string, names: readonly string[]): Promise<{ code: number | null; told: string }> {
  const child = spawn(
    process.execPath,
    ['--import', join(support, 'planted-register.ts'), join(support, 'planted-scenarios.ts'), ...names],
    {
      env: { ...process.env, FARSHORE_PLANT: plant, NODE_TEST_CONTEXT: '' },
    },
  );
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (told += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, told };
}

describe('planted bugs', { concurrency: 2 }, () => {
  for (const { name, what, scenario, invariant } of plantedBugs) {
    test(`${name} is caught: ${what}`, async () => {
      const { code, told } = await run(name, [scenario]);
      assert.equal(code, 1, told);
      assert.match(told, new RegExp(`(^|\\n|: )${invariant}: `), told);
    });
  }

  test('without a bug the same scenarios pass', async () => {
    const { code, told } = await run('', [...new Set(plantedBugs.map(({ scenario }) => scenario))]);
    assert.equal(code, 0, told);
  });

  test('README.md of the tests lists every one, with its file and what catches it', () => {
    const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
    for (const { name, edits, what, scenario, invariant } of plantedBugs) {
      const row = `| ${name} | ${[...new Set(edits.map(({ file }) => `\`${file}\``))].join(', ')} | ${what} | ${scenario}: \`${invariant}\` |`;
      assert.ok(readme.includes(row), `this row is missing: ${row}`);
    }
  });
});
