import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { VmId } from '../../shared/ids.ts';
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

test('a VM with an IPv6 address gets one of the pool of IPv6 at the other site, and the next VM the next one', async () => {
  const wired = (pool: string) => `  - { name: Six, subnets: [{ name: a, cidr: '2001:db8:0::/48', pool: ${pool} }] }`;
  const pair = await preparePair(
    await openPair({
      primaryExtra: wired("{ from: '2001:db8::1', to: '2001:db8::9' }"),
      recoveryExtra: wired("{ from: '2001:DB8:0::FFFF', to: '2001:db8::1:0', gateway: 'fe80::1' }"),
    }),
  );
  const six = (of: typeof pair.primaryDefinition) => of.networks.find(({ name }) => name === 'Six')?.id;
  const [from, to] = [six(pair.primaryDefinition), six(pair.recoveryDefinition)];
  const [made] = pair.primaryDefinition.vms;
  const cloud = pair.recoveryDefinition.clouds[0];
  assert.ok(from && to && made && cloud);
  const given: unknown[] = [];
  for (const digit of [1, 2]) {
    const id = VmId.parse(`0e000000-0000-4000-8000-00000000000${digit}`);
    pair.primary.addVm({ ...made, id, name: `six-${digit}`, adapters: [{ networkId: from, subnet: 'a', address: `2001:db8::${digit}` }] });
    const target = { siteId: pair.recoverySiteId, cloudId: cloud.id, address: pair.address };
    const policy = { ...defaultPolicy, copyFrequencySeconds: 30 as const };
    await pair.primary.enableReplication({ cloudId: made.cloudId, vmId: id }, target, policy, act());
    const replica = { cloudId: cloud.id, vmId: id };
    await pair.recovery.configureReplica(replica, [{ from, to }], act());
    given.push(pair.recovery.adapters(replica)[0]?.planned);
  }
  const plain = { networkId: to, subnet: 'a', gateway: 'fe80::1', dns: [] };
  assert.deepEqual(given, [
    { ...plain, address: '2001:db8::ffff' },
    { ...plain, address: '2001:db8::1:0' },
  ]);
  await pair.close();
});
