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

/**
 * promise-kept: of every VM that no job works on, both ends of its replication are what its phase says, and where it is failed over
 * it stands on the point that was told, by the step that told it. One that was told to be suspended does not replicate, unless something was done with it since.
 */
export function promiseKept(trace: readonly TraceEvent[]): string[] {
  // What a backup does not know it cannot promise.
  if (trace.some(({ type }) => type === 'restored')) return [];
  const told = toldFailovers(trace);
  const suspended = toldSuspended(trace);
  return trace
    .flatMap((event) => (event.type === 'promises' ? event.vms : []))
    .filter(({ isBusy }) => !isBusy)
    .flatMap((vm) => {
      const { id, name, phase, source, target, failover } = vm;
      if (isKept[phase]?.(vm) !== true) return [`${name} is ${phase}, and it is ${source} at its source, ${target} at its target`];
      const replicates = source === 'primary/replicating' && target === 'replica/replicating';
      if (replicates && suspended.has(id)) return [`${name} was told to be suspended, and it replicates`];
      const isTold = phase !== 'failedOver' || failover === told.get(id);
      return isTold ? [] : [`${name} was told to be failed over by ${told.get(id)}, and it is by ${failover}`];
    });
}

/** By protected VM: the step that said last that it had failed it over, and the point that it named. */
function toldFailovers(trace: readonly TraceEvent[]): Map<string, string> {
  const told = new Map<string, string>();
  for (const event of trace) {
    if (event.type !== 'facts') continue;
    for (const fact of event.facts) {
      const [part, vm] = fact.type === 'done' ? fact.step.split('/') : [];
      if (fact.type !== 'done' || part !== 'failover' || vm === undefined) continue;
      const { recoveryPointId } = fact.result as { recoveryPointId: string };
      told.set(vm, `${event.jobId}/${fact.step} to ${recoveryPointId}`);
    }
  }
  return told;
}

/** Protected VMs whose replication a step said last that it had suspended, and that nothing was done with since. */
function toldSuspended(trace: readonly TraceEvent[]): Set<string> {
  const told = new Set<string>();
  for (const event of trace) {
    if (event.type !== 'facts') continue;
    for (const fact of event.facts) {
      if (fact.type !== 'done' && fact.type !== 'started') continue;
      const [part] = fact.step.split('/');
      const vm = fact.step.slice(fact.step.lastIndexOf('/') + 1);
      if (part === 'suspend') {
        if (fact.type === 'done') told.add(vm);
      } else if (part !== 'look') told.delete(vm);
    }
  }
  return told;
}
