/**
 * The way of every mutation: its line in the task log, the check that the state allows it, the time it takes, the
 * faults that were ordered, its effect. The state is checked again when the effect happens, because others act
 * meanwhile; effect and log line are one transaction.
 */
import { FarshoreError, toFarshoreError } from '../../../shared/errors.ts';
import type { CloudId, VmId } from '../../../shared/ids.ts';
import { pause } from '../../../shared/ports.ts';
import type { Act } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './operation.ts';
import { cmdletClass } from './refusals.ts';
import type { World } from './world.ts';

export interface Work<T> {
  readonly operation: Operation;
  /** Empty for what belongs to no cloud. */
  readonly subject: { readonly cloudId?: CloudId; readonly vmId?: VmId };
  /** Throws where the operation is not allowed now; changes nothing. */
  check(): void;
  /** What has to happen first: at the other site, and to the machines. A crash may come after it, so it may be repeated. */
  prepare?(act: Act): Promise<void>;
  /** Checks and changes; runs inside a transaction. */
  effect(act: Act): T;
  /** What a fault that lies reports. */
  readonly lie: () => T;
}

export class TaskRunner {
  readonly #world: World;
  readonly #onBegin: () => void;
  readonly #onEffect: () => void;
  readonly #closed = new AbortController();

  constructor(world: World, onBegin: () => void, onEffect: () => void) {
    this.#world = world;
    this.#onBegin = onBegin;
    this.#onEffect = onEffect;
  }

  async run<T>(work: Work<T>, act: Act): Promise<T> {
    const { tasks, clock } = this.#world;
    this.#onBegin();
    const task = tasks.begin(work.operation, work.subject, act, clock.now());
    try {
      const { result, outcome } = await this.#perform(work, act, task);
      tasks.end(task, outcome, clock.now());
      return result;
    } catch (thrown) {
      // A closed site has no database to write to; its next opening calls the task interrupted.
      if (!this.#closed.signal.aborted) tasks.end(task, 'failed', clock.now(), toFarshoreError(thrown).code);
      throw thrown;
    }
  }

  /** Calls under way fail; nothing of them happens any more. */
  close(): void {
    this.#closed.abort(new FarshoreError('ERR_CANCELLED', 'the site was closed'));
  }

  async #perform<T>(work: Work<T>, act: Act, task: number): Promise<{ result: T; outcome: 'done' | 'lied' }> {
    const { clock, tasks } = this.#world;
    const signal = act.signal === undefined ? this.#closed.signal : AbortSignal.any([act.signal, this.#closed.signal]);
    if (signal.aborted) throw this.#aborted(work, signal);
    work.check();
    const takesMs = this.#world.machinery.takesMs(work.operation);
    if (takesMs > 0) await pause(clock, takesMs, signal).catch(() => Promise.reject(this.#aborted(work, signal)));

    const lies = await this.#suffer(work, act, 'beforeEffect', signal);
    if (lies) return { result: work.lie(), outcome: 'lied' };
    const result = await this.#world.machinery.inTurn(work.subject, async () => {
      if (signal.aborted) throw this.#aborted(work, signal);
      await work.prepare?.(act);
      // What was done is written down also where the caller no longer waits for it.
      if (this.#closed.signal.aborted) throw this.#aborted(work, signal);
      return this.#world.transaction(() => {
        const effect = work.effect(act);
        tasks.noteEffect(task);
        return effect;
      });
    });
    this.#onEffect();
    await this.#suffer(work, act, 'afterEffect', signal);
    return { result, outcome: 'done' };
  }

  /** True: the call shall lie. */
  async #suffer(work: Work<unknown>, act: Act, place: 'beforeEffect' | 'afterEffect', signal: AbortSignal): Promise<boolean> {
    const { faults, vms } = this.#world;
    const { cloudId, vmId } = work.subject;
    const vm = cloudId === undefined || vmId === undefined ? null : { id: vmId, name: vms.find({ cloudId, vmId })?.name ?? '' };
    const fault = faults.take({ operation: work.operation, commandId: act.commandId, vm }, place);
    if (fault === null) return false;
    if (fault.kind === 'lies') return true;
    if (fault.kind === 'hangs') await new Promise<never>((_resolve, reject) => onAbort(signal, () => reject(this.#aborted(work, signal))));
    throw new FabricError(
      'ERR_FABRIC_FAILED',
      'OperationFailed',
      cmdletClass(work.operation),
      `${work.operation} was ordered to fail ${place === 'beforeEffect' ? 'before' : 'after'} its effect.`,
    );
  }

  #aborted(work: Work<unknown>, signal: AbortSignal): Error {
    if (this.#closed.signal.aborted) return this.#closed.signal.reason as Error;
    return new FabricError(
      'ERR_FABRIC_TIMEOUT',
      'OperationTimeout',
      cmdletClass(work.operation),
      `${work.operation} was given up by its caller.`,
      { cause: signal.reason },
    );
  }
}

function onAbort(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener('abort', callback, { once: true });
}
