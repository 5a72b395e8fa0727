/** The Replica Broker of a failover cluster: looked for before hosts are prepared, made where agent.yaml says so, never changed where it is online. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { policy, walkOf } from '../contract/contract-walk.ts';
import { clusterChanges, type EmulatedCluster } from '../support/emulated-hyperv/clusters.ts';
import type { CmdletFault } from '../support/emulated-hyperv/emulated-hyperv.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { configOf, type EmulatedPowerShell, fabricOf } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const BROKER = 'slo-broker.slough.example';
const inNetwork = { network: 'Cluster Network 1' };

describe('the Replica Broker of a cluster', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let emulated: EmulatedPair;
  let pair: EmulatedPair;
  let cluster: EmulatedCluster;
  const { act, prepare, viewOf } = walkOf(() => pair);

  pairForEach(found, (opened, engine) => {
    emulated = opened;
    powerShell = engine;
    cluster = emulated.hyperV.hosts.clusters.add('SLO-CL1', 'Cluster Network 1', '255.255.255.0');
  });

  /** The hosts of Slough are the nodes of a cluster. */
  function asCluster(makeBroker?: { network: string; address?: string }): void {
    const { primary, recovery } = emulated.sites;
    const plain = configOf(recovery, [primary]);
    const clouds = plain.clouds.map((cloud) => ({ ...cloud, cluster: 'SLO-CL1', replicaServer: BROKER, makeBroker }));
    pair = { ...emulated, recovery: { ...emulated.recovery, fabric: fabricOf(HyperVConfig.parse({ ...plain, clouds }), powerShell.host) } };
  }

  const cmdlets = () => emulated.hyperV.changes.map(({ cmdlet }) => cmdlet);
  const changesOfCluster = () => cmdlets().filter((cmdlet) => cmdlet in clusterChanges);

  it('is missed before a host is touched, where nobody wants it made', async () => {
    asCluster();
    await assert.rejects(prepare(), { code: 'ERR_BROKER_MISSING', message: /SLO-CL1 has no Hyper-V Replica Broker/ });
    assert.deepEqual(changesOfCluster(), []);
    assert.equal(emulated.hyperV.hosts.server('slough-1.slough.example').isEnabled, false);
  });

  it('is made where agent.yaml says so, replicas come through it, and it is left alone from then on', async () => {
    asCluster({ ...inNetwork, address: '10.2.0.40' });
    const target = await prepare();
    assert.equal(target.address, `${BROKER}:443`);
    const role = cluster.groups.get('slo-broker');
    assert.deepEqual([role?.type, role?.state], ['VMReplicaBroker', 'Online']);
    assert.deepEqual(Object.fromEntries(role?.resources.get('slo-broker IP Address')?.parameters ?? []), {
      Network: 'Cluster Network 1',
      Address: '10.2.0.40',
      SubnetMask: '255.255.255.0',
      EnableDhcp: 0,
    });
    const [ref] = pair.vms;
    await pair.primary.fabric.enableReplication(ref, target, policy, act());
    assert.equal((await viewOf(pair.recovery, { cloudId: pair.recovery.cloudId, vmId: ref.vmId })).replication.mode, 'replica');
    const made = changesOfCluster().length;
    await prepare();
    assert.equal(changesOfCluster().length, made);
  });

  it('asks for its address by DHCP where none is named', async () => {
    asCluster(inNetwork);
    await prepare();
    const parameters = cluster.groups.get('slo-broker')?.resources.get('slo-broker IP Address')?.parameters;
    assert.deepEqual(Object.fromEntries(parameters ?? []), { Network: 'Cluster Network 1', EnableDhcp: 1 });
  });

  for (const cmdlet of Object.keys(clusterChanges))
    for (const fault of ['failsBefore', 'failsAfter'] as const satisfies readonly CmdletFault[])
      it(`is finished when it is asked for again, after ${cmdlet} ${fault === 'failsBefore' ? 'failed' : 'failed with its work done'}`, async () => {
        asCluster(inNetwork);
        emulated.hyperV.order(cmdlet, fault);
        await assert.rejects(prepare(), { code: 'ERR_FABRIC_FAILED' });
        assert.deepEqual(emulated.hyperV.fired, [cmdlet], 'the fault happened');
        await prepare();
        assert.equal(cluster.groups.get('slo-broker')?.state, 'Online');
        assert.equal(cluster.groups.size, 1);
      });

  it('is not there because Start-ClusterGroup says so', async () => {
    asCluster(inNetwork);
    emulated.hyperV.order('Start-ClusterGroup', 'lies');
    await assert.rejects(prepare(), { code: 'ERR_BROKER_MISSING', message: /not online: it is Offline/ });
    assert.deepEqual(emulated.hyperV.fired, ['Start-ClusterGroup'], 'the fault happened');
    await prepare();
  });

  it('of another name is refused by both names, and is not renamed; one that is not online is no matter of ours', async () => {
    asCluster(inNetwork);
    await prepare();
    const resource = cluster.groups.get('slo-broker')?.resources.get('slo-broker');
    assert.ok(resource);
    resource.parameters.set('DnsName', 'hv-replica');
    const before = changesOfCluster().length;
    await assert.rejects(prepare(), { code: 'ERR_BROKER_MISSING', message: /'hv-replica'.*slo-broker\.slough\.example/ });
    const role = cluster.groups.get('slo-broker');
    assert.ok(role);
    role.state = 'Offline';
    asCluster();
    await assert.rejects(prepare(), { code: 'ERR_BROKER_MISSING', message: /'slo-broker' of the cluster SLO-CL1 is not online/ });
    assert.equal(changesOfCluster().length, before);
  });

  it('cannot be made in a network that the cluster does not have', async () => {
    asCluster({ network: 'Backup' });
    await assert.rejects(prepare(), { code: 'ERR_BROKER_MISSING', message: /no network 'Backup'/ });
    assert.deepEqual(changesOfCluster(), []);
  });
});
