/** The file of a site of real machines: mistakes are told at once, with their lines and with what is allowed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readQemuSite } from '../../provider-agent/fabric/qemu/site-definition.ts';
import { QemuSiteFile } from '../../provider-agent/fabric/qemu/site-file.ts';
import { readDocument } from '../../shared/document.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';

const skip = await whyNoQemu();

const GOOD = `name: reading
clouds: [{ name: Gold }]
host: { name: kvm-1, dnsName: kvm-1.example, cores: 8, memory: 16 GB, accelerator: tcg }
storage: [{ name: Fast, capacity: 1 TB }]
networks:
  - { name: LAN, way: { bridge: br0 }, subnets: [{ name: a, cidr: 10.1.0.0/24 }] }
vms:
  - name: web
    cloud: Gold
    memory: 512 MB
    disks: [{ image: web.raw, format: raw, storage: Fast }]
    adapters: [{ network: LAN, address: 10.1.0.10 }]
`;

describe('the file of a site of real machines', { skip }, () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'fs-'));
    writeFileSync(join(folder, 'web.raw'), Buffer.alloc(1024 * 1024));
  });
  after(() => rmSync(folder, { recursive: true }));

  const read = (text: string) => readQemuSite(text, join(folder, 'site.yaml'));
  const mistakesOf = async (text: string): Promise<string[]> => {
    const error = await read(text).then(
      () => assert.fail('it was taken'),
      (thrown: unknown) => thrown as FarshoreError,
    );
    assert.equal(error.code, 'ERR_DOCUMENT_INVALID');
    return error.problems.map(({ line, field, message, allowed }) => `${line} ${field}: ${message} (${allowed})`);
  };

  it('gives names ids, and disks the sizes of their images', async () => {
    const { definition } = await read(GOOD);
    const [vm] = definition.vms;
    assert.deepEqual([vm?.name, vm?.disks, vm?.isRunning], ['web', [{ sizeBytes: 1024 * 1024, storage: 'Fast' }], true]);
    assert.deepEqual(definition.hosts[0]?.dnsNames, ['kvm-1.example']);
  });

  it('the example has the right form', () => {
    const file = join(import.meta.dirname, '../../examples/kvm-site.yaml');
    assert.equal(readDocument(readFileSync(file, 'utf8'), file, QemuSiteFile).vms.length, 1);
  });

  it('tells all mistakes of form and of names at once', async () => {
    const wrong = GOOD.replace('accelerator: tcg', 'accelerator: xen')
      .replace('network: LAN, a', 'network: WAN, a')
      .replace('memory: 512 MB', 'memory: much');
    const told = await mistakesOf(wrong);
    assert.equal(told.length, 3);
    assert.match(told.join('\n'), /3 host\.accelerator: .*kvm.*tcg/s);
    assert.match(told.join('\n'), /10 vms\[0\]\.memory/);
    assert.match(told.join('\n'), /12 vms\[0\]\.adapters\[0\]\.network: there is no network 'WAN'.*\(LAN\)/);
  });

  it('refuses more disks than a machine takes on its bus, before the machine is to start', async () => {
    const disk = '{ image: web.raw, format: raw, storage: Fast }';
    const withDisks = (count: number) => GOOD.replace(`[${disk}]`, `[${Array(count).fill(disk).join(', ')}]`);
    const ide = (count: number) => `${withDisks(count)}    machine: { bus: ide }\n`;
    assert.deepEqual(await mistakesOf(ide(5)), [
      '11 vms[0].disks: are more than a machine with IDE takes (at most 4 disks, or machine.bus: virtio)',
    ]);
    for (const good of [ide(4), withDisks(5)]) assert.equal((await read(good)).definition.vms.length, 1);
  });

  it('names what the host has to have, images that are not copied yet among it', async () => {
    const { needs } = await read(
      GOOD.replace('storage: Fast }]\n    adapters', 'storage: Fast }, { image: none.qcow2, storage: Fast }]\n    adapters'),
    );
    assert.deepEqual(
      needs.images.map(({ field, format }) => `${field} ${format}`),
      ['vms[0].disks[0].image raw', 'vms[0].disks[1].image qcow2'],
    );
    assert.deepEqual(needs.bridges, [{ network: 'LAN', bridge: 'br0', field: 'networks[0].way.bridge' }]);
  });
});
