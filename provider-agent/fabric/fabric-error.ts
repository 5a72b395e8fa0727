/**
 * A failure as the fabric tells it: error id, category and message in the shapes of the Hyper-V cmdlets.
 * The message may name hosts and paths, so it goes to the agent's own log and never up; what goes up is `code`.
 */
import { type ErrorCode, FarshoreError } from '../../shared/errors.ts';
import type { FabricErrorId } from './fabric.ts';

export class FabricError extends FarshoreError {
  readonly errorId: FabricErrorId;
  /** As the cmdlet prints it: `<ErrorId>,<class of the cmdlet>`. */
  readonly fullyQualifiedErrorId: string;

  constructor(code: ErrorCode, errorId: FabricErrorId, cmdletClass: string, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
    this.errorId = errorId;
    this.fullyQualifiedErrorId = `${errorId},Microsoft.HyperV.PowerShell.Commands.${cmdletClass}`;
  }
}
