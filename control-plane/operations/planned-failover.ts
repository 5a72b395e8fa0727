/**
 * Planned failover: both sites are there, and nothing is lost. Guests are shut down at the primary, the last changes are sent,
 * the VMs start at the recovery site. Until the first of them starts there, one that fails takes all of them back.
 */
import { compilePlannedFailover as compileGraph, lookAtPrimaryOf, type PlannedWork } from '../../shared/domain/planned-failover-graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { chooseMembers } from './choose-members.ts';
import { allVms, type Compile, primaryRef, recordOf, recoveryRef, refuseUnlessConnected, resolveTarget, type TargetVm } from './compile.ts';
import { failoverWork } from './unplanned-failover.ts';

/** Guests of earlier groups may take long to shut down; a failover asked for in the evening must not start in the morning. */
const BEGIN_WITHIN_SECONDS = 3600;

export const compilePlannedFailover: Compile<'plannedFailover'> = async (request, actor, ports) => {
  const target = await resolveTarget(request.target, actor, ports.store);
  const { chosen, skipped } = chooseMembers(target, 'plannedFailover');
  const members = allVms(chosen);
  await refuseUnlessConnected(
    members.flatMap(({ pairing }) => [pairing.primary.siteId, pairing.recovery.siteId]),
    actor,
    ports,
  );
  return {
    target: target.title,
    input: {
      target: request.target,
      ...recordOf(chosen),
      skipped,
      reason: request.reason,
    },
    graph: compileGraph(chosen.groups.map(({ name, vms }) => ({ name, members: vms.map(plannedWork) }))),
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['protected'], epoch: vm.epoch + 1 })),
    newVms: [],
  };
};

function plannedWork(member: TargetVm): PlannedWork<StepWork> {
  const { vm, pairing } = member;
  const { prepare, ...work } = failoverWork(member, { choose: 'latest' });
  const ref = primaryRef(member);
  const atPrimary = { siteId: pairing.primary.siteId, epoch: vm.epoch + 1, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  // The failover of the VM begins with its shutting down, so that is where its promise changes.
  const { vm: mark, ...execute } = prepare;
  return {
    ...work,
    prepare: execute,
    lookAtPrimary: { ...atPrimary, kind: 'failover.admit', args: { vm: ref, role: 'primary' } },
    lookAtRecovery: {
      ...atPrimary,
      siteId: pairing.recovery.siteId,
      kind: 'failover.admit',
      args: { vm: recoveryRef(member), role: 'recovery' },
    },
    shutDown: { ...atPrimary, kind: 'failover.prepare', args: { vm: ref }, ...(mark && { vm: mark }) },
    bringBack: { ...atPrimary, kind: 'failover.unprepare', args: { vm: ref }, from: { isRunning: lookAtPrimaryOf(vm.id) } },
  };
}
