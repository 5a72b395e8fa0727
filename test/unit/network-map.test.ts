import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressesIn, canonicalIp, cidrRange, isWithin, maskOf } from '../../shared/domain/ip-address.ts';
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
  assert.equal(chooseSubnet(target.subnets, 'app', null)?.name, 'app');
  assert.equal(chooseSubnet(target.subnets, 'other', 'ipv4')?.name, 'web');
  assert.equal(chooseSubnet([], 'app', null), null);
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

test('an IPv6 address goes into a subnet of IPv6, also where the one of the same name is of IPv4', () => {
  const pool6: StaticPool = { from: '2001:db8::fffe', to: '2001:db8::1:ffff', gateway: 'fe80::1', dns: ['2001:db8::53'] };
  const dual = { ...target, subnets: [...target.subnets, { name: 'app6', cidr: '2001:db8::/64', pool: pool6 }] };
  const chosen = (address: string, isTaken = none) => chooseAdapter({ networkId: front, subnet: 'app', address }, dual, isTaken);
  assert.deepEqual(chosen('2001:db8:9::1'), {
    kind: 'connected',
    target: { networkId: drFront, subnet: 'app6', address: '2001:db8::fffe', gateway: 'fe80::1', dns: ['2001:db8::53'] },
  });
  const kept = chosen('2001:db8::1:5');
  assert.equal(kept.kind === 'connected' && kept.target.address, '2001:db8::1:5', 'it lies in the pool and is free');
  const taken = new Set(['2001:db8::fffe', '2001:db8::ffff']);
  const next = chooseAdapter({ networkId: front, subnet: null, address: '2001:db8:9::1' }, dual, (one) => taken.has(one));
  assert.equal(next.kind === 'connected' && next.target.address, '2001:db8::1:0', 'counted across the groups');
  const nowhere = chooseAdapter({ networkId: front, subnet: 'app', address: '2001:db8:9::1' }, target, none);
  assert.equal(nowhere.kind === 'noAddress' && nowhere.why, 'noSubnet');
});

test('an IPv6 address has one way of being written (RFC 5952)', () => {
  const written: Record<string, string> = {
    '2001:0DB8:0:0:0:0:0:1': '2001:db8::1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '::': '::',
    '1::': '1::',
    '0:0:0:0:0:0:0:1': '::1',
    '10.0.0.1': '10.0.0.1',
  };
  for (const [text, canonical] of Object.entries(written)) assert.equal(canonicalIp(text), canonical);
  for (const text of [
    'fe80::1%3',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '1:2:3:4:5:6:7::8',
    '10.0.0.256',
    '10.0.0',
    '010.0.0.1',
    'x',
  ])
    assert.equal(canonicalIp(text) === text && isWithin(text, { from: '::', to: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' }), false, text);
});

test('any IPv6 address can be written out and shortened again', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.nat({ max: 3 }).map((n) => [0, 1, 0xabc, 0xffff][n] ?? 0),
        { minLength: 8, maxLength: 8 },
      ),
      (groups) => {
        const full = groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
        const short = canonicalIp(full);
        assert.equal(isIPv6(short), true);
        assert.equal(canonicalIp(short.toUpperCase()), short);
        assert.equal(new URL(`http://[${full}]`).hostname, `[${short}]`);
      },
    ),
  );
});

test('addresses count across the bytes', () => {
  assert.deepEqual([...addressesIn({ from: '255.0.255.254', to: '255.1.0.0' })], ['255.0.255.254', '255.0.255.255', '255.1.0.0']);
  assert.deepEqual(cidrRange('2001:db8::5/64'), { from: '2001:db8::', to: '2001:db8::ffff:ffff:ffff:ffff' });
  assert.equal(cidrRange('10.0.0.0/33'), null);
  assert.deepEqual(['10.0.0.0/22', '0.0.0.0/0', '10.0.0.1/32'].map(maskOf), ['255.255.252.0', '0.0.0.0', '255.255.255.255']);
  assert.deepEqual(cidrRange('10.1.3.7/22'), { from: '10.1.0.0', to: '10.1.3.255' });
  assert.deepEqual(cidrRange('0.0.0.0/0'), { from: '0.0.0.0', to: '255.255.255.255' });
});
