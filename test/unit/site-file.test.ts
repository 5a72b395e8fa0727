import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSiteFile } from '../../provider-agent/fabric/simulated/site-definition.ts';
import { formatProblems } from '../../shared/document.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { siteText } from '../support/simulated-sites.ts';

function mistakesIn(text: string): string[] {
  try {
    readSiteFile(text, 'site.yaml');
  } catch (thrown) {
    assert.ok(thrown instanceof FarshoreError);
    return formatProblems(thrown).split('\n');
  }
  assert.fail('the file was taken');
}

for (const [file, vms] of [
  ['reading', 12],
  ['slough', 1],
  ['replicating-reading', 3],
  ['replicating-slough', 2],
] as const) {
  test(`the example ${file}.yaml is right`, () => {
    const text = readFileSync(join(import.meta.dirname, `../../examples/${file}.yaml`), 'utf8');
    assert.equal(readSiteFile(text, file).vms.length, vms);
  });
}

test('ids follow from names, so the same file gives the same ids and another site others', () => {
  const text = siteText('a', { Gold: '  - { name: v, cloud: Gold, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: Gold }] }' });
  assert.deepEqual(readSiteFile(text, 'x'), readSiteFile(text, 'y'));
  assert.notEqual(readSiteFile(text, 'x').vms[0]?.id, readSiteFile(text.replace('name: a', 'name: b'), 'x').vms[0]?.id);
});

test('generated VMs get names by the pattern and addresses of the pool that nobody else has', () => {
  const common = 'cloud: Gold, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: Gold }]';
  const { vms } = readSiteFile(
    siteText('a', {
      Gold: `  - { name: v, ${common}, adapters: [{ network: LAN, address: 10.0.0.11 }] }\n  - generate: { count: 1000, namePattern: 'app-{0000}', ${common}, adapters: [{ network: LAN, address: pool }] }`,
    }),
    'x',
  );
  assert.deepEqual([vms[1]?.name, vms[1000]?.name], ['app-0001', 'app-1000']);
  assert.deepEqual(
    vms.slice(0, 3).map(({ adapters }) => adapters[0]?.address),
    ['10.0.0.11', '10.0.0.10', '10.0.0.12'],
  );
  assert.equal(new Set(vms.map(({ adapters }) => adapters[0]?.address)).size, 1001);
});

