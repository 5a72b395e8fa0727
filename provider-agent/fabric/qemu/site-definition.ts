/** A site of real machines as its rules take it: names turned into ids, and the sizes of disks read from their images. */
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readDocument } from '../../../shared/document.ts';
import { toFarshoreError } from '../../../shared/errors.ts';
import { CloudId, NetworkId, VmId, type VmRef } from '../../../shared/ids.ts';
import { nameUuid } from '../name-uuid.ts';
import { splitAddress } from '../peer/tls-transport.ts';
import type { AdapterDefinition, NetworkDefinition, SiteModel, VmDefinition } from '../site/site-model.ts';
import { Homes } from './homes.ts';
import { BASE } from './layers.ts';
import type { NetworkWay } from './networks.ts';
import { QemuSiteFile } from './site-file.ts';
import { lookAtImage, type VmImage, type VmImages } from './vm-images.ts';

export interface QemuSiteDefinition {
  readonly definition: SiteModel;
  readonly file: QemuSiteFile;
  readonly images: VmImages;
  readonly ways: ReadonlyMap<NetworkId, NetworkWay>;
  readonly homes: Homes;
}

type VmEntry = QemuSiteFile['vms'][number];

interface Mistake {
  readonly path: PropertyKey[];
  readonly message: string;
  readonly allowed: string;
}

/** Throws ERR_DOCUMENT_INVALID with every mistake, those of the images too. */
export async function readQemuSite(text: string, fileName: string): Promise<QemuSiteDefinition> {
  const file = readDocument(text, fileName, QemuSiteFile);
  const beside = (name: string) => resolve(dirname(fileName), name);
  const homes = new Homes(beside(file.folder));
  const images = new Map<string, VmImage[]>();
  const sizes = new Map<string, number[]>();
  const mistakes: Mistake[] = [];
  for (const [index, vm] of file.vms.entries()) {
    const home = homes.folderOf(refOf(file, vm));
    images.set(
      home,
      vm.disks.map(({ image, format }) => ({ file: beside(image), format })),
    );
    const isHere = await homes.isThere(refOf(file, vm));
    const own: number[] = [];
    for (const [disk, { image, format }] of vm.disks.entries()) {
      const path = ['vms', index, 'disks', disk];
      const found = await look(isHere ? join(home, `d${disk}`, BASE) : beside(image), isHere ? 'qcow2' : format, path);
      own.push(found.sizeBytes);
      mistakes.push(...found.mistakes);
    }
    sizes.set(home, own);
  }
  if (mistakes.length > 0) tell(text, fileName, mistakes);
  const sizesOf = (ref: VmRef) => sizes.get(homes.folderOf(ref)) ?? [];
  const definition = define(file, sizesOf);
  const ways = new Map(definition.networks.map(({ id }, index) => [id, file.networks[index]?.way ?? 'none'] as const));
  return { definition, file, images: (ref) => images.get(homes.folderOf(ref)) ?? [], ways, homes };
}

async function look(file: string, format: string, path: PropertyKey[]): Promise<{ sizeBytes: number; mistakes: Mistake[] }> {
  try {
    const found = await lookAtImage(file);
    if (found.format === format) return { sizeBytes: found.sizeBytes, mistakes: [] };
    const message = `'${file}' is an image of the format ${found.format}`;
    return { sizeBytes: 0, mistakes: [{ path: [...path, 'format'], message, allowed: `raw or qcow2, as the image is` }] };
  } catch (thrown) {
    const message = `the image cannot be read: ${toFarshoreError(thrown).message}`;
    return {
      sizeBytes: 0,
      mistakes: [{ path: [...path, 'image'], message, allowed: 'a file with an image, beside the site file unless absolute' }],
    };
  }
}

/** With their lines, which only the reader of the document knows. */
function tell(text: string, fileName: string, mistakes: readonly Mistake[]): never {
  const report = (_file: unknown, context: z.core.$RefinementCtx) => {
    for (const { path, message, allowed } of mistakes) context.addIssue({ code: 'custom', path, message, params: { allowed } });
  };
  readDocument(text, fileName, QemuSiteFile.check(z.superRefine(report)));
  throw new TypeError('a mistake is a mistake');
}

function refOf({ name, clouds }: QemuSiteFile, vm: VmEntry): VmRef {
  const cloud = clouds.find((each) => each.name === vm.cloud);
  return {
    cloudId: cloud?.id ?? CloudId.parse(nameUuid(name, 'cloud', vm.cloud)),
    vmId: vm.id ?? VmId.parse(nameUuid(name, 'vm', vm.cloud, vm.name)),
  };
}

/** `file` has passed its schema: every name it refers to exists. */
function define(file: QemuSiteFile, sizesOf: (ref: VmRef) => readonly number[]): SiteModel {
  const networks = file.networks.map(
    ({ id, name, isolated, subnets }): NetworkDefinition => ({
      id: id ?? NetworkId.parse(nameUuid(file.name, 'network', name)),
      name,
      subnets,
      isIsolated: isolated,
    }),
  );
  const { host, replication } = file;
  return {
    name: file.name,
    clouds: file.clouds.map(({ id, name }) => ({ id: id ?? CloudId.parse(nameUuid(file.name, 'cloud', name)), name, hosts: [host.name] })),
    hosts: [
      {
        name: host.name,
        coreLimit: Math.floor(host.cores * host.virtualCoresPerCore),
        memoryBytes: host.memory,
        networkIds: networks.map(({ id }) => id),
        dnsNames: [host.dnsName],
        storage: file.storage.map(({ name }) => name),
      },
    ],
    storage: file.storage.map(({ name, capacity }) => ({ name, capacityBytes: capacity })),
    networks,
    vms: file.vms.map((vm) => defineVm(file, vm, sizesOf(refOf(file, vm)), networks)),
    replication: { listen: splitAddress(replication.listen), retryAfterMs: replication.retryAfter },
  };
}

function defineVm(file: QemuSiteFile, vm: VmEntry, sizes: readonly number[], networks: readonly NetworkDefinition[]): VmDefinition {
  const { cloudId, vmId } = refOf(file, vm);
  return {
    id: vmId,
    cloudId,
    name: vm.name,
    host: file.host.name,
    cores: vm.cores,
    memoryBytes: vm.memory,
    disks: vm.disks.map(({ storage }, index) => ({ sizeBytes: sizes[index] ?? 0, storage })),
    adapters: vm.adapters.flatMap(({ network, subnet, address }): AdapterDefinition[] => {
      const found = networks.find(({ name }) => name === network);
      const chosen = found?.subnets.find(({ name }) => name === subnet) ?? found?.subnets[0];
      if (found === undefined || chosen === undefined) return [];
      return [{ networkId: found.id, subnet: chosen.name, address: address === 'dhcp' ? null : address }];
    }),
    changeBytesPerSecond: 0,
    isRunning: vm.power === 'running',
    traits: vm.machine,
    tags: vm.tags,
    replicates: null,
  };
}
