import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readEgress, totalEgress } from '../../provider-agent/local/show-egress.ts';
import { EgressLedger, listLedger } from '../../provider-agent/state/egress-ledger.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const DAY = 86_400_000;
const MEGABYTE = 1024 * 1024;

function open(t: TestContext, options: { days?: number; totalBytes?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-egress-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new VirtualClock(Date.parse('2026-11-23T10:00:00Z'));
  const make = () => new EgressLedger({ folder, clock, days: options.days ?? 30, totalBytes: options.totalBytes ?? 100 * MEGABYTE });
  return { folder, clock, make, paths: () => listLedger(folder).map((name) => join(folder, name)) };
}

async function linesOf(files: readonly string[], day: string | null = null, last: number | null = null): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readEgress({ files, day, last })) lines.push(line);
  return lines;
}

test('every message stands in the ledger word for word, with its moment, in a file a day', async (t) => {
  const { clock, make, folder, paths } = open(t);
  const ledger = make();
  ledger.note('{"type":"hello"}');
  await clock.advance(DAY);
  ledger.note('{"type":"command.finished"}');
  ledger.close();
  assert.deepEqual(listLedger(folder), ['egress-2026-11-23.jsonl', 'egress-2026-11-24.jsonl']);
  assert.deepEqual(await linesOf(paths()), [
    '{"at":"2026-11-23T10:00:00.000Z","message":{"type":"hello"}}',
    '{"at":"2026-11-24T10:00:00.000Z","message":{"type":"command.finished"}}',
  ]);
  assert.equal((await linesOf(paths(), '2026-11-24')).length, 1);
  assert.match((await linesOf(paths(), null, 1))[0] ?? '', /finished/);
});

test('a restart goes on in the file of the day', async (t) => {
  const { make, folder, paths } = open(t);
  for (let life = 0; life < 3; life++) {
    const ledger = make();
    ledger.note(`{"type":"hello","life":${life}}`);
    ledger.close();
  }
  assert.equal(listLedger(folder).length, 1);
  assert.equal((await linesOf(paths())).length, 3);
});

test('days past the retention are removed, and no others', async (t) => {
  const { clock, make, folder } = open(t, { days: 2 });
  const ledger = make();
  for (let day = 0; day < 6; day++) {
    ledger.note('{"type":"hello"}');
    await clock.advance(DAY);
  }
  ledger.close();
  assert.deepEqual(listLedger(folder), ['egress-2026-11-26.jsonl', 'egress-2026-11-27.jsonl', 'egress-2026-11-28.jsonl']);
});

test('a flood fills parts of the day, and the oldest go when the limit is reached', async (t) => {
  const { make, folder, paths } = open(t, { totalBytes: MEGABYTE });
  const ledger = make();
  const pad = 'x'.repeat(10_000);
  for (let n = 0; n < 400; n++) ledger.note(`{"type":"hello","n":${n},"pad":"${pad}"}`);
  ledger.close();
  const total = paths().reduce((sum, path) => sum + statSync(path).size, 0);
  assert.ok(total <= MEGABYTE * 1.1, `${total} bytes`);
  assert.ok(listLedger(folder).length > 5);
  const numbers = (await linesOf(paths())).map((line) => (JSON.parse(line) as { message: { n: number } }).message.n);
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, i) => 400 - numbers.length + i),
    'the newest, in order, none missing',
  );
});

test('what left is counted by type', async (t) => {
  const { make, paths } = open(t);
  const ledger = make();
  ledger.note('{"type":"hello"}');
  ledger.note('{"type":"inventory.changed","vms":[]}');
  ledger.note('{"type":"hello"}');
  ledger.close();
  const totals = await totalEgress(readEgress({ files: paths(), day: null, last: null }));
  assert.deepEqual(totals.map(({ type, messages }) => [type, messages]).sort(), [
    ['hello', 2],
    ['inventory.changed', 1],
  ]);
});
