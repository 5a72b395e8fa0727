/** The demo where it cannot do what it was asked for: it says what, and what can be done. That it runs is seen by `.ci/run`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { fabrics } from '../../demo/fabrics.ts';
import { Processes } from '../../demo/processes.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'farshore-demo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function demo(...words: string[]): Promise<{ code: number; output: string; errors: string }> {
  const child = spawn(process.execPath, ['demo/main.ts', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number, output, errors };
}

describe('the demo', () => {
  it('lists its fabrics in its help', async () => {
    const { code, output } = await demo('--help');
    assert.equal(code, 0);
    for (const name of Object.keys(fabrics)) assert.match(output, new RegExp(`^ +${name} `, 'm'));
  });

  it('refuses a fabric that it does not know, and a word that means nothing to it', async () => {
    for (const words of [['--fabric', 'toString'], ['--fabric'], ['--onec'], ['once']]) {
      const { code, errors } = await demo(...words);
      assert.equal(code, 2, words.join(' '));
      assert.match(errors, /toString|--fabric|--onec|once/);
      assert.match(errors, /usage: npm run demo/);
    }
  });

  it('says what is missing for PowerShell where there is no .NET SDK, and how to get it', async () => {
    const before = process.env.PATH;
    process.env.PATH = folder;
    try {
      const sites = fabrics.hyperv;
      assert.ok(sites);
      const began = sites.start({ folder, sites: [sites.primary, sites.recovery], processes: new Processes(), onDied: assert.fail });
      await assert.rejects(began, /no \.NET SDK[\s\S]*install it \(https:/);
    } finally {
      process.env.PATH = before;
    }
  });
});
