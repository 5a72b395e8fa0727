/** What `agent.yaml` may say of a Hyper-V site that has an SCVMM, and what only of one that has none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';

const managed = {
  kind: 'hyperv',
  name: 'reading',
  scvmm: { server: 'vmm.reading.example' },
  clouds: [{ name: 'Gold', replicaStorage: 'D:\\R' }],
};
const messages = (over: object) =>
  HyperVConfig.safeParse({ ...managed, ...over }).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('the configuration of a Hyper-V site', () => {
  it('takes the port of SCVMM as it is by default', () => {
    assert.deepEqual(HyperVConfig.parse(managed).scvmm, { server: 'vmm.reading.example', port: 8100 });
  });

  it('lets nothing be said that SCVMM tells, all mistakes at once', () => {
    const [cloud] = managed.clouds;
    const networks = [{ name: 'LAN', subnets: [{ name: 'a', cidr: '10.0.0.0/24' }] }];
    assert.deepEqual(messages({ networks, clouds: [{ ...cloud, hosts: ['hv1.a.example'], cluster: 'C1' }] }), [
      'networks: SCVMM tells the networks and their pools: leave it out',
      'clouds.0.hosts: SCVMM tells the hosts: leave it out',
      'clouds.0.cluster: SCVMM tells the cluster: leave it out',
    ]);
    assert.ok(messages({ scvmm: { server: 'vmm', port: 0 } })[0]?.startsWith('scvmm.port'));
  });

  it('wants the hosts where there is no SCVMM', () => {
    assert.deepEqual(messages({ scvmm: undefined }), ['clouds.0.hosts: name the hosts of the cloud, or the SCVMM server that knows them']);
  });

  it('takes a host into one cloud, and a name of a cloud once', () => {
    const clouds = ['Gold', 'Gold'].map((name) => ({ name, hosts: ['hv1.a.example'], replicaStorage: 'D:' }));
    assert.deepEqual(messages({ scvmm: undefined, clouds }), [
      "clouds.1.hosts.0: the host is in the cloud 'Gold' already",
      "clouds.1.name: there is a cloud 'Gold' already",
    ]);
  });
});
