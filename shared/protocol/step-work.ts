/**
 * What a step of a job does: one command at one site. It is data and stored with the job's graph. Arguments that only an
 * earlier step can give are filled in when the step is handed out (`complete` of the operation's kind).
 */
import type { VmEvent } from '../domain/protected-vm.ts';
import type { PairingId, ProtectedVmId, SiteId, StepId } from '../ids.ts';
import type { ArgsOf, CommandKind } from './commands.ts';

/** The command as far as it is known when the job is compiled. */
type KnownArgs = { [K in CommandKind]: { readonly kind: K; readonly args: Partial<ArgsOf<K>> } }[CommandKind];

export type StepWork = KnownArgs & {
  readonly siteId: SiteId;
  /** The ownership decision it runs under; 0 where it is about no VM. */
  readonly epoch: number;
  /** How long it may wait to be begun, from the moment it is handed out. */
  readonly beginWithinSeconds: number;
  /** The VM it is about, and what becomes of it when the step starts and when it has ended. */
  readonly vm?: ProtectedVmId;
  readonly marks?: { readonly started?: VmEvent; readonly done?: VmEvent; readonly undone?: VmEvent };
  /** Pairing steps: the pairing whose state the end of the job settles, and the steps that results are taken from. */
  readonly pairingId?: PairingId;
  readonly from?: { readonly [argument: string]: StepId };
};
