/** What is made of the answers of SCVMM and of the hosts: which VM is in which cloud, where it stands, what changed. No PowerShell is needed. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { HyperVFabric } from '../../provider-agent/fabric/hyperv/hyperv-fabric.ts';
import type { PowerShellCall, PowerShellHost } from '../../provider-agent/fabric/hyperv/powershell-host.ts';
import type { CloudId } from '../../shared/ids.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const config = HyperVConfig.parse({
  kind: 'hyperv',
  name: 'reading',
  scvmm: { server: 'vmm.reading.example', port: 8101 },
  clouds: ['Gold', 'Silver'].map((name) => ({ name, id: uuidOf(name), replicaStorage: 'D:' })),
});

interface ToldVm {
  readonly key: string;
  readonly [field: string]: unknown;
}

const vm = (name: string, over: object = {}): ToldVm => ({
  key: `key of ${name}`.replaceAll(' ', '-'),
  id: uuidOf(name),
  name,
  host: 'hv1.reading.example',
  cloud: 'Gold',
  power: 'Running',
  networks: [],
  tags: [],
  notes: [],
  ...over,
});

/** As the module answers: what has none of the stamps, and the stamps that fit nothing. */
function differences(all: readonly { readonly stamp: string }[], known: unknown) {
  const stamps = String(known).split(' ');
  const isThere = (stamp: string) => all.some((one) => one.stamp === stamp);
  const gone = stamps.filter((stamp) => !isThere(stamp)).join(' ');
  return { replications: all.filter(({ stamp }) => !stamps.includes(stamp)), gone };
}

