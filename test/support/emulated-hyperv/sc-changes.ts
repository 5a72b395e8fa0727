/** The cmdlets of SCVMM that change something. */
import type { CmdletCall } from '../powershell/model-server.ts';
import { made, networkObject } from './sc-objects.ts';
import { keyIn, type ScCall } from './sc-reads.ts';
import { type EmulatedScvmm, refused } from './sc-server.ts';
import { isGiven, textIn } from './stub-call.ts';

export const scChanges: Readonly<Record<string, ScCall>> = {
  async 'New-SCCustomProperty'(call, scvmm) {
    const name = textIn(call, 'Name');
    if (scvmm.customProperties.has(name)) throw refused(`A custom property '${name}' exists.`);
    scvmm.customProperties.add(name);
    return { objects: [made(scvmm, 'CustomProperty', 'property', name, { Name: name })] };
  },

  async 'Set-SCCustomPropertyValue'(call, scvmm) {
    scvmm.values.set(keyIn(call, 'InputObject'), textIn(call, 'Value'));
    return {};
  },

  async 'Remove-SCCustomPropertyValue'(call, scvmm) {
    scvmm.values.delete(keyIn(call, 'CustomPropertyValue'));
    return {};
  },

  async 'Set-SCVirtualMachine'(call, scvmm) {
    const seen = scvmm.seen.get(keyIn(call, 'VM'));
    if (seen === undefined) throw refused('VMM cannot find the virtual machine object.');
    if (isGiven(call, 'Cloud')) seen.cloud = keyIn(call, 'Cloud');
    return {};
  },

  /** One that is missing; VMM deletes others with all their files, which nothing here may ask for. */
  async 'Remove-SCVirtualMachine'(call, scvmm) {
    const key = keyIn(call, 'VM');
    if (scvmm.seen.get(key)?.isMissing !== true) throw new Error('a VM that is there was to be removed by SCVMM');
    scvmm.seen.delete(key);
    return {};
  },

  async 'Set-SCVirtualNetworkAdapter'(call, scvmm) {
    const key = keyIn(call, 'VirtualNetworkAdapter');
    const at = key.lastIndexOf('/');
    const vm = await scvmm.behind(key.slice(0, at));
    const network = isGiven(call, 'NoConnection') ? null : scvmm.network(keyIn(call, 'VMNetwork'));
    const reached = scvmm.at.definition.hosts.find(({ name }) => name === vm.host)?.networkIds ?? [];
    const known = scvmm.at.definition.networks.find(({ id }) => id === network?.id);
    if (known !== undefined && !reached.includes(known.id)) throw refused(`The host ${vm.host} has no access to the VM network.`);
    if (network !== null && network.subnets.length === 0) throw refused(`The VM network '${network.name}' has no subnet.`);
    scvmm.hosts.adapters(vm)[Number(key.slice(at + 1))] = network?.name ?? '';
    return {};
  },

  async 'Grant-SCIPAddress'(call, scvmm) {
    const poolId = keyIn(call, 'StaticIPAddressPool');
    const address = textIn(call, 'IPAddress');
    if ((await scvmm.grantsIn(poolId)).some((grant) => grant.address === address)) throw refused(`The address ${address} is in use.`);
    const id = `${poolId.slice(0, 24)}${scvmm.now().toString(16).padStart(12, '0').slice(-12)}`;
    scvmm.grants.push({ id, poolId, address, adapterId: textIn(call, 'GrantToObjectID'), description: textIn(call, 'Description') });
    return {};
  },

  async 'Revoke-SCIPAddress'(call, scvmm) {
    const at = scvmm.grants.findIndex(({ id }) => id === keyIn(call, 'AllocatedIPAddress'));
    if (at < 0) throw new Error('an address was to be revoked that Farshore did not grant');
    scvmm.grants.splice(at, 1);
    return {};
  },

  async 'New-SCVMNetwork'(call, scvmm) {
    if (!scvmm.virtualizes) throw refused('The logical network does not allow network virtualization.');
    const network = scvmm.makeNetwork(textIn(call, 'Name'), textIn(call, 'Description'), keyIn(call, 'LogicalNetwork'));
    return { objects: [networkObject(scvmm, network)] };
  },

  async 'New-SCVMSubnet'(call, scvmm) {
    madeNetwork(call, scvmm).subnets.push({ name: textIn(call, 'Name'), cidr: keyIn(call, 'SubnetVLan'), pool: null });
    return {};
  },

  async 'Remove-SCVMSubnet'(call, scvmm) {
    const [networkId = '', name = ''] = keyIn(call, 'VMSubnet').split(/\/(.*)/s);
    const { subnets } = scvmm.network(networkId);
    subnets.splice(
      subnets.findIndex((each) => each.name === name),
      1,
    );
    return {};
  },

  async 'Remove-SCVMNetwork'(call, scvmm) {
    const network = madeNetwork(call, scvmm);
    if (network.subnets.length > 0) throw refused(`The VM network '${network.name}' has subnets.`);
    scvmm.made.splice(scvmm.made.indexOf(network), 1);
    return {};
  },
};

function madeNetwork(call: CmdletCall, scvmm: EmulatedScvmm) {
  const network = scvmm.made.find(({ id }) => id === keyIn(call, 'VMNetwork'));
  if (network === undefined) throw refused('VMM cannot find the VM network object.');
  return network;
}
