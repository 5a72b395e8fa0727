/**
 * What the module and the cmdlets say of a failure, as an error of ours. Errors of the module bear our code. Of a cmdlet only the part
 * of the id before the comma is regular (hyperv/facts.md, section 4); a state that a caller can know is looked at before the cmdlet is called.
 */
import { ERROR_CODES, type ErrorCode } from '../../../shared/errors.ts';
import type { FabricErrorId } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';

export interface AnsweredError {
  readonly errorId: FabricErrorId;
  readonly code: ErrorCode;
}

const CLASS_PREFIX = 'Microsoft.HyperV.PowerShell.Commands.';

/** By the id that the cmdlets give. */
const byErrorId: Readonly<Record<string, AnsweredError>> = {
  InvalidOperation: { errorId: 'InvalidOperation', code: 'ERR_WRONG_STATE' },
  ObjectNotFound: { errorId: 'ObjectNotFound', code: 'ERR_VM_NOT_FOUND' },
  AccessDenied: { errorId: 'AccessDenied', code: 'ERR_FABRIC_FAILED' },
  OperationTimeout: { errorId: 'OperationTimeout', code: 'ERR_FABRIC_TIMEOUT' },
  InvalidParameter: { errorId: 'InvalidParameter', code: 'ERR_FABRIC_FAILED' },
};

/** By the id of the fabric that fits a code of ours. */
const byCode: Partial<Record<ErrorCode, FabricErrorId>> = {
  ERR_VM_NOT_FOUND: 'ObjectNotFound',
  ERR_CLOUD_NOT_FOUND: 'ObjectNotFound',
  ERR_NETWORK_NOT_FOUND: 'ObjectNotFound',
  ERR_NO_RECOVERY_POINT: 'ObjectNotFound',
  ERR_NOT_PREPARED: 'AccessDenied',
  ERR_BROKER_MISSING: 'ObjectNotFound',
  ERR_WRONG_STATE: 'InvalidOperation',
  ERR_TEST_COPY_EXISTS: 'InvalidOperation',
  ERR_NO_TEST_COPY: 'InvalidOperation',
};

export interface ToldError {
  /** FullyQualifiedErrorId. */
  readonly id: string;
  readonly category: string;
  readonly message: string;
  readonly target: string | null;
}

export function fabricErrorOf({ id, message }: ToldError, functionName: string): FabricError {
  const [first = '', rest = ''] = id.split(',', 2);
  const ours = ERROR_CODES.find((code) => code === first);
  if (ours !== undefined) return new FabricError(ours, byCode[ours] ?? 'OperationFailed', functionName, message);
  const { errorId, code } = byErrorId[first] ?? { errorId: 'OperationFailed', code: 'ERR_FABRIC_FAILED' };
  return new FabricError(
    code,
    errorId,
    rest.startsWith(CLASS_PREFIX) ? rest.slice(CLASS_PREFIX.length) : functionName,
    `${message} (${id})`,
  );
}
