import assert from 'node:assert/strict';
import { test } from 'node:test';
import { act, openPair, preparePair, protect, refsOf } from '../support/simulated-sites.ts';

test('a VM is replicated, failed over from its newest point, started and committed', async () => {
  const pair = await preparePair(await openPair());
  const { atPrimary, atRecovery } = await protect(pair);
  await pair.clock.advance(65_000);

  const [newest] = await pair.recovery.recoveryPoints(atRecovery);
  assert.ok(newest);
  assert.ok(pair.clock.now() - newest.at <= 31_000, 'the replica is at most one copy behind');

  await pair.recovery.startFailover(atRecovery, null, act());
  assert.equal((await pair.recovery.findVm(atRecovery))?.power, 'off');
  await pair.recovery.startVm(atRecovery, act());
  assert.equal(await pair.recovery.guestAnswers(atRecovery), true);
  await pair.recovery.completeFailover(atRecovery, act());
  assert.deepEqual(await pair.recovery.recoveryPoints(atRecovery), []);
  assert.equal((await pair.primary.findVm(atPrimary))?.power, 'running', 'an unplanned failover touches nothing at the primary');
  assert.ok(refsOf(pair));
  await pair.close();
});
