/** What the control plane promises of a VM, held against what both sites have when everything has come to rest. */
import type { Phase } from '../../shared/domain/protected-vm.ts';
import type { PromisedVm, TraceEvent } from './trace.ts';

const isFailedOver = (end: string) => end.startsWith('replica/failedOver');
const isPrimary = (end: string) => end.startsWith('primary/');
const takesChanges = (end: string) => end.startsWith('replica/') && !isFailedOver(end);

/** Null: the phase is one of work under way, and nobody works on it any more. */
const isKept: { readonly [P in Phase]: ((vm: PromisedVm) => boolean) | null } = {
  enabling: null,
  seeding: ({ source, target }) => isPrimary(source) && takesChanges(target),
  protected: ({ source, target }) => isPrimary(source) && takesChanges(target),
  failingOver: null,
  interrupted: () => true,
  failedOver: ({ target }) => target === 'replica/failedOverWaitingCompletion',
  committed: ({ target }) => target === 'replica/failedOver',
  reversing: null,
  disabling: null,
};

/** promise-kept: of every VM that no job works on, both ends of its replication are what its phase says. */
export function promiseKept(trace: readonly TraceEvent[]): string[] {
  // What a backup does not know it cannot promise.
  if (trace.some(({ type }) => type === 'restored')) return [];
  return trace
    .flatMap((event) => (event.type === 'promises' ? event.vms : []))
    .filter((vm) => !vm.isBusy && isKept[vm.phase]?.(vm) !== true)
    .map(({ name, phase, source, target }) => `${name} is ${phase}, and it is ${source} at its source, ${target} at its target`);
}
