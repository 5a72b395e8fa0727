import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TlsTransport } from '../../provider-agent/fabric/peer/tls-transport.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import { keptPoints } from '../../provider-agent/fabric/site/recovery-points.ts';
import { ReplicationAnswer, ReplicationRequest } from '../../provider-agent/fabric/site/replication-frames.ts';
import { replicationTransitions } from '../../provider-agent/fabric/site/replication-states.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { SiteId } from '../../shared/ids.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { makeVaultCertificates } from '../support/replication-certificates.ts';
import {
  act,
  definition,
  openPair,
  pairingId,
  policy,
  preparation,
  preparePair,
  protect,
  refsOf,
  uuidOf,
} from '../support/simulated-sites.ts';

const HOUR = 3_600_000;

test('the table has one answer for each state and event', () => {
  const keys = replicationTransitions.map(({ from, on }) => `${from.mode} ${from.state} ${on}`);
  assert.equal(new Set(keys).size, keys.length);
});

test('kept are the newest point and as many hourly and application-consistent ones as the policy says', () => {
  const point = (minutes: number, kind: 'crashConsistent' | 'applicationConsistent' = 'crashConsistent') => ({
    id: `${minutes}`,
    at: minutes * 60_000,
    kind,
  });
  const points = [point(0), point(5), point(61), point(70, 'applicationConsistent'), point(125), point(129), point(135)];
  const ids = (count: number) => keptPoints(points, { ...defaultPolicy, additionalRecoveryPoints: count }).map(({ id }) => id);
  assert.deepEqual(ids(0), ['135']);
  assert.deepEqual(ids(2), ['135', '70', '61']);
  assert.deepEqual(ids(24), ['135', '70', '61', '0']);
});

test('hours of replication leave hourly points, application-consistent ones among them', async () => {
  const pair = await preparePair(await openPair({ vms: 1 }));
  const hourly = { ...defaultPolicy, additionalRecoveryPoints: 3, applicationConsistentHours: 2 };
  const { atRecovery } = await protect(pair, 0, hourly);
  await pair.clock.advance(6 * HOUR);
  const points = await pair.recovery.recoveryPoints(atRecovery);
  assert.equal(points.length, 4);
  assert.ok(points.some(({ kind }) => kind === 'applicationConsistent'));
  const [, second, third] = points;
  assert.ok(second !== undefined && third !== undefined && second.at - third.at >= HOUR - 5 * 60_000);
  await pair.close();
});

test('the first copy takes as long as the disks need on the line', async () => {
  const pair = await preparePair(await openPair({ vms: 1, primaryExtra: 'replication: { bandwidth: 10 MB/s }' }));
  const begin = pair.clock.now();
  await protect(pair);
  assert.equal(Math.round((pair.clock.now() - begin) / 1000), 1024, '10 GB at 10 MB/s');
  await pair.close();
});

test('operations take the time that the site file gives them', async () => {
  const pair = await openPair({ primaryExtra: 'timings: { writeEpoch: 3 s }' });
  const { atPrimary } = refsOf(pair);
  const call = pair.primary.writeEpoch(atPrimary, 1, act());
  await pair.clock.advance(2_999);
  assert.equal((await pair.primary.findVm(atPrimary))?.epoch, 0);
  await pair.clock.advance(1);
  await call;
  assert.equal((await pair.primary.findVm(atPrimary))?.epoch, 1);
  await pair.close();
});

test('a replica that has heard nothing for an hour is in warning', async () => {
  const pair = await preparePair(await openPair({ vms: 1 }));
  const { atRecovery } = await protect(pair);
  pair.primary.faults.order({ kind: 'replicationPaused' });
  await pair.clock.advance(HOUR - 60_000);
  assert.equal((await pair.recovery.findVm(atRecovery))?.replication.health, 'normal');
  await pair.clock.advance(120_000);
  assert.equal((await pair.recovery.findVm(atRecovery))?.replication.health, 'warning');
  assert.equal(pair.primary.faults.fired().length, 1);
  await pair.close();
});

test('a failover gives the reserved address of the target pool, a deleted replica gives it back', async () => {
  const pair = await preparePair(await openPair({ vms: 2 }));
  const first = await protect(pair, 0);
  await pair.recovery.startFailover(first.atRecovery, null, act());
  assert.equal(pair.recovery.adapters(first.atRecovery)[0]?.connected?.address, '10.0.0.10');
  await pair.primary.removeReplication(first.atPrimary, act());
  await pair.recovery.removeReplication(first.atRecovery, act());
  await pair.recovery.deleteVm(first.atRecovery, act());
  const again = await protect(pair, 0);
  assert.equal(pair.recovery.adapters(again.atRecovery)[0]?.planned?.address, '10.0.0.10');
  await pair.close();
});

