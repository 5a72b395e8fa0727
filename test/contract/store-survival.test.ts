import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { JobId, PairingId, PlanId, SiteId, UserId, VaultId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { makeFolder, makeJob, makeStoreWorld, order, protect } from '../support/store-world.ts';

const support = join(import.meta.dirname, '..', 'support');
const program = join(support, 'appending-process.ts');
const hasStrace = process.platform === 'linux' && spawnSync('strace', ['-V']).status === 0;

/** Runs the process that stores settings under strace; answers what it said and how often it synced. */
async function storeSettings(folder: string, file: string, faults: readonly string[] = []): Promise<{ said: string[]; syncs: number }> {
  const trace = join(folder, 'trace');
  const tracing = ['-f', '-qq', '-e', 'trace=fdatasync,fsync', '-o', trace, ...faults];
  const { stdout } = spawnSync('strace', [...tracing, process.execPath, join(support, 'setting-process.ts'), join(folder, file)]);
  const calls = (await readFile(trace, 'utf8')).split('\n');
  return { said: stdout.toString().trim().split('\n'), syncs: calls.filter((line) => /f(data)?sync\(/.test(line)).length };
}

test('acknowledged-survives: after kill -9 in the middle of appends everything acknowledged is there, and nothing half', async (t) => {
  const world = await makeStoreWorld(t);
  const { vms } = await protect(world, 20);
  const job = makeJob(world);
  await world.store.jobs.open(order(job, { claims: vms.map(({ id }) => ({ id, phases: ['protected'] })) }));
  await world.store.close();
  const child = spawn(process.execPath, [program, world.file, world.vaultId, job.id, ...vms.map(({ id }) => id)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // The kill comes while the next appends are under way.
    if (acknowledged.push(line) === 215) child.kill('SIGKILL');
  }
  if (child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');

  const store = await world.reopen();
  const facts = await store.jobs.facts(world.vaultId, job.id);
  const steps = new Set(facts.map(({ fact }) => ('step' in fact ? String(fact.step) : '')));
  for (const line of acknowledged) {
    const [n, round] = line.split(' ');
    for (const part of ['a', 'b', 'c']) assert.ok(steps.has(`${part}/${n}/${round}`), `${part}/${n}/${round} is missing`);
  }
  assert.deepEqual(
    facts.map(({ seq }) => seq),
    facts.map((_, index) => index + 1),
  );
  assert.equal(facts.length % 3, 0);
  const phases = new Map((await store.promises.protectedVms(world.vaultId)).map((vm) => [vm.id, vm.phase]));
  vms.forEach(({ id }, n) => {
    const rounds = facts.filter(({ fact }) => 'step' in fact && fact.step.startsWith(`a/${n}/`)).length;
    assert.equal(phases.get(id), rounds % 2 === 0 ? 'protected' : 'failingOver');
  });
});

test('a write whose sync fails is refused with what to do, and the next goes on', { skip: !hasStrace && 'needs strace' }, async (t) => {
  const folder = await makeFolder(t);
  const { said, syncs } = await storeSettings(folder, 'whole.db');
  assert.deepEqual(said, ['0 stored x', '1 stored x', '2 stored x', '3 stored x', '4 stored x']);
  // One of the last: behind all that set the database up.
  const place = syncs - 4;
  const hurt = await storeSettings(folder, 'hurt.db', ['-e', `inject=fdatasync,fsync:error=EIO:when=${place}`]);
  const failed = hurt.said.filter((line) => !line.includes('stored'));
  assert.match(failed.join(), /^\d the disk of the database failed: check its health.* -$/);
  assert.equal(hurt.said.length, 5);
});

test('what was stored is there when the store is opened again, and migrations run once', async (t) => {
  const world = await makeStoreWorld(t);
  const { pairing, job } = await protect(world, 3);
  await world.store.settings.set('secret', 'one');
  await world.store.settings.set('secret', 'two');
  for (let times = 0; times < 2; times++) {
    const store = await world.reopen();
    assert.equal(await store.settings.get('secret'), 'two');
    assert.deepEqual(
      (await store.promises.pairings(world.vaultId)).map(({ id }) => id),
      [pairing.id],
    );
    assert.equal((await store.jobs.find(world.vaultId, job.id))?.state, 'succeeded');
  }
});

test('two control planes do not share one database: the second is told so, until the first has gone', async (t) => {
  const { file, store } = await makeStoreWorld(t);
  await assert.rejects(openStore({ file }), { code: 'ERR_CONFLICT' });
  await store.close();
  await (await openStore({ file })).close();
});

test('only the owner of the files may read them', { skip: process.platform === 'win32' }, async (t) => {
  const world = await makeStoreWorld(t);
  const { stat, readdir } = await import('node:fs/promises');
  const files = await readdir(world.folder);
  assert.ok(files.length >= 2, 'the write-ahead log is beside it');
  for (const name of files) assert.equal((await stat(join(world.folder, name))).mode & 0o077, 0, name);
});

test('a database of a newer release is refused and left as it was', async (t) => {
  const world = await makeStoreWorld(t);
  await world.store.close();
  const database = new Database(world.file);
  database.prepare(`INSERT INTO kysely_migration VALUES ('0099-from-the-future', '2030-01-01T00:00:00.000Z')`).run();
  database.close();
  await assert.rejects(openStore({ file: world.file }), { code: 'ERR_STORE_FAILED', message: /newer release.*0099-from-the-future/ });
});

test('a file that is damaged or no database is refused with what to do', async (t) => {
  const folder = await makeFolder(t);
  const text = join(folder, 'text.db');
  await writeFile(text, 'this is no database, but long enough to be taken for one '.repeat(100));
  await assert.rejects(openStore({ file: text }), { code: 'ERR_STORE_FAILED', message: /no Farshore database/ });

  const world = await makeStoreWorld(t);
  await protect(world, 200);
  await world.store.close();
  const bytes = await readFile(world.file);
  bytes.fill(0xa5, 8_192, bytes.length - 4_096);
  await writeFile(world.file, bytes);
  await assert.rejects(openStore({ file: world.file }), { code: 'ERR_STORE_FAILED', message: /damaged.*backup/ });
  await assert.rejects(openStore({ file: join(folder, 'nowhere', 'x.db') }), { code: 'ERR_STORE_FAILED', message: /folder exists/ });
});

test('every row lies under its vault: to another it does not exist', async (t) => {
  const world = await makeStoreWorld(t);
  const { store, vaultId, ownerId, primary } = world;
  const { pairing, job, vms } = await protect(world, 1);
  const document = { name: 'shop', guestAnswersWithinSeconds: 300, groups: [{ name: 'a', members: [{ vm: 'x' }] }] };
  const plan = await store.wishes.savePlan({
    id: systemRandom.uuid() as PlanId,
    vaultId,
    name: 'shop',
    document,
    createdAt: 1,
    createdBy: ownerId,
  });
  const credential = {
    hash: 'h',
    vaultId,
    userId: ownerId,
    kind: 'token',
    name: 'ci',
    role: 'viewer',
    createdAt: 1,
    expiresAt: 2,
  } as const;
  await store.accounts.addCredential(credential);
  const look = async (vault: VaultId) => [
    await store.accounts.findUser(vault, ownerId as UserId),
    await store.sites.find(vault, primary as SiteId),
    await store.sites.agentOf(vault, primary),
    await store.promises.findPairing(vault, pairing.id as PairingId),
    await store.jobs.find(vault, job.id as JobId),
    await store.wishes.findPlan(vault, plan.id),
    await store.wishes.findPlan(vault, 'shop'),
    (await store.promises.protectedVms(vault, { ids: vms.map(({ id }) => id) }))[0] ?? null,
    (await store.jobs.facts(vault, job.id))[0] ?? null,
    (await store.accounts.credentials(vault, 'token'))[0] ?? null,
  ];
  assert.deepEqual(
    (await look(vaultId)).map((found) => found !== null),
    [true, true, false, true, true, true, true, true, true, true],
  );
  const foreign = systemRandom.uuid() as VaultId;
  assert.ok((await look(foreign)).every((found) => found === null));
  await assert.rejects(store.jobs.append(foreign, job.id, [], []), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(store.jobs.graph(foreign, job.id), { code: 'ERR_NOT_FOUND' });
  assert.equal(await store.accounts.removeCredential(foreign, 'h'), false);
  // Another vault may use the same id for a job of its own.
  const other = { id: foreign, name: 'other', createdAt: 1 };
  const stranger = {
    id: systemRandom.uuid() as UserId,
    vaultId: foreign,
    name: 'lee',
    role: 'owner',
    passwordHash: 'x',
    createdAt: 1,
  } as const;
  assert.equal(await store.accounts.createFirst(other, stranger), false);
});

test('a plan keeps its versions, and its name is its own', async (t) => {
  const { store, vaultId, ownerId } = await makeStoreWorld(t);
  const [id, otherId] = [systemRandom.uuid() as PlanId, systemRandom.uuid() as PlanId];
  const plan = (name: string, planId = id) => {
    const document = { name, guestAnswersWithinSeconds: 300, groups: [{ name: 'a', members: [{ vm: name }] }] };
    return store.wishes.savePlan({ id: planId, vaultId, name, document, createdAt: 1, createdBy: ownerId });
  };
  const saved = await Promise.all([plan('shop'), plan('shop'), plan('store')]);
  assert.deepEqual(
    saved.map(({ version }) => version),
    [1, 2, 3],
  );
  assert.equal((await store.wishes.findPlan(vaultId, 'store'))?.version, 3);
  assert.equal((await store.wishes.findPlan(vaultId, id, 1))?.document.name, 'shop');
  await assert.rejects(plan('store', otherId), { code: 'ERR_CONFLICT' });
});
