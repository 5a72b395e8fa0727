/** Fixed addresses of replicas where SCVMM has the pools: granted by it, given back to it, and put into the guest by Hyper-V. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VmRef } from '../../shared/ids.ts';
import { walkOf } from '../contract/contract-walk.ts';
import { referenceTo } from '../support/emulated-hyperv/hosts.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import type { EmulatedScvmm, ScNetworkRecord } from '../support/emulated-hyperv/sc-server.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();

describe('addresses of SCVMM', { skip: typeof found === 'string' ? found : false }, () => {
  let pair: EmulatedPair;
  let atPrimary: EmulatedScvmm;
  let atRecovery: EmulatedScvmm;
  const { act, enable, replicate } = walkOf(() => pair);
  let ref: VmRef;
  let replica: VmRef;
  const primary = () => pair.primary.fabric;
  const recovery = () => pair.recovery.fabric;
  const networks = () => [{ from: pair.primary.networkId, to: pair.recovery.networkId }];

  pairForEach(
    found,
    (opened) => {
      pair = opened;
      [atPrimary, atRecovery] = pair.hyperV.scvmms as unknown as [EmulatedScvmm, EmulatedScvmm];
      [ref] = pair.vms;
      replica = { cloudId: pair.recovery.cloudId, vmId: ref.vmId };
    },
    { mode: 'scvmm' },
  );

  async function referenceOf(vm: VmRef): Promise<string> {
    const known = await pair.hyperV.hosts.find(pair.sites.recovery, vm);
    assert.ok(known);
    return referenceTo(known);
  }

  async function failOver(): Promise<void> {
    await replicate(ref);
    await recovery().startFailover(replica, null, act());
  }

  it('puts a replica into its cloud and grants it an address, which goes back when replication ends before it was failed over', async () => {
    await replicate(ref);
    const reference = await referenceOf(replica);
    assert.equal(atRecovery.seen.get(reference)?.cloud, 'Silver');
    assert.deepEqual(
      atRecovery.grants.map(({ address }) => address),
      ['10.0.0.10'],
    );
    assert.equal(pair.hyperV.hosts.failoverSettings.get(`${reference}/0`)?.IPv4Address, '10.0.0.10');
    await recovery().configureReplica(replica, networks(), act());
    assert.equal(atRecovery.grants.length, 1, 'twice like once');
    await recovery().configureReplica(replica, [], act());
    assert.deepEqual(atRecovery.grants, [], 'none is kept for a network that is not mapped');
    await recovery().configureReplica(replica, networks(), act());
    await recovery().removeReplication(replica, act());
    assert.deepEqual(atRecovery.grants, []);
  });

  it('grants an address of each family that the primary has, whichever way SCVMM writes it', async () => {
    for (const scvmm of [atPrimary, atRecovery])
      for (const network of scvmm.at.definition.networks.filter(({ name }) => name === 'LAN'))
        (network.subnets as ScNetworkRecord['subnets']).push({
          name: 'b',
          cidr: '2001:db8::/64',
          pool: { from: '2001:DB8:0::10', to: '2001:db8::11', gateway: 'FE80::1', dns: [] },
        });
    const vm = await pair.hyperV.hosts.find(pair.sites.primary, ref);
    assert.ok(vm);
    pair.hyperV.hosts.moreAddresses.set(`${referenceTo(vm)}/0`, ['2001:0DB8:0:0:0:0:0:10']);
    await replicate(ref);
    const granted = () => atRecovery.grants.map(({ address }) => address).sort();
    assert.deepEqual(granted(), ['10.0.0.10', '2001:db8::10']);
    const [grant] = atRecovery.grants.filter(({ address }) => address.includes(':'));
    Object.assign(grant ?? {}, { address: '2001:DB8:0:0:0:0:0:10' });
    await recovery().configureReplica(replica, networks(), act());
    assert.deepEqual(granted(), ['10.0.0.10', '2001:DB8:0:0:0:0:0:10'], 'twice like once');
    await recovery().startFailover(replica, null, act());
    const [connected] = pair.hyperV.calls.filter(({ cmdlet }) => cmdlet === 'Set-SCVirtualNetworkAdapter');
    assert.deepEqual([connected?.parameters.IPv4AddressType, connected?.parameters.IPv6AddressType], ['Static', 'Static']);
  });

  it('leaves a VM its address that was failed over, until it is deleted', async () => {
    await failOver();
    await recovery().completeFailover(replica, act());
    await recovery().removeReplication(replica, act());
    assert.equal(atRecovery.grants.length, 1);
    await recovery().deleteVm(replica, act());
    assert.deepEqual([atRecovery.grants, await recovery().findVm(replica)], [[], null]);
  });

  it('takes no address that SCVMM granted to others, and says so when the pool is used up', async () => {
    const { networkId } = pair.recovery;
    const [pool] = atRecovery.network(networkId).subnets;
    assert.ok(pool?.pool);
    Object.assign(pool.pool, { to: '10.0.0.12' });
    await replicate(pair.vms[0]);
    await replicate(pair.vms[1]);
    assert.deepEqual(atRecovery.grants.map(({ address }) => address).sort(), ['10.0.0.10', '10.0.0.11']);
    const [grant] = atRecovery.grants;
    assert.ok(grant);
    atRecovery.grants.push({ ...grant, id: networkId, address: '10.0.0.12', adapterId: networkId, description: 'a printer' });
    await recovery().removeReplication(replica, act());
    atRecovery.grants.push({ ...grant, id: ref.vmId, address: grant.address, adapterId: networkId, description: 'another printer' });
    await primary().removeReplication(ref, act());
    await recovery().deleteVm(replica, act());
    await enable(ref);
    await assert.rejects(recovery().configureReplica(replica, networks(), act()), { code: 'ERR_NO_ADDRESS' });
  });

  it('gives two replicas that are configured at once an address each', async () => {
    await Promise.all(pair.vms.map((vm) => enable(vm)));
    await Promise.all(pair.vms.map(({ vmId }) => recovery().configureReplica({ cloudId: pair.recovery.cloudId, vmId }, networks(), act())));
    assert.equal(new Set(atRecovery.grants.map(({ address }) => address)).size, 2);
  });
});
