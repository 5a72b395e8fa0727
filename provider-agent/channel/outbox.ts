/**
 * What waits to be sent on the present connection, most urgent first: outcomes, refusals, progress; inventory comes
 * after all of them. Nothing here need survive: outcomes are in the journal, the rest is told anew.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { CommandId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { AgentMessage, Outcome } from '../../shared/protocol/egress.ts';
import { chunks } from './chunks.ts';

/** An outcome that is durable in the journal of the agent. */
export interface FinishedOutcome {
  readonly commandId: CommandId;
  readonly outcome: Outcome;
  readonly endedAt: number;
}

/** A flood of refused envelopes must not make a flood of answers. */
const MOST_REFUSALS = 100;

export class Outbox {
  readonly #outcomes = new Map<CommandId, FinishedOutcome>();
  readonly #progress = new Map<CommandId, Stage>();
  readonly #ripeProgress = new Map<CommandId, Stage>();
  #refusals: ErrorCode[] = [];

  finished(outcome: FinishedOutcome): void {
    this.#outcomes.set(outcome.commandId, outcome);
    this.#progress.delete(outcome.commandId);
    this.#ripeProgress.delete(outcome.commandId);
  }

  /** Waits until `ripen`: of a command that ends meanwhile nobody needs to know how far it was. */
  progress(commandId: CommandId, stage: Stage): void {
    this.#progress.set(commandId, stage);
  }

  ripen(): void {
    for (const [commandId, stage] of this.#progress) this.#ripeProgress.set(commandId, stage);
    this.#progress.clear();
  }

  refused(code: ErrorCode): void {
    if (this.#refusals.length < MOST_REFUSALS) this.#refusals.push(code);
  }

  /** The next message, or null when nothing waits. */
  next(): AgentMessage | null {
    return this.#nextOutcomes() ?? this.#nextRefusal() ?? this.#nextProgress();
  }

  clear(): void {
    this.#outcomes.clear();
    this.#progress.clear();
    this.#ripeProgress.clear();
    this.#refusals = [];
  }

  #nextOutcomes(): AgentMessage | null {
    const { value: finished } = chunks(this.#wireOutcomes()).next();
    if (finished === undefined) return null;
    for (const { commandId } of finished) this.#outcomes.delete(commandId);
    return { type: 'command.finished', finished };
  }

  *#wireOutcomes() {
    for (const { commandId, outcome, endedAt } of this.#outcomes.values()) yield { commandId, at: isoMoment(endedAt), outcome };
  }

  #nextRefusal(): AgentMessage | null {
    const code = this.#refusals.shift();
    return code === undefined ? null : { type: 'envelope.refused', code };
  }

  #nextProgress(): AgentMessage | null {
    for (const [commandId, stage] of this.#ripeProgress) {
      this.#ripeProgress.delete(commandId);
      return { type: 'command.progress', commandId, stage };
    }
    return null;
  }
}
