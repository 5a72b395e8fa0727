import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isDataFolderLocked, lockDataFolder } from '../../provider-agent/state/data-lock.ts';
import type { Order } from '../../provider-agent/state/journal.ts';
import { checkJournal, openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import type { CommandId } from '../../shared/ids.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';
import { startCommand, vmRef } from '../support/agent-world.ts';

const order = (n: number, epoch = 1): Order => ({
  commandId: `c${n}` as CommandId,
  contentHash: 'aa',
  command: startCommand(n),
  epoch,
  deadline: 1_000,
  vm: vmRef(n),
});
const failed: Outcome = { status: 'failed', code: 'ERR_FABRIC_FAILED', logRef: '' };

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'farshore-journal-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('what was begun and what was ended is there for the next life', async (t) => {
  const path = join(await folderFor(t), 'agent.db');
  const first = await openJournal(path, setImmediate);
  await Promise.all([first.begin(order(1, 4), 10), first.begin(order(2), 12), first.begin(order(3), 11)]);
  await first.conclude('c2' as CommandId, { outcome: failed, endedAt: 50 });
  await first.conclude('c3' as CommandId, { outcome: failed, endedAt: 40 });
  first.abandon();

  const second = await openJournal(path, setImmediate);
  t.after(() => second.close());
  assert.deepEqual(second.unfinished(), [{ order: order(1, 4), ending: null }]);
  assert.deepEqual(
    second.unconfirmed().map(({ commandId }) => commandId),
    ['c3', 'c2'],
  );
  assert.deepEqual([second.lastSequence, second.epochOf(vmRef(1)), second.epochOf(vmRef(9))], [12, 4, 0]);
});

test('a lower epoch and a second result change nothing that is written', async (t) => {
  const journal = await openJournal(join(await folderFor(t), 'agent.db'), setImmediate);
  t.after(() => journal.close());
  await journal.begin(order(1, 7), 2);
  await journal.begin({ ...order(1, 3), commandId: 'other' as CommandId }, 1);
  await journal.conclude('c1' as CommandId, { outcome: failed, endedAt: 5 });
  await journal.conclude('c1' as CommandId, { outcome: { ...failed, code: 'ERR_HOST_DOWN' }, endedAt: 6 });
  assert.deepEqual([journal.epochOf(vmRef(1)), journal.lastSequence], [7, 2]);
  assert.deepEqual(journal.find('c1' as CommandId)?.ending, { outcome: failed, endedAt: 5 });
});

test('a refused command raises no epoch', async (t) => {
  const journal = await openJournal(join(await folderFor(t), 'agent.db'), setImmediate);
  t.after(() => journal.close());
  await journal.refuse(order(1, 99), 1, { outcome: { ...failed, status: 'refused' }, endedAt: 1 });
  assert.equal(journal.epochOf(vmRef(1)), 0);
  assert.equal(journal.unfinished().length, 0);
});

test('only confirmed commands are forgotten, and only past their time', async (t) => {
  const journal = await openJournal(join(await folderFor(t), 'agent.db'), setImmediate);
  t.after(() => journal.close());
  await Promise.all([1, 2, 3, 4].map((n) => journal.begin(order(n), n)));
  await Promise.all([1, 2, 3].map((n) => journal.conclude(`c${n}` as CommandId, { outcome: failed, endedAt: n })));
  await journal.confirm(['c1', 'c4'] as CommandId[], 100);
  await journal.confirm(['c2'] as CommandId[], 200);
  assert.equal(await journal.prune(150), 1);
  assert.deepEqual(
    [1, 2, 3, 4].map((n) => journal.find(`c${n}` as CommandId) !== null),
    [false, true, true, true],
  );
});

test('a batch that cannot be written is rejected whole, and the journal goes on', async (t) => {
  const journal = await openJournal(join(await folderFor(t), 'agent.db'), setImmediate);
  t.after(() => journal.close());
  await journal.begin(order(1), 1);
  const results = await Promise.allSettled([journal.begin(order(2), 2), journal.begin(order(1), 3)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.deepEqual([journal.find('c2' as CommandId), journal.lastSequence], [null, 1]);
  await journal.begin(order(2), 2);
  assert.equal(journal.lastSequence, 2);
});

test('an abandoned journal writes nothing that waited', async (t) => {
  const path = join(await folderFor(t), 'agent.db');
  const journal = await openJournal(path, setImmediate);
  let isWritten = false;
  void journal.begin(order(1), 1).then(() => {
    isWritten = true;
  });
  journal.abandon();
  const next = await openJournal(path, setImmediate);
  t.after(() => next.close());
  await next.sawSequence(1);
  assert.deepEqual([isWritten, next.find('c1' as CommandId)], [false, null]);
});

test('a data folder belongs to one agent at a time', async (t) => {
  const folder = await folderFor(t);
  const lock = await lockDataFolder(folder);
  await assert.rejects(lockDataFolder(folder), { code: 'ERR_CONFLICT' });
  assert.equal(await isDataFolderLocked(folder), true);
  lock.release();
  assert.equal(await isDataFolderLocked(folder), false);
});

test('a journal with a broken page is told when it is opened, and left as it is', async (t) => {
  const path = join(await folderFor(t), 'agent.db');
  const journal = await openJournal(path, setImmediate);
  await Promise.all(Array.from({ length: 200 }, (_, n) => journal.begin(order(n), n)));
  await journal.close();
  const bytes = await readFile(path);
  assert.ok(bytes.length > 5 * 4096);
  bytes.fill(0x55, 3 * 4096, 4 * 4096);
  await writeFile(path, bytes);
  await assert.rejects(openJournal(path, setImmediate), { code: 'ERR_JOURNAL_DAMAGED', message: /agent\.db/ });
  await assert.rejects(checkJournal(path), { code: 'ERR_JOURNAL_DAMAGED' });
  assert.deepEqual(await readFile(path), bytes);
});

test('a journal is checked without a change to it, and one that is not there yet is none to complain of', async (t) => {
  const path = join(await folderFor(t), 'agent.db');
  await checkJournal(path);
  const journal = await openJournal(path, setImmediate);
  await journal.begin(order(1), 1);
  await checkJournal(path);
  await journal.close();
  await checkJournal(path);
});
