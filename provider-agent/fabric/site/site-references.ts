/**
 * What a schema alone cannot see in a site file: names that nothing bears, names given twice, addresses outside
 * their subnet or used twice. It runs beside the schema, on values that may still be wrong, so that a person gets
 * both kinds of mistakes at once: it judges only what has the right form.
 */
import type { z } from 'zod';
import { nearest } from '../../../shared/document-mistakes.ts';
import { canonicalIp, cidrRange, isWithin } from '../../../shared/domain/ip-address.ts';
import { type Fields, fieldsOf, listOf, objectsOf, type Report, uniqueNames } from '../loose-fields.ts';
import { checkSubnets, isAddress, rangeText } from '../subnet.ts';

export function reportBrokenReferences(file: unknown, context: z.core.$RefinementCtx): void {
  const report: Report = (path, message, allowed) =>
    context.addIssue({ code: 'custom', path, message, ...(allowed === undefined ? {} : { params: { allowed } }) });
  const site = fieldsOf(file);
  const names = {
    clouds: uniqueNames(site.clouds, ['clouds'], report),
    hosts: uniqueNames(site.hosts, ['hosts'], report),
    storage: uniqueNames(site.storage, ['storage'], report),
    networks: uniqueNames(site.networks, ['networks'], report),
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
  checkSubnets(site.networks, ['networks'], report);

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
  const range = typeof subnet?.cidr === 'string' ? cidrRange(subnet.cidr) : null;
  if (range !== null && !isWithin(adapter.address, range))
    report([...path, 'address'], `'${adapter.address}' lies outside the subnet ${String(subnet?.cidr)}`, rangeText(range));
  const key = `${String(network.name)} ${canonicalIp(adapter.address)}`;
  const other = taken.get(key);
  if (other !== undefined)
    report([...path, 'address'], `'${adapter.address}' is the address of '${other}' already`, 'an address that no other VM has');
  taken.set(key, vm);
}
