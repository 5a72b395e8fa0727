/**
 * What a schema alone cannot see in a site file: names that nothing bears, names given twice, addresses outside
 * their subnet or used twice. It runs beside the schema, on values that may still be wrong, so that a person gets
 * both kinds of mistakes at once: it judges only what has the right form.
 */
import type { z } from 'zod';
import { nearest } from '../../../shared/document-mistakes.ts';
import { cidrRange, type Ipv4Range, ipv4Number, isWithin } from '../../../shared/domain/ipv4.ts';

type Report = (path: PropertyKey[], message: string, allowed?: string) => void;
type Fields = Record<string, unknown>;

const IPV4 = /^(\d{1,3})(\.\d{1,3}){3}$/;
const CIDR = /^(\d{1,3})(\.\d{1,3}){3}\/\d{1,2}$/;

export function reportBrokenReferences(file: unknown, context: z.core.$RefinementCtx): void {
  const report: Report = (path, message, allowed) =>
    context.addIssue({ code: 'custom', path, message, ...(allowed === undefined ? {} : { params: { allowed } }) });
  const site = fieldsOf(file);
  const names = {
    clouds: uniqueNames(site.clouds, 'clouds', report),
    hosts: uniqueNames(site.hosts, 'hosts', report),
    storage: uniqueNames(site.storage, 'storage', report),
    networks: uniqueNames(site.networks, 'networks', report),
  };
  const refer = (known: readonly string[], what: string, value: unknown, path: PropertyKey[]) => {
    if (typeof value !== 'string' || known.includes(value)) return;
    const guess = nearest(value, known);
    report(path, `there is no ${what} '${value}' in this file${guess === undefined ? '' : `; did you mean '${guess}'?`}`, known.join(', '));
  };
  const referAll = (known: readonly string[], what: string, values: unknown, path: PropertyKey[]) => {
    for (const [i, value] of listOf(values).entries()) refer(known, what, value, [...path, i]);
  };

  for (const [i, cloud] of objectsOf(site.clouds)) referAll(names.hosts, 'host', cloud.hosts, ['clouds', i, 'hosts']);
  for (const [i, host] of objectsOf(site.hosts)) {
    referAll(names.networks, 'network', host.networks, ['hosts', i, 'networks']);
    referAll(names.storage, 'storage', host.storage, ['hosts', i, 'storage']);
  }
  checkSubnets(site, report);

  const vmNames = new Map<string, number>();
  const addresses = new Map<string, string>();
  for (const [i, entry] of objectsOf(site.vms)) {
    const isGenerated = 'generate' in entry;
    const vm = isGenerated ? fieldsOf(entry.generate) : entry;
    const path: PropertyKey[] = isGenerated ? ['vms', i, 'generate'] : ['vms', i];
    refer(names.clouds, 'cloud', vm.cloud, [...path, 'cloud']);
    refer(names.hosts, 'host', vm.host, [...path, 'host']);
    for (const [j, disk] of objectsOf(vm.disks)) refer(names.storage, 'storage', disk.storage, [...path, 'disks', j, 'storage']);
    const isReplica = vm.replicaOf !== undefined;
    if (isReplica && vm.replicatesTo !== undefined)
      report([...path, 'replicatesTo'], 'a replica does not replicate further', 'either replicatesTo or replicaOf');
    // Of a replica they are those of the primary, at the other site.
    for (const [j, adapter] of isReplica ? [] : objectsOf(vm.adapters)) {
      refer(names.networks, 'network', adapter.network, [...path, 'adapters', j, 'network']);
      checkAddress(site, adapter, [...path, 'adapters', j], `${String(vm.name)}`, isGenerated, addresses, report);
    }
    if (typeof vm.name === 'string' && typeof vm.cloud === 'string') {
      const key = `${vm.cloud}\u0000${vm.name}`;
      if (vmNames.has(key))
        report([...path, 'name'], `the cloud '${vm.cloud}' has a VM '${vm.name}' already`, 'a name of its own in the cloud');
      vmNames.set(key, i);
    }
  }
  for (const [i, fault] of objectsOf(site.faults)) refer(names.hosts, 'host', fault.host, ['faults', i, 'host']);
}

