import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidrRange, ipv4Number, ipv4Text } from '../../shared/domain/ipv4.ts';
import {
  chooseAdapter,
  chooseAddress,
  chooseSubnet,
  type MappableNetwork,
  mappedNetwork,
  type StaticPool,
} from '../../shared/domain/network-map.ts';
import { NetworkId } from '../../shared/ids.ts';

const front = NetworkId.parse('7b8e5d7a-5c1e-4b62-8a5e-0f6f2f0a7c11');
const drFront = NetworkId.parse('7b8e5d7a-5c1e-4b62-8a5e-0f6f2f0a7c12');
const pool: StaticPool = { from: '10.1.0.254', to: '10.1.1.2', gateway: '10.1.0.255', dns: ['10.1.0.1'] };
const target: MappableNetwork = {
  id: drFront,
  name: 'DR Front',
  subnets: [
    { name: 'web', cidr: '10.2.0.0/24', pool: null },
    { name: 'app', cidr: '10.1.0.0/16', pool },
  ],
};
const none = () => false;
const all = () => true;

test('a mapping goes one way', () => {
  assert.equal(mappedNetwork([{ from: front, to: drFront }], front), drFront);
  assert.equal(mappedNetwork([{ from: front, to: drFront }], drFront), null);
});

test('the subnet is the one of the same name, else the first', () => {
  assert.equal(chooseSubnet(target.subnets, 'app')?.name, 'app');
  assert.equal(chooseSubnet(target.subnets, 'other')?.name, 'web');
  assert.equal(chooseSubnet([], 'app'), null);
});

test('the address stays the same when the pool has it and it is free, else the next free one is taken', () => {
  assert.equal(chooseAddress(pool, '10.1.1.1', none), '10.1.1.1');
  assert.equal(chooseAddress(pool, '10.9.9.9', none), '10.1.0.254');
  assert.equal(
    chooseAddress(pool, '10.1.1.1', (address) => address === '10.1.1.1'),
    '10.1.0.254',
  );
  assert.equal(
    chooseAddress(pool, null, (address) => address === '10.1.0.254'),
    '10.1.1.0',
    'the gateway between them is never given away',
  );
  assert.equal(chooseAddress(pool, '10.1.1.1', all), null);
});

test('an adapter is connected with address, gateway and DNS of the target pool', () => {
  const choice = chooseAdapter({ networkId: front, subnet: 'app', address: '10.1.1.1' }, target, none);
  assert.deepEqual(choice, {
    kind: 'connected',
    target: { networkId: drFront, subnet: 'app', address: '10.1.1.1', gateway: '10.1.0.255', dns: ['10.1.0.1'] },
  });
});

test('DHCP is left alone, and without a mapping an adapter stays unconnected', () => {
  const choice = chooseAdapter({ networkId: front, subnet: 'web', address: null }, target, all);
  assert.equal(choice.kind === 'connected' && choice.target.address, null);
  assert.deepEqual(chooseAdapter({ networkId: front, subnet: null, address: null }, null, none), { kind: 'unconnected' });
});

test('where no address is to be had, it is said why', () => {
  const why = (subnet: string, isTaken: () => boolean, network = target) => {
    const choice = chooseAdapter({ networkId: front, subnet, address: '10.0.0.1' }, network, isTaken);
    return choice.kind === 'noAddress' ? choice.why : choice.kind;
  };
  assert.deepEqual([why('app', all), why('web', none), why('web', none, { ...target, subnets: [] })], ['poolUsedUp', 'noPool', 'noSubnet']);
});

test('addresses count across the bytes', () => {
  assert.equal(ipv4Text(ipv4Number('255.0.255.254') + 1), '255.0.255.255');
  assert.deepEqual(cidrRange('10.1.3.7/22'), { from: '10.1.0.0', to: '10.1.3.255' });
  assert.deepEqual(cidrRange('0.0.0.0/0'), { from: '0.0.0.0', to: '255.255.255.255' });
});
