/** Fixed addresses of Hyper-V replicas: chosen from the pools of `agent.yaml`, put into the guest by the failover configuration of the adapter. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fabric } from '../../provider-agent/fabric/fabric.ts';
import type { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import type { VmRef } from '../../shared/ids.ts';
import { type ContractPair, walkOf } from '../contract/contract-walk.ts';
import { referenceTo } from '../support/emulated-hyperv/hosts.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { configOf, type EmulatedPowerShell, fabricOf } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
/** The VMs at the primary have 10.0.0.10 and 10.0.0.11. */
const lan = (from: string, to: string): HyperVConfig['networks'] => [
  {
    name: 'LAN',
    subnets: [
      { name: 'a', cidr: '10.0.0.0/16', pool: { from, to, gateway: '10.0.0.1', dns: ['10.0.0.2', '10.0.0.3'] } },
      { name: 'b', cidr: '2001:db8::/64', pool: { from: '2001:db8::10', to: '2001:db8::11', gateway: 'fe80::1', dns: ['2001:db8::53'] } },
    ],
  },
];

/** Of a replica that gets the second address of the LAN. */
const secondOfPool = {
  IPv4Address: '10.0.0.11',
  IPv4SubnetMask: '255.255.0.0',
  IPv4DefaultGateway: '10.0.0.1',
  IPv4PreferredDNSServer: '10.0.0.2',
  IPv4AlternateDNSServer: '10.0.0.3',
};

