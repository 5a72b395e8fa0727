/** What `agent.yaml` may say of Hyper-V hosts: each mistake at its place, with what is allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';

const right = {
  kind: 'hyperv',
  name: 'Reading',
  clouds: [{ name: 'Gold', hosts: ['hv1.reading.example'], replicaStorage: 'D:\\Replicas' }],
};

/** Places and what is wrong there. */
function mistakesIn(more: object): string[] {
  const { error } = HyperVConfig.safeParse({ ...right, ...more });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('pools lie in their subnets, and IPv6 comes out in its one way of writing', () => {
  const network = (subnet: object) => ({ networks: [{ name: 'LAN', subnets: [{ name: 'a', ...subnet }] }] });
  assert.deepEqual(mistakesIn(network({ cidr: '10.0.0.0/24', pool: { from: '10.0.1.9', to: '10.0.0.1', dns: ['2001:db8::53'] } })), [
    "networks.0.subnets.0.pool.from: '10.0.1.9' lies outside the subnet 10.0.0.0/24",
    "networks.0.subnets.0.pool.to: '10.0.0.1' lies before the first address of the pool",
    "networks.0.subnets.0.pool.dns.0: '2001:db8::53' is not of the family of the subnet 10.0.0.0/24",
  ]);
  const { networks } = HyperVConfig.parse({
    ...right,
    ...network({ cidr: '2001:db8::/64', pool: { from: '2001:DB8:0:0::10', to: '2001:db8::00ff', gateway: 'FE80::1' } }),
  });
  assert.deepEqual(networks[0]?.subnets[0]?.pool, { from: '2001:db8::10', to: '2001:db8::ff', gateway: 'fe80::1', dns: [] });
});

test('a cluster receives at a Replica Broker, whose name can be made', () => {
  const cluster = (more: object) => ({ clouds: [{ ...right.clouds[0], ...more }] });
  assert.deepEqual(mistakesIn(cluster({ cluster: 'RDG-CL1' })), [
    "clouds.0.replicaServer: the cluster 'RDG-CL1' receives replicas at its Replica Broker",
  ]);
  assert.deepEqual(mistakesIn(cluster({ cluster: 'RDG-CL1', replicaServer: 'HV1.reading.example' })), [
    "clouds.0.replicaServer: the cluster 'RDG-CL1' receives replicas at its Replica Broker",
  ]);
  const makeBroker = { network: 'Cluster Network 1' };
  const long = 'a-name-too-long-1.reading.example';
  assert.deepEqual(mistakesIn(cluster({ cluster: 'RDG-CL1', replicaServer: long, makeBroker })), [
    `clouds.0.replicaServer: '${long}' cannot be made`,
  ]);
  assert.deepEqual(mistakesIn(cluster({ makeBroker })), ['clouds.0.makeBroker: hosts that are no cluster have no Replica Broker']);
  assert.deepEqual(mistakesIn(cluster({ cluster: 'RDG-CL1', replicaServer: long })), [], 'people may have made it of any name');
  assert.deepEqual(mistakesIn(cluster({ cluster: 'RDG-CL1', replicaServer: 'rdg-broker.reading.example', makeBroker })), []);
});