test('every kind of mistake is told at once, with its line and what is allowed', () => {
  const told = mistakesIn(`name: X
clouds: [{ name: a, hots: [h1] }]
hosts:
  - { name: h1, cores: 0, memory: 64 GHz }
  - { name: h1, cores: 4, memory: 4096 }
storage: [{ name: gold, capacity: -2 TB }]
networks:
  - { name: n, subnets: [{ name: s, cidr: 10.0.0.0/24, pool: { from: 10.0.0.5, to: 10.0.1.9 } }] }
vms:
  - { name: v1, cloud: b, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: golden }] }
  - { name: v2, cloud: a, memory: 1 GB, disks: [{ size: 1 GB, storage: gold }], power: on }
  - { name: v2, cloud: a, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: gold }], adapters: [{ network: n, address: 10.9.0.1 }] }
  - generate: { count: 2, namePattern: x, cloud: a, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: gold }] }
timings: { startVm: { median: 3 kg }, stratVm: 1 s, stopFailover: { from: 3 s, to: 1 s } }
faults: [{ kind: hostDys, host: h9 }, { kind: fails, operation: startVM }]
`).join('\n');
  const expected: [number, RegExp][] = [
    [2, /clouds\[0\]\.hots {2}is not a field here; did you mean 'hosts'\? \(allowed: name, id, hosts\)/],
    [4, /hosts\[0\]\.cores {2}'0' is too small \(allowed: at least 1\)/],
    [4, /hosts\[0\]\.memory {2}'GHz' is not a unit for this \(allowed: a size with its unit/],
    [5, /hosts\[1\]\.name {2}'h1' is the name of another one already/],
    [5, /hosts\[1\]\.memory {2}'4096' has no unit/],
    [6, /storage\[0\]\.capacity {2}'-2 TB' is less than nothing/],
    [8, /pool\.to {2}'10\.0\.1\.9' lies outside the subnet 10\.0\.0\.0\/24 \(allowed: 10\.0\.0\.0 to 10\.0\.0\.255\)/],
    [10, /vms\[0\]\.cloud {2}there is no cloud 'b' in this file.*\(allowed: a\)/],
    [10, /vms\[0\]\.disks\[0\]\.storage {2}there is no storage 'golden' in this file.*\(allowed: gold\)/],
    [11, /vms\[1\]\.cores {2}is missing/],
    [11, /vms\[1\]\.power {2}'on' is not one of those allowed \(allowed: running, off\)/],
    [12, /vms\[2\]\.name {2}the cloud 'a' has a VM 'v2' already/],
    [12, /vms\[2\]\.adapters\[0\]\.address {2}'10\.9\.0\.1' lies outside the subnet/],
    [13, /vms\[3\]\.generate\.namePattern {2}'x' does not have the right form \(allowed: needs a place for the number: 'app-\{0000\}'\)/],
    [14, /timings\.startVm\.median {2}'kg' is not a unit for this \(allowed: a duration with its unit/],
    [14, /timings\.stratVm {2}is not a field here; did you mean 'startVm'\?/],
    [14, /timings\.stopFailover\.to {2}is less than from/],
    [15, /faults\[0\]\.kind {2}'hostDys' is not one of those allowed; did you mean 'hostDies'\?/],
    [15, /faults\[0\]\.host {2}there is no host 'h9' in this file/],
    [15, /faults\[1\]\.operation {2}'startVM' is not one of those allowed; did you mean 'startVm'\?/],
  ];
  for (const [line, pattern] of expected)
    assert.match(told, new RegExp(`^site\\.yaml:${line}:\\d+  ${pattern.source.startsWith('pool') ? '.*' : ''}${pattern.source}`, 'm'));
  assert.equal(told.split('\n').length, expected.length, told);
});

test('the examples of two sites that replicate already name each other: VMs, clouds, networks and the address', () => {
  const read = (name: string) => readSiteFile(readFileSync(join(import.meta.dirname, `../../examples/${name}.yaml`), 'utf8'), name);
  const [reading, slough] = [read('replicating-reading'), read('replicating-slough')];
  const { host, port } = slough.replication.listen;
  for (const replica of slough.vms) {
    const primary = reading.vms.find(({ id }) => id === replica.id);
    assert.deepEqual(primary?.replicates, {
      as: 'primary',
      policy: replica.replicates?.policy,
      peer: { cloudId: replica.cloudId, address: `${host}:${port}` },
    });
    assert.deepEqual(replica.replicates?.peer, { cloudId: primary?.cloudId });
    assert.equal(replica.adapters[0]?.networkId, reading.networks[0]?.id);
    assert.equal(replica.isRunning, false);
  }
  assert.equal(reading.vms.at(-1)?.replicates, null);
});

test('a replica that says it replicates further is a mistake', () => {
  const vm = `  - { name: v, cloud: Gold, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: Gold }], replicaOf: { site: b, cloud: c }, replicatesTo: { site: b, cloud: c, address: 'b:1' } }`;
  assert.match(mistakesIn(siteText('a', { Gold: vm })).join(), /a replica does not replicate further/);
});

test('mistakes in subnets of IPv6 are told as those of IPv4, and an address is the same however it is written', () => {
  const told = mistakesIn(`name: X
clouds: [{ name: a }]
hosts: [{ name: h1, cores: 4, memory: 64 GB }]
storage: [{ name: gold, capacity: 2 TB }]
networks:
  - name: n
    subnets:
      - { name: s, cidr: '2001:db8::/64', pool: { from: '2001:db8::9', to: '2001:db8::1', gateway: 'fe80::1', dns: [10.0.0.1] } }
      - { name: t, cidr: '2001:db8::/129' }
      - { name: u, cidr: '2001:db8:1::/64', pool: { from: 10.0.0.1, to: '2001:db8:2::1', gateway: '2001:db8:1::g' } }
vms:
  - { name: v1, cloud: a, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: gold }], adapters: [{ network: n, address: '2001:db8::5' }] }
  - { name: v2, cloud: a, cores: 1, memory: 1 GB, disks: [{ size: 1 GB, storage: gold }], adapters: [{ network: n, address: '2001:DB8:0::0005' }] }
`);
  const expected = [
    /:8:.*pool\.to {2}'2001:db8::1' lies before the first address of the pool \(allowed: 2001:db8::9 or higher\)/,
    /:8:.*pool\.dns\[0\] {2}'10\.0\.0\.1' is not of the family of the subnet 2001:db8::\/64 \(allowed: an address of IPv6\)/,
    /:9:.*cidr {2}'2001:db8::\/129' is no subnet \(allowed: a subnet such as '10\.1\.0\.0\/24' or '2001:db8:1::\/64'\)/,
    /:10:.*pool\.from {2}'10\.0\.0\.1' lies outside the subnet 2001:db8:1::\/64 \(allowed: 2001:db8:1:: to 2001:db8:1:0:ffff:ffff:ffff:ffff\)/,
    /:10:.*pool\.to {2}'2001:db8:2::1' lies outside the subnet/,
    /:10:.*pool\.gateway {2}'2001:db8:1::g' is no address \(allowed: an address such as '10\.1\.0\.20' or '2001:db8::20'\)/,
    /:13:.*address {2}'2001:db8::5' is the address of 'v1' already/,
  ];
  for (const pattern of expected) assert.match(told.join('\n'), pattern);
  assert.equal(told.length, expected.length, told.join('\n'));
});
