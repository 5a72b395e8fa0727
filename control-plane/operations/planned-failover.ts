/**
 * Planned failover: both sites are there, and nothing is lost. Guests are shut down where they run, the last changes are sent,
 * the VMs start at the other side. Until the first of them starts there, one that fails takes all of them back.
 */
import { compilePlannedFailover as compileGraph, type PlannedWork } from '../../shared/domain/planned-failover-graph.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { approvalOf } from './approval.ts';
import { chooseMembers, refuseUndecidedDrills } from './choose-members.ts';
import { allVms, type Compile, refuseUnlessConnected, resolveTarget, sidesOf, type TargetVm } from './compile.ts';
import { failoverWork, shutDownWork } from './failover-work.ts';
import { compileActions } from './plan-actions.ts';

export const compilePlannedFailover: Compile<'plannedFailover'> = async (request, actor, ports) => {
  const target = await resolveTarget(request.target, actor, ports.store);
  const approval = await approvalOf(target, request.emergency, actor, ports.store);
  const { chosen, skipped } = chooseMembers(target, 'plannedFailover', request.direction);
  const members = allVms(chosen);
  refuseUndecidedDrills(members, request.drillCopies);
  await refuseUnlessConnected(
    members.flatMap((member) => [sidesOf(member).source.siteId, sidesOf(member).target.siteId]),
    actor,
    ports,
  );
  const { groups, record } = compileActions(chosen, 'planned', plannedWork);
  return {
    target: target.title,
    input: {
      target: request.target,
      direction: request.direction,
      ...record,
      skipped,
      approval,
      commitWithinMinutes: target.plan?.document.commitWithinMinutes ?? null,
      reason: request.reason,
    },
    graph: compileGraph(
      groups,
      request.direction === 'toRecovery' ? { source: 'primary', target: 'recovery' } : { source: 'recovery', target: 'primary' },
    ),
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.plannedFailover, epoch: vm.nextEpoch, drill: vm.drill })),
    newVms: [],
  };
};

function plannedWork(member: TargetVm): PlannedWork<StepWork> {
  const { target } = sidesOf(member);
  const { look, work: shutDown, undo: bringBack } = shutDownWork(member);
  const { siteId, ref } = target;
  return {
    ...failoverWork(member, { choose: 'latest' }, { isShutDownBefore: true }),
    lookAtSource: look,
    lookAtTarget: { ...look, siteId, kind: 'failover.admit', args: { vm: ref, role: 'replica' } },
    shutDown,
    bringBack,
  };
}