describe('the inventory of SCVMM', () => {
  let clouds: { name: string; hosts: { name: string; cluster: string | null }[] }[];
  let vms: ToldVm[];
  let replicas: string[];
  let asked: PowerShellCall[];
  let fabric: HyperVFabric;

  function open(): HyperVFabric {
    const call = async (one: PowerShellCall): Promise<unknown> => {
      asked.push(one);
      if (one.function === 'Get-FarshoreScCloud') return { clouds };
      if (one.function === 'Get-FarshoreScInventory')
        return { clouds, networks: [], vms, keys: vms.map(({ key }) => key).join(' '), newest: 7 };
      const own = one.arguments.HostName === 'hv1.reading.example' ? replicas : [];
      const state = { mode: 'Replica', state: 'WaitingForInitialReplication', health: 'Normal', measure: null, replication: null };
      return differences(
        own.map((name) => ({ id: uuidOf(name), stamp: name, ...state })),
        one.arguments.Known,
      );
    };
    const preparations = { all: () => [], change: async () => {} };
    const host = { call, close: () => {} } as unknown as PowerShellHost;
    return new HyperVFabric({ config, host, preparations, instanceId: 'life', callLimitMs: 1000 });
  }

  const names = async (cursor: string | null = null) => (await fabric.readInventory(cursor)).vms.map(({ name }) => name);

  beforeEach(() => {
    clouds = [
      { name: 'Gold', hosts: [{ name: 'hv1.reading.example', cluster: null }] },
      { name: 'Silver', hosts: [{ name: 'hv2.reading.example', cluster: null }] },
    ];
    vms = [vm('web')];
    replicas = [];
    asked = [];
    fabric = open();
  });

  it('asks the server that agent.yaml names, from the beginning and then from the last moment', async () => {
    await names();
    await names();
    const readings = asked.filter((call) => call.function === 'Get-FarshoreScInventory');
    assert.deepEqual(
      readings.map((call) => [call.scvmm, call.arguments.Since]),
      [0, 7].map((since) => [{ server: 'vmm.reading.example', port: 8101 }, since]),
    );
  });

  it('lists the VMs of the clouds that are named, on hosts by their name with a domain or without', async () => {
    vms = [
      vm('web'),
      vm('short', { host: 'HV1' }),
      vm('test', { cloud: 'Test' }),
      vm('nowhere', { cloud: '' }),
      vm('far', { host: 'hv9' }),
    ];
    assert.deepEqual(await names(), ['web', 'short']);
  });

  it('has a replica that SCVMM put into no cloud in that of its host, and no other one', async () => {
    vms = [vm('replica', { cloud: '' }), vm('copy - Test', { cloud: '' })];
    replicas = ['replica'];
    const { vms: listed } = await fabric.readInventory(null);
    assert.deepEqual(
      listed.map(({ name, ref, replication }) => [name, ref.cloudId, replication.mode]),
      [['replica', uuidOf('Gold'), 'replica']],
    );
  });

  it('tells what changed at SCVMM or at a host, and what went', async () => {
    vms = [vm('web'), vm('db')];
    const { cursor } = await fabric.readInventory(null);
    assert.deepEqual(await names(cursor), []);
    vms = [vm('web', { power: 'PowerOff' }), vm('db')];
    assert.deepEqual(await names(cursor), ['web']);
    replicas = ['db'];
    assert.deepEqual(await names(cursor), ['web', 'db']);
    vms = [vm('web', { power: 'PowerOff' })];
    const { removedVms } = await fabric.readInventory(cursor);
    assert.deepEqual(removedVms, [{ cloudId: uuidOf('Gold'), vmId: uuidOf('db') }]);
  });

  it('asks a host only for what it does not know, and forgets what the host has no more', async () => {
    vms = [vm('web'), vm('db')];
    replicas = ['web', 'db'];
    const { cursor } = await fabric.readInventory(null);
    replicas = ['web'];
    const { vms: changed } = await fabric.readInventory(cursor);
    assert.deepEqual(
      changed.map(({ name, replication }) => [name, replication.mode]),
      [['db', 'none']],
    );
    await names();
    const known = asked.filter((call) => call.arguments.HostName === 'hv1.reading.example').map((call) => call.arguments.Known);
    assert.deepEqual(known, ['', 'web db', 'web']);
  });

  it('takes a VM for gone that was moved into a cloud which is not named', async () => {
    const { cursor } = await fabric.readInventory(null);
    vms = [vm('web', { cloud: 'Test' })];
    assert.equal((await fabric.readInventory(cursor)).removedVms.length, 1);
  });

  it('does not guess in which cloud a host of two is', async () => {
    clouds = ['Gold', 'Silver'].map((name) => ({ name, hosts: [{ name: 'hv1.reading.example', cluster: null }] }));
    await assert.rejects(fabric.readInventory(null), { code: 'ERR_FABRIC_FAILED', message: /'Gold' and 'Silver' share the host hv1/ });
  });

  it('names the hosts that replicate, and says so where a cluster has no broker in agent.yaml, or a cloud no host', async () => {
    const [gold, silver] = ['Gold', 'Silver'].map((name) => uuidOf(name) as CloudId);
    assert.ok(gold && silver);
    assert.deepEqual(await fabric.replicationHosts(gold), [{ host: 'hv1.reading.example', dnsNames: ['hv1.reading.example'] }]);
    clouds = [
      { name: 'Gold', hosts: [{ name: 'hv1.reading.example', cluster: 'RDG-CL1' }] },
      { name: 'Silver', hosts: [] },
    ];
    fabric = open();
    await assert.rejects(fabric.replicationHosts(gold), { message: /on the cluster RDG-CL1: name its Replica Broker/ });
    await assert.rejects(fabric.replicationHosts(silver), { message: /'Silver' has no hosts in SCVMM/ });
  });

  it('runs calls to the nodes of a cluster in the lane of the cluster', async () => {
    clouds = [{ name: 'Gold', hosts: [{ name: 'hv1.reading.example', cluster: 'RDG-CL1' }] }];
    await names();
    const [reading] = asked.filter((call) => call.function === 'Get-FarshoreReplication');
    assert.deepEqual(
      reading?.lanes?.map(({ key }) => key),
      ['host hv1.reading.example', 'cluster RDG-CL1'],
    );
  });
});
