import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { CloudId, NetworkId, VmId } from '../../shared/ids.ts';
import type { AgentMessage, VmReport } from '../../shared/protocol/egress.ts';
import { cloudItem, InventoryDigest, networkItem, vmItem } from '../../shared/protocol/inventory-digest.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { makeStoreWorld } from '../support/store-world.ts';

type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;
const sha256 = (text: string) => createHash('sha256').update(text).digest();
const gold = { id: systemRandom.uuid() as CloudId, name: 'Gold' };
const blue = { id: systemRandom.uuid() as NetworkId, name: 'Blue' };

function report(n: number, over: Partial<VmReport> = {}): VmReport {
  const vmId = `d0000000-0000-4000-8000-${String(n).padStart(12, '0')}` as VmId;
  const replication = { mode: 'primary', state: 'replicating', health: 'normal', lastPointAt: null, settings: null } as const;
  return { ref: { cloudId: gold.id, vmId }, name: `vm-${n}`, power: 'running', networkIds: [blue.id], replication, epoch: 0, ...over };
}

const message = (over: Partial<InventoryMessage>): InventoryMessage => ({
  type: 'inventory.changed',
  full: false,
  clouds: [],
  networks: [],
  vms: [],
  removedVms: [],
  digest: null,
  ...over,
});

function digestOf(vms: readonly VmReport[], clouds = [gold], networks = [blue]): string {
  const sum = new InventoryDigest();
  for (const cloud of clouds) sum.add(cloudItem(cloud, sha256));
  for (const network of networks) sum.add(networkItem(network, sha256));
  for (const vm of vms) sum.add(vmItem(vm, sha256));
  return sum.toString();
}

test('changes are taken over, and the digest stays that of the agent', async (t) => {
  const { store, vaultId, primary } = await makeStoreWorld(t);
  const take = (over: Partial<InventoryMessage>, at: number) => store.observations.take(vaultId, primary, message(over), at);
  assert.equal(await store.observations.digest(vaultId, primary), null);
  await take({ full: true, clouds: [gold], networks: [blue], vms: [report(1), report(2)] }, 1);
  const changed = report(2, { power: 'off', epoch: 4 });
  const silver = { ...gold, name: 'Silver' };
  const { digest } = await take({ clouds: [silver], vms: [report(3), changed], removedVms: [report(1).ref] }, 2);
  assert.equal(digest, digestOf([changed, report(3)], [silver]));
  assert.equal(await store.observations.digest(vaultId, primary), digest);
  assert.deepEqual(await store.observations.clouds(vaultId), [{ siteId: primary, id: gold.id, name: 'Silver' }]);
  const vms = await store.observations.vms(vaultId, { vmIds: [changed.ref.vmId] });
  assert.deepEqual(vms, [{ siteId: primary, report: changed, observedAt: 2 }]);
});

test('a complete report forgets what the site said before, and no other site', async (t) => {
  const { store, vaultId, primary, recovery } = await makeStoreWorld(t);
  await store.observations.take(vaultId, recovery, message({ full: true, vms: [report(1)] }), 1);
  await store.observations.take(vaultId, primary, message({ full: true, clouds: [gold], vms: [report(1), report(2)] }), 1);
  const { digest } = await store.observations.take(vaultId, primary, message({ full: true, vms: [report(3)] }), 2);
  assert.equal(digest, digestOf([report(3)], [], []));
  assert.deepEqual(
    (await store.observations.vms(vaultId, { siteId: primary })).map(({ report: { name } }) => name),
    ['vm-3'],
  );
  assert.equal((await store.observations.vms(vaultId, { siteId: recovery })).length, 1);
});

test('a VM named twice in one message counts once, as it was named last', async (t) => {
  const { store, vaultId, primary } = await makeStoreWorld(t);
  const { digest } = await store.observations.take(vaultId, primary, message({ vms: [report(1), report(1, { power: 'off' })] }), 1);
  assert.equal(digest, digestOf([report(1, { power: 'off' })], [], []));
});

test('primary and replica of a VM at one site are two things', async (t) => {
  const { store, vaultId, primary } = await makeStoreWorld(t);
  const replica = report(1, { ref: { ...report(1).ref, cloudId: systemRandom.uuid() as CloudId } });
  await store.observations.take(vaultId, primary, message({ vms: [report(1), replica] }), 1);
  const { digest } = await store.observations.take(vaultId, primary, message({ removedVms: [replica.ref] }), 2);
  assert.equal(digest, digestOf([report(1)], [], []));
});

test('1,000 VMs are reported, and the digest is that of all of them', async (t) => {
  const { store, vaultId, primary } = await makeStoreWorld(t);
  const vms = Array.from({ length: 1_000 }, (_, n) => report(n));
  await store.observations.take(vaultId, primary, message({ full: true, vms: vms.slice(0, 500) }), 1);
  const { digest } = await store.observations.take(vaultId, primary, message({ vms: vms.slice(500) }), 1);
  assert.equal(digest, digestOf(vms, [], []));
});

test('a site of another vault is reported nothing', async (t) => {
  const { store, primary } = await makeStoreWorld(t);
  const foreign = systemRandom.uuid() as never;
  await assert.rejects(store.observations.take(foreign, primary, message({ vms: [report(1)] }), 1), { code: 'ERR_NOT_FOUND' });
});
