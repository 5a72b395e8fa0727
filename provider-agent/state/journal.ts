/**
 * The journal port: what the agent must still know after a crash.
 *
 * The rule of every command: `begin` is durable before the fabric is touched, `conclude` is durable before anything
 * is answered. A promise returned here resolves when its write is synced; what rejects was not written at all.
 * Reads show durable facts only.
 */
import type { CommandId, VmRef } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';

/** A command as it was taken on. */
export interface Order {
  readonly commandId: CommandId;
  /** SHA-256 of kind and arguments, hex: the same id with another content is not the same command. */
  readonly contentHash: string;
  readonly command: Command;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** The VM it is about; null for commands about hosts. */
  readonly vm: VmRef | null;
}

/** How a command ended, and when by the clock of the site. */
export interface Ending {
  readonly outcome: Outcome;
  readonly endedAt: number;
}

export interface FinishedCommand extends Ending {
  readonly commandId: CommandId;
}

export interface JournalEntry {
  readonly order: Order;
  /** Null: begun, and how it ended is not known. */
  readonly ending: Ending | null;
}

/** The newest that the site knows of a VM. */
export interface KnownDecision {
  readonly vm: VmRef;
  /** The newest ownership decision. */
  readonly epoch: number;
  /** The command about it that came last; null when none is remembered. */
  readonly command: { readonly id: CommandId /** Goes up with every command of this journal. */; readonly number: number } | null;
}

export interface Journal {
  /** The highest sequence number durably seen. */
  readonly lastSequence: number;
  find(commandId: CommandId): JournalEntry | null;
  /** The highest epoch durably seen for the VM; 0 for none. */
  epochOf(vm: VmRef): number;
  /** Of every VM that a command was ever begun about. */
  decisions(): readonly KnownDecision[];
  /** Begun and not ended, in the order they began. */
  unfinished(): readonly JournalEntry[];
  /** Ended, and not yet confirmed by the control plane, in the order they ended. */
  unconfirmed(): readonly FinishedCommand[];

  /** The intent, the sequence number and the epoch of the VM, in one transaction. */
  begin(order: Order, sequence: number): Promise<void>;
  /** A command that was never begun, with its answer: a repeat is told the same. Raises no epoch. */
  refuse(order: Order, sequence: number, ending: Ending): Promise<void>;
  conclude(commandId: CommandId, ending: Ending): Promise<void>;
  /** The control plane has stored these outcomes. */
  confirm(commandIds: readonly CommandId[], at: number): Promise<void>;
  /** A repeat was answered from here: only its sequence number is new. */
  sawSequence(sequence: number): Promise<void>;
  /** Forgets commands confirmed before the moment given; returns how many. */
  prune(confirmedBefore: number): Promise<number>;

  /** Writes what waits, then closes. */
  close(): Promise<void>;
  /** As if the process had died: what waits is lost, nothing is written or resolved any more. */
  abandon(): void;
}
