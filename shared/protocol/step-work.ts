/**
 * What a step of a job does: one command at one site, and what becomes of the VM it is about. It is data, stored with the
 * job's graph, so that the same graph can be handed to an agent.
 */
import type { DrillEvent } from '../domain/drill.ts';
import type { VmEvent } from '../domain/protected-vm.ts';
import type { PairingId, ProtectedVmId, SiteId, StepId } from '../ids.ts';
import type { ArgsOf, CommandKind } from './commands.ts';

/** The command as far as it is known when the job is compiled. */
type KnownArgs = { [K in CommandKind]: { readonly kind: K; readonly args: Partial<ArgsOf<K>> } }[CommandKind];

/** What becomes of the VM when the step has come so far. */
export interface StepMarks {
  /** It is handed out for the first time. */
  readonly started?: VmEvent | DrillEvent;
  readonly done?: VmEvent | DrillEvent;
  /** A person decided to go on as if it were done. */
  readonly skipped?: VmEvent;
  /** Its undo was done, and not skipped. */
  readonly takenBack?: DrillEvent;
  /** The job ended with the step's scope undone, and the step had been started. */
  readonly undone?: VmEvent;
  /** The same, and the undo of some step of the scope was skipped: what that did stands, or is not known. In place of `undone`. */
  readonly undoneInPart?: VmEvent;
  /** The scope is undone, and the step had not been started. */
  readonly neverStarted?: VmEvent;
}

export type StepWork = KnownArgs & {
  readonly siteId: SiteId;
  /** The ownership decision it runs under; 0 where it is about no VM. */
  readonly epoch: number;
  /** The site without which it never ends, besides its own: whoever gives that one up ends it too. */
  readonly otherEnd?: SiteId;
  /** How long it may wait to be begun, from the moment it is handed out. */
  readonly beginWithinSeconds: number;
  /** Arguments that are taken from the result of an earlier step, where they have the same name. */
  readonly from?: { readonly [argument: string]: StepId };
  /** The VM it is about, and what becomes of it. */
  readonly vm?: {
    readonly id: ProtectedVmId;
    readonly marks: StepMarks;
    /** The pairing it belongs to from when the step is done. */
    readonly pairing?: PairingId;
    /** From when it is done or skipped the job needs the VM no more. */
    readonly isLast?: true;
  };
};
