/**
 * What is wrong with a protected VM: what was promised, held against what both sites report. Pure, and never stored. What is
 * not known is no issue: a site that is dark shows as `unknown` by itself.
 */
import { type ActiveLocation, otherSide, type Phase } from './protected-vm.ts';

export const vmIssues = {
  twoLiveCopies: {
    cause: 'Both copies run, and both may have taken writes that the other lacks.',
    remedy:
      'Take the network from the copy with the lower epoch. Switch nothing off and commit nothing until a person has chosen whose writes count.',
  },
  runsAtOtherSide: {
    cause: 'It runs where the control plane does not expect it: somebody moved or started it by hand.',
    remedy: 'Look at both sites before anything else is done with it.',
  },
  outOfStep: {
    cause:
      'Nothing of it is replicated any more: its host crashed, or its change log cannot be trusted, so both copies have to be compared.',
    remedy: 'Resynchronize it. Until then a failover loses everything written since the newest recovery point.',
  },
} as const;
export type VmIssue = keyof typeof vmIssues;
export const VM_ISSUES = Object.keys(vmIssues) as [VmIssue, ...VmIssue[]];

/** Powers as the sites last reported them; null or `unknown` where that is not known now. */
export interface ObservedVm {
  readonly phase: Phase;
  readonly activeLocation: ActiveLocation;
  readonly power: Readonly<Record<ActiveLocation, string | null>>;
  /** State of replication at the side that sends. */
  readonly sending: string | null;
}

export function issuesOf({ phase, activeLocation, power, sending }: ObservedVm): VmIssue[] {
  const isLive = (at: ActiveLocation) => power[at] === 'running' || power[at] === 'starting' || power[at] === 'stopping';
  if (isLive('primary') && isLive('recovery')) return ['twoLiveCopies'];
  // While a job moves it, it runs at the other side before the promise says so; of a broken off failover nothing is promised.
  const isElsewhere = isLive(otherSide(activeLocation));
  if (isElsewhere && phase !== 'failingOver' && phase !== 'interrupted') return ['runsAtOtherSide'];
  const isToReplicate = phase === 'protected' || phase === 'seeding';
  return isToReplicate && sending === 'waitingForStartResynchronize' ? ['outOfStep'] : [];
}