describe('addresses at a failover', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let emulated: EmulatedPair;
  let pair: ContractPair;
  const { act, enable, replicate, targets } = walkOf(() => pair);

  pairForEach(found, (opened, engine) => {
    emulated = opened;
    powerShell = engine;
    use('10.0.0.11', '10.0.0.13');
  });

  function use(from: string, to: string): void {
    const { primary, recovery } = emulated.sites;
    const fabric = (config: HyperVConfig) => fabricOf(config, powerShell.host);
    pair = {
      ...emulated,
      primary: { ...emulated.primary, fabric: fabric(configOf(primary, [recovery], lan('10.0.0.10', '10.0.200.250'))) },
      recovery: { ...emulated.recovery, fabric: fabric(configOf(recovery, [primary], lan(from, to))) },
    };
  }

  const networks = () => [{ from: pair.primary.networkId, to: pair.recovery.networkId }];
  const configure = (fabric: Fabric, replica: VmRef) => fabric.configureReplica(replica, networks(), act());

  async function settingsOf(replica: VmRef) {
    const vm = await emulated.hyperV.hosts.find(emulated.sites.recovery, replica);
    assert.ok(vm);
    return emulated.hyperV.hosts.failoverSettings.get(`${referenceTo(vm)}/0`);
  }

  it('takes the next of the pool where the own address does not lie in it, or is taken, and keeps what it gave', async () => {
    const [first, second] = [await replicate(pair.vms[0]), await replicate(pair.vms[1])];
    assert.deepEqual(await settingsOf(first), secondOfPool);
    assert.equal((await settingsOf(second))?.IPv4Address, '10.0.0.12', 'its own is given away');
    assert.deepEqual(await pair.recovery.fabric.addressesOf(first), ['10.0.0.11']);
  });

  /** What the guest of a primary tells of its adapter beside the address that the simulated site gave it. */
  async function alsoHas(ref: VmRef, ...addresses: string[]): Promise<void> {
    const vm = await emulated.hyperV.hosts.find(emulated.sites.primary, ref);
    assert.ok(vm);
    emulated.hyperV.hosts.moreAddresses.set(`${referenceTo(vm)}/0`, addresses);
  }

  it('gives an adapter with addresses of both families one of each, whatever way they are written', async () => {
    await alsoHas(pair.vms[0], 'fe80::215:5dff:fe00:1%7', '2001:0DB8:0:0:0:0:0:10');
    await alsoHas(pair.vms[1], '2001:db8::10:1');
    const [first, second] = [await replicate(pair.vms[0]), await replicate(pair.vms[1])];
    assert.deepEqual(await settingsOf(first), {
      ...secondOfPool,
      IPv6Address: '2001:db8::10',
      IPv6SubnetPrefixLength: 64,
      IPv6DefaultGateway: 'fe80::1',
      IPv6PreferredDNSServer: '2001:db8::53',
    });
    assert.equal((await settingsOf(second))?.IPv6Address, '2001:db8::11', 'its own lies outside the pool, and the first is given away');
    assert.deepEqual(await pair.recovery.fabric.addressesOf(first), ['10.0.0.11', '2001:db8::10']);
  });

  it('knows in another life of the agent what was given of both families, and clears the one that is wanted no more', async () => {
    await alsoHas(pair.vms[0], '2001:db8::10');
    const replica = await replicate(pair.vms[0]);
    await alsoHas(pair.vms[1], '2001:db8::10');
    const other = await enable(pair.vms[1]);
    const restarted = fabricOf(configOf(emulated.sites.recovery, [], lan('10.0.0.11', '10.0.0.13')), powerShell.host);
    await configure(restarted, other);
    assert.deepEqual([(await settingsOf(other))?.IPv4Address, (await settingsOf(other))?.IPv6Address], ['10.0.0.12', '2001:db8::11']);
    emulated.hyperV.order('Set-VMNetworkAdapterFailoverConfiguration', 'lies');
    await assert.rejects(pair.recovery.fabric.configureReplica(replica, [], act()), { code: 'ERR_FABRIC_FAILED' });
    assert.deepEqual(emulated.hyperV.fired, ['Set-VMNetworkAdapterFailoverConfiguration']);
    await pair.recovery.fabric.configureReplica(replica, [], act());
    assert.deepEqual(await settingsOf(replica), {});
  });

  it('has no address where its own family has no pool there', async () => {
    await alsoHas(pair.vms[0], '2001:db8::10');
    const [{ name, subnets } = { name: '', subnets: [] }] = lan('10.0.0.11', '10.0.0.13');
    const recovery = fabricOf(
      configOf(emulated.sites.recovery, [emulated.sites.primary], [{ name, subnets: subnets.slice(0, 1) }]),
      powerShell.host,
    );
    pair = { ...pair, recovery: { ...pair.recovery, fabric: recovery } };
    const replica = await enable(pair.vms[0]);
    await assert.rejects(configure(recovery, replica), { code: 'ERR_NO_ADDRESS', message: /2001:db8::10 .* 'LAN'/ });
    assert.equal(await settingsOf(replica), undefined);
  });

  it('keeps the own address where it is free', async () => {
    const replica = await replicate(pair.vms[1]);
    assert.equal((await settingsOf(replica))?.IPv4Address, '10.0.0.11');
  });

  it('knows in another life of the agent what was given before', async () => {
    await replicate(pair.vms[0]);
    const other = await enable(pair.vms[1]);
    const restarted = fabricOf(configOf(emulated.sites.recovery, [], lan('10.0.0.11', '10.0.0.13')), powerShell.host);
    await configure(restarted, other);
    assert.equal((await settingsOf(other))?.IPv4Address, '10.0.0.12');
  });

  it('says so when the pool is used up, and gives nothing', async () => {
    use('10.0.0.11', '10.0.0.11');
    await replicate(pair.vms[0]);
    const other = await enable(pair.vms[1]);
    await assert.rejects(configure(pair.recovery.fabric, other), { code: 'ERR_NO_ADDRESS' });
    assert.equal(await settingsOf(other), undefined);
  });

  it('looks whether the address was taken over, and clears one that is wanted no more', async () => {
    const replica = await enable(pair.vms[0]);
    emulated.hyperV.order('Set-VMNetworkAdapterFailoverConfiguration', 'lies');
    await assert.rejects(configure(pair.recovery.fabric, replica), { code: 'ERR_FABRIC_FAILED' });
    assert.deepEqual(emulated.hyperV.fired, ['Set-VMNetworkAdapterFailoverConfiguration']);
    await configure(pair.recovery.fabric, replica);
    assert.equal((await settingsOf(replica))?.IPv4Address, '10.0.0.11');
    await pair.recovery.fabric.configureReplica(replica, [], act());
    assert.deepEqual(await settingsOf(replica), {});
  });

  it('leaves guests alone whose addresses are in no pool of their site', async () => {
    const fabric = fabricOf(configOf(emulated.sites.primary, [emulated.sites.recovery]), powerShell.host);
    pair = { ...pair, primary: { ...pair.primary, fabric } };
    await targets();
    const replica = await replicate(pair.vms[0]);
    assert.equal(await settingsOf(replica), undefined);
  });
});
