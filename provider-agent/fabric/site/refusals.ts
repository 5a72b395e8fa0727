/**
 * The errors of a site, in the shapes of the cmdlets (hyperv/facts.md, section 4). Where no public source
 * words an error, the error id is InvalidOperation and the text is ours; those are marked.
 */
import type { ErrorCode } from '../../../shared/errors.ts';
import type { CloudId, VmRef } from '../../../shared/ids.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './operation.ts';
import type { VmRecord } from './vm-record.ts';

/** The class is not regular in the real module: match on the error id before the comma. */
const cmdlets: Record<Operation, { readonly name: string; readonly class: string }> = {
  prepareHosts: { name: 'Set-VMReplicationServer', class: 'SetReplicationServerCommand' },
  releaseHosts: { name: 'Remove-VMReplicationAuthorizationEntry', class: 'RemoveVMReplicationAuthorizationEntry' },
  enableReplication: { name: 'Enable-VMReplication', class: 'EnableVMReplication' },
  startInitialReplication: { name: 'Start-VMInitialReplication', class: 'StartVMInitialReplication' },
  importInitialReplication: { name: 'Import-VMInitialReplication', class: 'ImportVMInitialReplication' },
  configureReplica: { name: 'Set-VMNetworkAdapterFailoverConfiguration', class: 'SetVMNetworkAdapterFailoverConfiguration' },
  setReplicationPolicy: { name: 'Set-VMReplication', class: 'SetVMReplication' },
  removeReplication: { name: 'Remove-VMReplication', class: 'RemoveVMReplication' },
  deleteVm: { name: 'Remove-VM', class: 'RemoveVM' },
  prepareFailover: { name: 'Start-VMFailover -Prepare', class: 'StartVMFailover' },
  startFailover: { name: 'Start-VMFailover', class: 'StartVMFailover' },
  stopFailover: { name: 'Stop-VMFailover', class: 'StopVMFailover' },
  completeFailover: { name: 'Complete-VMFailover', class: 'CompleteVMFailover' },
  becomeReplica: { name: 'Set-VMReplication -AsReplica', class: 'SetVMReplication' },
  reverseReplication: { name: 'Set-VMReplication -Reverse', class: 'SetVMReplication' },
  suspendReplication: { name: 'Suspend-VMReplication', class: 'SuspendVMReplication' },
  resumeReplication: { name: 'Resume-VMReplication', class: 'ResumeVMReplication' },
  resynchronize: { name: 'Resume-VMReplication -Resynchronize', class: 'ResumeVMReplication' },
  startTestFailover: { name: 'Start-VMFailover -AsTest', class: 'StartVMFailover' },
  makeDrillNetwork: { name: 'New-SCVMNetwork', class: 'NewSCVMNetwork' },
  removeDrillNetwork: { name: 'Remove-SCVMNetwork', class: 'RemoveSCVMNetwork' },
  connectTestCopy: { name: 'Set-SCVirtualNetworkAdapter', class: 'SetSCVirtualNetworkAdapter' },
  startTestVm: { name: 'Start-VM', class: 'StartVM' },
  stopTestFailover: { name: 'Stop-VMFailover', class: 'StopVMFailover' },
  stopVm: { name: 'Stop-VM', class: 'StopVM' },
  startVm: { name: 'Start-VM', class: 'StartVM' },
  writeEpoch: { name: 'Set-SCCustomPropertyValue', class: 'SetSCCustomPropertyValue' },
};

export function cmdletClass(operation: Operation): string {
  return cmdlets[operation].class;
}

/** Worded as Hyper-V words a replication cmdlet on a VM that it does not fit. */
export function notApplicable(operation: Operation, vm: VmRecord): FabricError {
  const { name } = cmdlets[operation];
  return new FabricError(
    'ERR_WRONG_STATE',
    'InvalidOperation',
    cmdletClass(operation),
    `'${name}' is not applicable on virtual machine '${vm.name}'. The name of the virtual machine is ${vm.name} and its ID is ${vm.ref.vmId}.`,
  );
}

/** Text of ours: no public source words a wrong replication state. */
export function wrongState(operation: Operation, vm: VmRecord, needed: string): FabricError {
  const { mode, state } = vm.replication;
  return new FabricError(
    'ERR_WRONG_STATE',
    'InvalidOperation',
    cmdletClass(operation),
    `${cmdlets[operation].name} needs ${needed}; virtual machine '${vm.name}' is ${vm.power}, its replication ${mode}/${state}.`,
  );
}

export function vmNotFound(operation: Operation, { vmId }: VmRef, site: string): FabricError {
  return new FabricError(
    'ERR_VM_NOT_FOUND',
    'ObjectNotFound',
    cmdletClass(operation),
    `Hyper-V encountered an error trying to access an object on computer '${site}' because the object was not found. Virtual machine ID ${vmId}.`,
  );
}

/** Text of ours. */
export function hostDown(operation: Operation, host: string): FabricError {
  return new FabricError('ERR_HOST_DOWN', 'OperationFailed', cmdletClass(operation), `The host '${host}' does not respond.`);
}

/** Text of ours. */
export function accessDenied(operation: Operation, message: string, cause?: unknown): FabricError {
  return new FabricError('ERR_NOT_PREPARED', 'AccessDenied', cmdletClass(operation), message, { cause });
}

/** Text of ours. */
export function cloudNotFound(operation: Operation, cloudId: CloudId): FabricError {
  return new FabricError('ERR_CLOUD_NOT_FOUND', 'ObjectNotFound', cmdletClass(operation), `The site has no cloud ${cloudId}.`);
}

/** Anything else that the site cannot do; text of ours. */
export function failed(code: ErrorCode, operation: Operation, message: string, cause?: unknown): FabricError {
  return new FabricError(code, 'OperationFailed', cmdletClass(operation), message, { cause });
}

/** Text of ours. Null: the latest was asked for. */
export function noRecoveryPoint(operation: Operation, vm: VmRecord, id: string | null): FabricError {
  return new FabricError(
    'ERR_NO_RECOVERY_POINT',
    'ObjectNotFound',
    cmdletClass(operation),
    `Virtual machine '${vm.name}' has ${id === null ? 'no recovery point' : `no recovery point ${id}`}.`,
  );
}