function checkSubnets(site: Fields, report: Report): void {
  for (const [i, network] of objectsOf(site.networks)) {
    uniqueNames(network.subnets, ['networks', i, 'subnets'], report);
    for (const [j, subnet] of objectsOf(network.subnets)) {
      const { cidr } = subnet;
      if (typeof cidr !== 'string' || !CIDR.test(cidr)) continue;
      const range = cidrRange(cidr);
      const pool = fieldsOf(subnet.pool);
      for (const field of ['from', 'to', 'gateway'] as const) {
        const address = pool[field];
        if (isAddress(address) && !isWithin(address, range))
          report(['networks', i, 'subnets', j, 'pool', field], `'${address}' lies outside the subnet ${cidr}`, rangeText(range));
      }
      if (isAddress(pool.from) && isAddress(pool.to) && ipv4Number(pool.from) > ipv4Number(pool.to)) {
        report(
          ['networks', i, 'subnets', j, 'pool', 'to'],
          `'${pool.to}' lies before the first address of the pool`,
          `${pool.from} or higher`,
        );
      }
    }
  }
}

function checkAddress(
  site: Fields,
  adapter: Fields,
  path: PropertyKey[],
  vm: string,
  isGenerated: boolean,
  taken: Map<string, string>,
  report: Report,
): void {
  const network = objectsOf(site.networks).find(([, { name }]) => name === adapter.network)?.[1];
  if (network === undefined) return;
  const subnets = objectsOf(network.subnets).map(([, subnet]) => subnet);
  const named = subnets.find(({ name }) => name === adapter.subnet);
  if (typeof adapter.subnet === 'string' && named === undefined) {
    report(
      [...path, 'subnet'],
      `the network '${String(network.name)}' has no subnet '${adapter.subnet}'`,
      subnets.map(({ name }) => String(name)).join(', '),
    );
    return;
  }
  const subnet = named ?? subnets[0];
  if (adapter.address === 'pool' && subnet !== undefined && (subnet.pool === null || subnet.pool === undefined)) {
    report([...path, 'address'], `the subnet '${String(subnet.name)}' has no pool`, 'dhcp, or an address of the subnet');
  }
  if (!isAddress(adapter.address)) return;
  if (isGenerated) report([...path, 'address'], 'generated VMs cannot share one address', 'dhcp, pool');
  if (
    subnet !== undefined &&
    typeof subnet.cidr === 'string' &&
    CIDR.test(subnet.cidr) &&
    !isWithin(adapter.address, cidrRange(subnet.cidr))
  ) {
    report([...path, 'address'], `'${adapter.address}' lies outside the subnet ${subnet.cidr}`, rangeText(cidrRange(subnet.cidr)));
  }
  const key = `${String(network.name)} ${adapter.address}`;
  const other = taken.get(key);
  if (other !== undefined)
    report([...path, 'address'], `'${adapter.address}' is the address of '${other}' already`, 'an address that no other VM has');
  taken.set(key, vm);
}

function uniqueNames(list: unknown, at: string | PropertyKey[], report: Report): string[] {
  const path = typeof at === 'string' ? [at] : at;
  const names: string[] = [];
  for (const [i, { name }] of objectsOf(list)) {
    if (typeof name !== 'string') continue;
    if (names.includes(name)) report([...path, i, 'name'], `'${name}' is the name of another one already`, 'a name of its own');
    names.push(name);
  }
  return names;
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && IPV4.test(value);
}

function rangeText({ from, to }: Ipv4Range): string {
  return `${from} to ${to}`;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function objectsOf(value: unknown): [number, Fields][] {
  return listOf(value).map((item, i): [number, Fields] => [i, fieldsOf(item)]);
}
