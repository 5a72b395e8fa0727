/**
 * The site's own log of what was asked of it and what it did, as a fabric keeps one. The line of a task says that it
 * had its effect in the same transaction as the effect, so checkers of invariants may trust it after a kill.
 */
import type { ErrorCode } from '../../../shared/errors.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { Act } from '../fabric.ts';
import type { SqliteDatabase } from './database.ts';
import type { Operation } from './operation.ts';

export interface TaskEntry {
  readonly seq: number;
  readonly commandId: string;
  readonly epoch: number;
  readonly operation: Operation;
  readonly cloudId: string | null;
  readonly vmId: string | null;
  readonly beganAt: number;
  readonly endedAt: number | null;
  readonly hadEffect: boolean;
  /** `lied`: reported as done without effect. `interrupted`: the process died while it ran. */
  readonly outcome: 'running' | 'done' | 'failed' | 'lied' | 'interrupted';
  readonly code: ErrorCode | null;
}

/** `found`: the machine was found so, and nobody here had switched it. */
export interface PowerChange {
  readonly seq: number;
  readonly at: number;
  readonly cloudId: string;
  readonly vmId: string;
  readonly host: string;
  readonly change: 'on' | 'off';
  readonly cause: 'siteFile' | 'startVm' | 'startTestVm' | 'stopVm' | 'stopFailover' | 'stopTestFailover' | 'hostDies' | 'found';
  readonly commandId: string | null;
  readonly epoch: number | null;
}

export class TaskLog {
  readonly #sql;

  constructor(database: SqliteDatabase, now: number) {
    this.#sql = {
      begin: database.prepare('INSERT INTO task (command_id, epoch, operation, cloud_id, vm_id, began_at) VALUES (?, ?, ?, ?, ?, ?)'),
      effect: database.prepare('UPDATE task SET had_effect = 1 WHERE seq = ?'),
      end: database.prepare('UPDATE task SET ended_at = ?, outcome = ?, code = ? WHERE seq = ?'),
      tasks: database.prepare<[], Omit<TaskEntry, 'hadEffect'> & { hadEffect: number }>(
        `SELECT seq, command_id AS commandId, epoch, operation, cloud_id AS cloudId, vm_id AS vmId, began_at AS beganAt,
         ended_at AS endedAt, had_effect AS hadEffect, outcome, code FROM task ORDER BY seq`,
      ),
      power: database.prepare(
        'INSERT INTO power_change (at, cloud_id, vm_id, host, change, cause, command_id, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      ),
      powerChanges: database.prepare<[], PowerChange>(
        'SELECT seq, at, cloud_id AS cloudId, vm_id AS vmId, host, change, cause, command_id AS commandId, epoch FROM power_change ORDER BY seq',
      ),
    };
    database.prepare("UPDATE task SET ended_at = ?, outcome = 'interrupted' WHERE outcome = 'running'").run(now);
  }

  begin(operation: Operation, subject: { cloudId?: string; vmId?: string }, act: Act, now: number): number {
    const added = this.#sql.begin.run(act.commandId, act.epoch, operation, subject.cloudId ?? null, subject.vmId ?? null, now);
    return Number(added.lastInsertRowid);
  }

  noteEffect(seq: number): void {
    this.#sql.effect.run(seq);
  }

  end(seq: number, outcome: 'done' | 'failed' | 'lied', now: number, code: ErrorCode | null = null): void {
    this.#sql.end.run(now, outcome, code, seq);
  }

  notePower(change: Omit<PowerChange, 'seq' | 'cloudId' | 'vmId'>, { cloudId, vmId }: VmRef): void {
    this.#sql.power.run(change.at, cloudId, vmId, change.host, change.change, change.cause, change.commandId, change.epoch);
  }

  tasks(): TaskEntry[] {
    return this.#sql.tasks.all().map((task) => ({ ...task, hadEffect: task.hadEffect === 1 }));
  }

  powerChanges(): PowerChange[] {
    return this.#sql.powerChanges.all();
  }
}