test('a replica that no host has room for is refused, with what is missing on which host', async () => {
  const pair = await preparePair(await openPair({ vms: 1 }));
  const { atPrimary, atRecovery } = refsOf(pair);
  for (const host of ['slough-1', 'slough-2']) pair.recovery.faults.order({ kind: 'hostDies', host });
  const target = { siteId: pair.recoverySiteId, cloudId: atRecovery.cloudId, address: pair.address };
  await assert.rejects(pair.primary.enableReplication(atPrimary, target, policy, act()), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_NO_PLACE');
    assert.match(error.message, /slough-1: the host is down; slough-2: the host is down/);
    return true;
  });
  assert.equal(pair.recovery.faults.fired().length, 2);
  await pair.close();
});

test('kerberos is refused in words that say what to do', async () => {
  const pair = await openPair();
  const cloud = pair.primaryDefinition.clouds[0];
  assert.ok(cloud);
  const asked = {
    ...(await preparation(pair.primary, cloud.id, { siteId: pair.recoverySiteId, cloudId: cloud.id })),
    authentication: 'kerberos' as const,
  };
  await assert.rejects(pair.primary.prepareHosts(asked, act()), {
    errorId: 'InvalidParameter',
    message: /choose authentication "certificate"/,
  });
  await pair.close();
});

test('over TLS a site takes replicas from its authorised peer only, and a primary sends to none but the site it means', async (t) => {
  const vault = await makeVaultCertificates();
  const otherVault = await makeVaultCertificates();
  const [peer, own, stranger] = ['peer', 'own', 'stranger'].map((name) => SiteId.parse(uuidOf(name))) as [SiteId, SiteId, SiteId];
  const made = definition('slough', { Silver: '' });
  const cloudId = made.clouds[0]?.id;
  assert.ok(cloudId);
  const site = await SimulatedSite.open({ definition: made, databaseFile: ':memory:', clock: systemClock, random: systemRandom });
  t.after(() => site.close());
  const hosts = await site.replicationHosts(cloudId);
  const base = { ...(await preparation(site, cloudId, { siteId: peer, cloudId })), rootPem: vault.rootPem };
  const { address } = await site.prepareHosts({ ...base, certificates: await (await vault.siteIssuer(own))(hosts) }, act());
  assert.ok(address);

  const ask = async (from: typeof vault, as: SiteId, meant: SiteId, pairing = pairingId) => {
    const transport = new TlsTransport(systemClock, { request: ReplicationRequest, answer: ReplicationAnswer });
    const certificates = await (await from.siteIssuer(as))([{ host: `host-of-${as}`, dnsNames: ['host.example'] }]);
    transport.usePreparations([{ ...base, pairingId: pairing, certificates, rootPem: vault.rootPem }]);
    const vm = { vmId: uuidOf('vm'), name: 'vm', cores: 1, memoryBytes: 1, disks: [], adapters: [], changeBytesPerSecond: 0 } as never;
    const request = { type: 'createReplica', cloudId, primaryCloudId: cloudId, vm, policy } as const;
    try {
      const answer = await transport.request({ address, siteId: meant, pairingId: pairing }, request);
      return answer.type === 'refused' ? `${answer.code} ${answer.errorId}` : answer.type;
    } catch (thrown) {
      return thrown instanceof FarshoreError ? thrown.code : thrown;
    } finally {
      await transport.goDark();
    }
  };
  assert.equal(await ask(vault, stranger, own), 'ERR_NOT_PREPARED AccessDenied', 'a site of the vault that is not the peer');
  assert.equal(await ask(vault, peer, stranger), 'ERR_NOT_PREPARED', 'the address belongs to another site than was meant');
  assert.equal(
    await ask(otherVault, peer, own),
    'ERR_PEER_UNREACHABLE',
    'the name of the peer under a foreign root is cut off without a word',
  );
  assert.equal((await site.readInventory(null)).vms.length, 0);
  assert.equal(await ask(vault, peer, own), 'done');
  assert.equal((await site.readInventory(null)).vms.length, 1);
});
