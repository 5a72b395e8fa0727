/** The cmdlets of SCVMM that read, or make it look. */
import type { CmdletAnswer, CmdletCall } from '../powershell/model-server.ts';
import {
  cloudObject,
  grantObject,
  hostObjects,
  made,
  networkObject,
  poolObject,
  serverObject,
  subnetObject,
  vmObjects,
} from './sc-objects.ts';
import { type EmulatedScvmm, refused } from './sc-server.ts';
import { isGiven, referencesIn, textIn } from './stub-call.ts';

export type ScCall = (call: CmdletCall, scvmm: EmulatedScvmm) => Promise<CmdletAnswer>;

/** What comes after the server and the kind in the reference to an object. */
export const keyIn = (call: CmdletCall, name: string): string => (referencesIn(call, name)[0] ?? '').split('|').slice(2).join('|');

const named = (call: CmdletCall, objects: readonly Record<string, unknown>[], name = 'Name') =>
  isGiven(call, name) ? objects.filter((each) => each.Name === textIn(call, name)) : objects;

export const scReads: Readonly<Record<string, ScCall>> = {
  async 'Get-SCVMMServer'(_call, scvmm) {
    return { objects: [serverObject(scvmm)] };
  },

  async 'Get-SCCloud'(call, scvmm) {
    return {
      objects: named(
        call,
        scvmm.at.definition.clouds.map(({ name }) => cloudObject(scvmm, name)),
      ),
    };
  },

  async 'Get-SCVMHost'(call, scvmm) {
    return { objects: named(call, hostObjects(scvmm), 'ComputerName') };
  },

  async 'Get-SCVirtualMachine'(call, scvmm) {
    return { objects: named(call, await vmObjects(scvmm)) };
  },

  async 'Read-SCVirtualMachine'(call, scvmm) {
    if (isGiven(call, 'VMHost')) {
      await scvmm.look(keyIn(call, 'VMHost'));
      return {};
    }
    const key = referencesIn(call, 'VM')[0];
    const found = (await vmObjects(scvmm)).filter(({ $ref }) => $ref === key);
    if (found.length === 0) throw refused('VMM cannot find the virtual machine object.');
    return { objects: found };
  },

  async 'Get-SCVMNetwork'(call, scvmm) {
    return {
      objects: named(
        call,
        scvmm.networks.map((network) => networkObject(scvmm, network)),
      ),
    };
  },

  async 'Get-SCVMSubnet'(call, scvmm) {
    const network = scvmm.network(keyIn(call, 'VMNetwork'));
    return { objects: network.subnets.map((subnet) => subnetObject(scvmm, network, subnet)) };
  },

  async 'Get-SCStaticIPAddressPool'(call, scvmm) {
    const pools = scvmm.networks.flatMap((network) =>
      network.subnets.filter(({ pool }) => pool !== null).map((subnet) => poolObject(scvmm, network, subnet)),
    );
    const id = textIn(call, 'ID');
    return { objects: id === '' ? pools : pools.filter(({ $ref }) => String($ref).endsWith(`|${id}`)) };
  },

  async 'Get-SCIPAddress'(call, scvmm) {
    const grants = await scvmm.grantsIn(isGiven(call, 'StaticIPAddressPool') ? keyIn(call, 'StaticIPAddressPool') : null);
    const adapter = textIn(call, 'GrantToObjectID');
    return {
      objects: grants.filter(({ adapterId }) => adapter === '' || adapterId === adapter).map((grant) => grantObject(scvmm, grant)),
    };
  },

  async 'Get-SCCustomProperty'(call, scvmm) {
    const name = textIn(call, 'Name');
    return { objects: scvmm.customProperties.has(name) ? [made(scvmm, 'CustomProperty', 'property', name, { Name: name })] : [] };
  },

  async 'Get-SCCustomPropertyValue'(call, scvmm) {
    const vm = keyIn(call, 'InputObject');
    const value = scvmm.values.get(vm);
    return { objects: value === undefined ? [] : [made(scvmm, 'CustomPropertyValue', 'value', vm, { Value: value })] };
  },

  /** Nothing in SCVMM changes by it. */
  async 'New-SCSubnetVLan'(call, scvmm) {
    const cidr = textIn(call, 'Subnet');
    return { objects: [made(scvmm, 'SubnetVLan', 'vlan', cidr, { Subnet: cidr })] };
  },
};
