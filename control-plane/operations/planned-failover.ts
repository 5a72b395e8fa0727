/**
 * Planned failover: both sites are there, and nothing is lost. Guests are shut down where they run, the last changes are sent,
 * the VMs start at the other side. Until the first of them starts there, one that fails takes all of them back.
 */
import { compilePlannedFailover as compileGraph, lookAtSourceOf, type PlannedWork } from '../../shared/domain/planned-failover-graph.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { approvalOf } from './approval.ts';
import { chooseMembers, refuseUndecidedDrills } from './choose-members.ts';
import { allVms, BEGIN_WITHIN_SECONDS, type Compile, refuseUnlessConnected, resolveTarget, sidesOf, type TargetVm } from './compile.ts';
import { compileActions } from './plan-actions.ts';
import { failoverWork } from './unplanned-failover.ts';

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
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['protected'], epoch: vm.epoch + 1, drill: vm.drill })),
    newVms: [],
  };
};

function plannedWork(member: TargetVm): PlannedWork<StepWork> {
  const { vm } = member;
  const { source, target } = sidesOf(member);
  const { prepare, ...work } = failoverWork(member, { choose: 'latest' });
  const atSource = { siteId: source.siteId, epoch: vm.epoch + 1, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  // The failover of the VM begins with its shutting down, so that is where its promise changes.
  const { vm: mark, ...execute } = prepare;
  return {
    ...work,
    prepare: execute,
    lookAtSource: { ...atSource, kind: 'failover.admit', args: { vm: source.ref, role: 'primary' } },
    lookAtTarget: {
      ...atSource,
      siteId: target.siteId,
      kind: 'failover.admit',
      args: { vm: target.ref, role: 'replica' },
    },
    shutDown: { ...atSource, kind: 'failover.prepare', args: { vm: source.ref }, ...(mark && { vm: mark }) },
    bringBack: { ...atSource, kind: 'failover.unprepare', args: { vm: source.ref }, from: { isRunning: lookAtSourceOf(vm.id) } },
  };
}
