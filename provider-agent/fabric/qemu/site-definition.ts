/** A site of real machines as its rules take it: names turned into ids, and the sizes of disks read from their images. */
import { dirname, join, resolve } from 'node:path';
import { readDocument } from '../../../shared/document.ts';
import { CloudId, NetworkId, VmId, type VmRef } from '../../../shared/ids.ts';
import { nameUuid } from '../name-uuid.ts';
import { splitAddress } from '../peer/tls-transport.ts';
import type { AdapterDefinition, NetworkDefinition, SiteModel, VmDefinition } from '../site/site-model.ts';
import { Homes } from './homes.ts';
import { BASE } from './layers.ts';
import type { NetworkWay } from './networks.ts';
import type { SiteImage, SiteNeeds } from './requirements.ts';
import { QemuSiteFile } from './site-file.ts';
import { sizeOfImage, type VmImage, type VmImages } from './vm-images.ts';

export interface QemuSiteDefinition {
  readonly definition: SiteModel;
  readonly file: QemuSiteFile;
  readonly images: VmImages;
  readonly ways: ReadonlyMap<NetworkId, NetworkWay>;
  readonly homes: Homes;
  readonly needs: SiteNeeds;
}

type VmEntry = QemuSiteFile['vms'][number];

/** Throws ERR_DOCUMENT_INVALID with every mistake. Whether the host has what it names is told by its requirements; an image that cannot be read has no size. */
export async function readQemuSite(text: string, fileName: string): Promise<QemuSiteDefinition> {
  const file = readDocument(text, fileName, QemuSiteFile);
  const beside = (name: string) => resolve(dirname(fileName), name);
  const homes = new Homes(beside(file.folder));
  const images = new Map<string, VmImage[]>();
  const sizes = new Map<string, number[]>();
  const wanted: SiteImage[] = [];
  for (const [index, vm] of file.vms.entries()) {
    const home = homes.folderOf(refOf(file, vm));
    const own = vm.disks.map(({ image, format }) => ({ file: beside(image), format }));
    const isHere = await homes.isThere(refOf(file, vm));
    const disks = own.map((image, disk) => (isHere ? join(home, `d${disk}`, BASE) : image.file));
    images.set(home, own);
    sizes.set(home, await Promise.all(disks.map((disk) => sizeOfImage(disk).catch(() => 0))));
    if (!isHere) wanted.push(...own.map((image, disk) => ({ ...image, vm: vm.name, field: `vms[${index}].disks[${disk}].image` })));
  }
  const definition = define(file, (ref) => sizes.get(homes.folderOf(ref)) ?? []);
  const ways = new Map(definition.networks.map(({ id }, index) => [id, file.networks[index]?.way ?? 'none'] as const));
  const needs = needsOf(file, homes.root, wanted);
  return { definition, file, images: (ref) => images.get(homes.folderOf(ref)) ?? [], ways, homes, needs };
}

function needsOf({ host, networks, vms }: QemuSiteFile, folder: string, images: readonly SiteImage[]): SiteNeeds {
  return {
    folder,
    accelerator: host.accelerator,
    images,
    bridges: networks.flatMap(({ name, way }, index) =>
      typeof way === 'object' ? [{ network: name, bridge: way.bridge, field: `networks[${index}].way.bridge` }] : [],
    ),
    seeds: vms.flatMap(({ name, machine }) => (machine.injection === 'noCloud' ? [name] : [])),
  };
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
