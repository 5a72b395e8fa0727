import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import type { TaskEntry } from '../../provider-agent/fabric/site/task-log.ts';
import type { VmRef } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { killedSite, openKilledSite } from '../support/simulated-process.ts';
import { act, openPair, preparePair, protect } from '../support/simulated-sites.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'farshore-site-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the process until it has answered so many commands, then kills it at once. The ids of the commands it answered. */
async function runAndKill(databaseFile: string, afterAnswers: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/simulated-process.ts'), databaseFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > afterAnswers) child.kill('SIGKILL');
  });
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', 'the process was killed and did not end by itself');
  return text.split('\n').slice(0, -1);
}

const stateAfter = { startFailover: 'failedOverWaitingCompletion', stopFailover: 'replicating' } as const;

/** What the log says happened to one VM is what the VM is. */
async function assertStateIsThatOfTheLog(site: SimulatedSite, ref: VmRef, effects: readonly TaskEntry[]): Promise<void> {
  const view = await site.findVm(ref);
  const own = effects.filter(({ cloudId, vmId }) => cloudId === ref.cloudId && vmId === ref.vmId);
  const lastFailover = own.findLast(({ operation }) => operation === 'startFailover' || operation === 'stopFailover');
  const lastPower = own.findLast(({ operation }) => operation === 'startVm' || operation === 'stopFailover');
  if (lastFailover !== undefined) assert.equal(view?.replication.state, stateAfter[lastFailover.operation as keyof typeof stateAfter]);
  if (lastPower !== undefined) assert.equal(view?.power, lastPower.operation === 'startVm' ? 'running' : 'off');
}

test('after kill -9 in the middle of many operations the site is what its task log says, and no VM was started twice', async (t) => {
  const file = join(folder, 'killed.db');
  const random = new SeededRandom(20261123);
  let interrupted = 0;
  for (let kill = 0; kill < 4; kill++) {
    const answered = await runAndKill(file, 60 + Math.floor(random.fraction() * 300));
    const site = await openKilledSite(file);
    t.after(() => site.close());
    const log = site.taskLog();
    interrupted += log.filter(({ outcome }) => outcome === 'interrupted').length;
    assert.ok(log.every(({ outcome }) => outcome !== 'running'));
    const effects = log.filter(({ hadEffect }) => hadEffect);
    const known = new Set(effects.map(({ commandId }) => commandId));
    assert.deepEqual(
      answered.filter((id) => !known.has(id)),
      [],
      'each command that was answered had its effect',
    );

    const power = site.powerLog();
    for (const { id } of killedSite.vms) {
      for (const cloud of killedSite.clouds) {
        const ref = { cloudId: cloud.id, vmId: id };
        await assertStateIsThatOfTheLog(site, ref, effects);
        const changes = power.filter(({ cloudId, vmId }) => cloudId === ref.cloudId && vmId === id).map(({ change }) => change);
        assert.deepEqual(
          changes,
          changes.map((_, i) => (i % 2 === 0 ? 'on' : 'off')),
          'on and off take turns',
        );
      }
    }
    const starts = power.filter(({ cause }) => cause === 'startVm').map(({ commandId }) => commandId);
    const started = effects.filter(({ operation }) => operation === 'startVm').map(({ commandId }) => commandId);
    assert.deepEqual(starts.toSorted(), started.toSorted(), 'each start was one command');
    await site.close();
  }
  assert.ok(interrupted > 0, 'the kills hit operations under way');
});

test('a site that is opened again is where it was, under the same cursor and address, and goes on replicating', async () => {
  const files = [join(folder, 'p.db'), join(folder, 'r.db')] as const;
  const first = await preparePair(await openPair({ databaseFiles: files }));
  const { atPrimary, atRecovery } = await protect(first);
  await first.recovery.writeEpoch(atRecovery, 5, act());
  const { cursor } = await first.recovery.readInventory(null);
  const before = await first.recovery.findVm(atRecovery);
  await first.close();

  const again = await openPair({ databaseFiles: files, seed: 9 });
  assert.deepEqual(await again.recovery.findVm(atRecovery), before);
  const changes = await again.recovery.readInventory(cursor);
  assert.deepEqual([changes.full, changes.vms], [false, []]);
  const seenAt = (await again.primary.findVm(atPrimary))?.replication.lastPointAt ?? 0;
  await again.clock.advance(60_000);
  assert.ok(((await again.recovery.findVm(atRecovery))?.replication.lastPointAt ?? 0) > seenAt, 'new points arrive');
  await again.close();
});

test('the database, which holds keys of hosts, is for its owner only', { skip: process.platform === 'win32' }, async () => {
  const file = join(folder, 'mode.db');
  const site = await openKilledSite(file);
  for (const name of [file, `${file}-wal`]) assert.equal(statSync(name).mode & 0o077, 0, name);
  await site.close();
});
