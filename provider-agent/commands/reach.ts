/**
 * Look, act, look again: how every handler changes the state of a VM.
 *
 * A fabric may fail after it has done the work, hang, or say it was done when it was not. So neither a success nor a
 * failure of the call decides, only the state that is found afterwards.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { VmRef } from '../../shared/ids.ts';
import { pause } from '../../shared/ports.ts';
import type { VmView } from '../fabric/fabric.ts';
import type { HandlerContext } from './handlers.ts';

export interface Goal {
  readonly ref: VmRef;
  /** True when nothing is left to do. A VM that is gone is null. */
  isReached(vm: VmView | null): boolean;
  /** Acts from the state found; throws when this state is not one to act from. */
  act(vm: VmView): Promise<void>;
}

/** Returns the VM as it was found when the goal was reached. Throws what the fabric threw, or ERR_FABRIC_FAILED. */
export async function reach(goal: Goal, { fabric }: HandlerContext): Promise<VmView | null> {
  return lookActLook({
    look: () => fabric.findVm(goal.ref),
    isReached: (vm) => goal.isReached(vm),
    act: async (vm) => {
      if (vm === null) throw vmNotFound();
      await goal.act(vm);
    },
  });
}

/** The same for whatever can be looked at. */
export async function lookActLook<T>(goal: { look(): Promise<T>; isReached(found: T): boolean; act(found: T): Promise<void> }): Promise<T> {
  const before = await goal.look();
  if (goal.isReached(before)) return before;
  let failure: unknown = null;
  try {
    await goal.act(before);
  } catch (thrown) {
    failure = thrown;
  }
  const after = await goal.look();
  if (goal.isReached(after)) return after;
  throw failure ?? new FarshoreError('ERR_FABRIC_FAILED', 'the fabric reported success, and the VM is not in the state asked for');
}

export async function findExisting(ref: VmRef, { fabric }: HandlerContext): Promise<VmView> {
  const vm = await fabric.findVm(ref);
  if (vm === null) throw vmNotFound();
  return vm;
}

export function wrongState(vm: VmView, wanted: string): FarshoreError {
  const { mode, state } = vm.replication;
  return new FarshoreError('ERR_WRONG_STATE', `the VM is ${vm.power}, its replication is ${mode}/${state}; ${wanted}`);
}

/** Throws ERR_REPLICATION_SUSPENDED: whoever suspended it had a reason, which is not for us to overrule. */
export function refuseIfSuspended({ replication: { mode, state } }: VmView): void {
  if (state === 'suspended') throw new FarshoreError('ERR_REPLICATION_SUSPENDED', `the replication of the ${mode} is suspended`);
}

/** A primary whose last changes have been sent: it cannot be started. */
export const isPrepared = (vm: VmView | null): boolean => vm?.replication.state === 'preparedForFailover';

/** A replica that was failed over, committed or not. */
export const isFailedOver = ({ replication: { state } }: VmView): boolean =>
  state === 'failedOverWaitingCompletion' || state === 'failedOver';

/** The guest shuts itself down; nothing where the VM is off. */
export async function shutDown(ref: VmRef, context: HandlerContext): Promise<void> {
  context.progress('shuttingDown');
  await reach({ ref, isReached: (vm) => vm?.power === 'off', act: () => context.fabric.stopVm(ref, context.act) }, context);
}

const FIRST_POLL_MS = 200;
const LONGEST_POLL_MS = 10_000;

/**
 * Asks `look` until it answers something other than null: soon at first, then ever less often. With `untilMs` it
 * gives up at that moment and returns null.
 */
export async function poll<T>(context: HandlerContext, look: () => Promise<T | null>, untilMs?: number): Promise<T | null> {
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 1.5, LONGEST_POLL_MS)) {
    context.refuseIfUnwanted();
    const found = await look();
    if (found !== null) return found;
    const left = untilMs === undefined ? wait : untilMs - context.clock.now();
    if (left <= 0) return null;
    await pause(context.clock, Math.min(wait, left));
  }
}

function vmNotFound(): FarshoreError {
  return new FarshoreError('ERR_VM_NOT_FOUND', 'the fabric does not know the VM');
}
