/** What went wrong with QEMU, in the shape of the fabric's errors. The words are QEMU's own and stay at the site. */

import type { FabricErrorId } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';

export function failed(errorId: FabricErrorId, message: string, cause?: unknown): FabricError {
  const told = cause instanceof Error ? `${message}: ${cause.message}` : message;
  return new FabricError('ERR_FABRIC_FAILED', errorId, 'Qemu', told, { cause });
}
