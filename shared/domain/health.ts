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
  newerAtSite: {
    cause:
      'A site of it knows of work on it that the control plane does not: as a rule a backup of the database was put back. What is promised here may be long past.',
    remedy:
      'Look at both sites which copy runs and is newest before any operation is asked for. It is told until then; new decisions are numbered above all that the sites know.',
  },
  outOfStep: {
    cause:
      'Nothing of it is replicated any more: its host crashed, or its change log cannot be trusted, so both copies have to be compared.',
    remedy: 'Resynchronize it. Until then a failover loses everything written since the newest recovery point.',
  },
  firstCopyScheduled: {
    cause: 'There is nothing to recover it from yet: its first copy begins at a later time, as it was asked for.',
    remedy: 'Wait for it. To begin earlier, cancel the job that protects it (farshore jobs cancel), and protect it anew.',
  },
  firstCopyToImport: {
    cause: 'There is nothing to recover it from yet: its first copy was exported to a folder, and the recovery site has not taken it in.',
    remedy:
      'Carry the folder to the recovery site and take it in there: farshore import-first-copy. Where it is lost, unprotect the VM and protect it anew.',
  },
  suspended: {
    cause: 'Its replication is suspended: the side that sends it sends nothing, and the newest recovery point only grows older.',
    remedy:
      'Resume it: farshore resume. Until then a planned failover is refused, and an unplanned failover loses everything written since the newest recovery point.',
  },
  replicaSuspended: {
    cause:
      'Its replica is suspended and takes nothing: the newest recovery point only grows older, and the side that sends it cannot send.',
    remedy:
      'Resume it: farshore resume. Until then a planned failover and a drill are refused, and an unplanned failover loses everything written since the newest recovery point.',
  },
  notReplicating: {
    cause:
      'The side that sends says that replication of it is off: somebody ended it by hand, or a move was broken off. The replica only grows older.',
    remedy: 'Until it is mended a failover finds what the replica has. Move it on, or unprotect it by force and protect it anew.',
  },
  behindPairing: {
    cause:
      'The policy or the network map of its pairing was changed and was not set at it: it could not be then, it failed, or it was skipped.',
    remedy:
      'It is set by itself when the VM replicates and no job works on it. Where that has failed, set it again: farshore pairings apply.',
  },
  takeBackDelayed: {
    cause: 'Its failover was not committed in the time that its plan gives it, and cannot be taken back now.',
    remedy: 'Remove the reason named: it is tried again for an hour after its moment. Or commit it.',
  },
  takeBackLapsed: {
    cause: 'Its failover was not committed in the time that its plan gives it, and was not taken back. Nothing happens by itself any more.',
    remedy: 'Commit it, or take it back by hand: what was written there since the failover is lost by that.',
  },
} as const;
export type VmIssue = keyof typeof vmIssues;
export const VM_ISSUES = Object.keys(vmIssues) as [VmIssue, ...VmIssue[]];

/** Why nothing can be done with a VM although its life allows it. */
export const AGENT_AWAY = 'the agent of one of its sites is not connected';
export const SITE_KNOWS_MORE =
  'a site of it knows more than the control plane, or has not told yet since that was started: look there first';

/** A failover that was to take itself back. */
export interface EndedWindow {
  /** Why it does not any more; null while it is still to be. */
  readonly lapsed: string | null;
  /** Why it cannot be taken back now; empty where it can. */
  readonly reason: string;
}

/** Null where it is being taken back as its plan says. */
export function windowIssue({ lapsed, reason }: EndedWindow): { readonly issue: VmIssue; readonly why: string } | null {
  if (lapsed !== null) return { issue: 'takeBackLapsed', why: lapsed };
  return reason === '' ? null : { issue: 'takeBackDelayed', why: reason };
}

/** Powers as the sites last reported them; null or `unknown` where that is not known now. */
export interface ObservedVm {
  readonly phase: Phase;
  readonly activeLocation: ActiveLocation;
  readonly power: Readonly<Record<ActiveLocation, string | null>>;
  /** State of replication at the side that sends. */
  readonly sending: string | null;
  /** When its first copy begins, where that is later. */
  readonly firstCopyAt: string | null;
  /** State of replication at the side of the replica. */
  readonly receiving: string | null;
  /** A site has told of decisions or commands that the control plane does not know. */
  readonly isNewerAtSite: boolean;
  /** It lacks something of what its pairing says. */
  readonly isBehind: boolean;
}

export function issuesOf(vm: ObservedVm): VmIssue[] {
  return [...(vm.isNewerAtSite ? (['newerAtSite'] as const) : []), ...issuesSeen(vm)];
}

function issuesSeen({ phase, activeLocation, power, sending, firstCopyAt, receiving, isBehind }: ObservedVm): VmIssue[] {
  const isLive = (at: ActiveLocation) => power[at] === 'running' || power[at] === 'starting' || power[at] === 'stopping';
  if (isLive('primary') && isLive('recovery')) return ['twoLiveCopies'];
  // While a job moves it, it runs at the other side before the promise says so; of a broken off failover nothing is promised.
  const isElsewhere = isLive(otherSide(activeLocation));
  if (isElsewhere && phase !== 'failingOver' && phase !== 'interrupted') return ['runsAtOtherSide'];
  const isToReplicate = phase === 'protected' || phase === 'seeding';
  const isOutOfStep = isToReplicate && sending === 'waitingForStartResynchronize';
  // While it is seeding, what the site said last may be of before.
  const isOff = phase === 'protected' && sending === 'disabled';
  const isSeeding = phase === 'seeding';
  const isExported = sending === 'waitingForInitialReplication' && receiving === 'waitingForInitialReplication';
  // Whoever is on the way in gets it on the way, and who is on the way out needs it no more.
  const lacks = isBehind && phase !== 'enabling' && phase !== 'disabling';
  return [
    ...(isOutOfStep ? (['outOfStep'] as const) : []),
    ...(isSeeding && firstCopyAt !== null ? (['firstCopyScheduled'] as const) : []),
    ...(isSeeding && isExported ? (['firstCopyToImport'] as const) : []),
    ...(isToReplicate && sending === 'suspended' ? (['suspended'] as const) : []),
    ...(isToReplicate && receiving === 'suspended' ? (['replicaSuspended'] as const) : []),
    ...(isOff ? (['notReplicating'] as const) : []),
    ...(lacks ? (['behindPairing'] as const) : []),
  ];
}
