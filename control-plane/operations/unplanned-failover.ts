/**
 * Unplanned failover: bring VMs up at the recovery site because the primary is dead or cut off. It needs recovery sites
 * only. Before anything starts it is on record why that is safe: the primary site is unreachable, which is checked, or a
 * person attests that its VMs are down.
 */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { compileFailover, type MemberWork } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { approvalOf } from './approval.ts';
import { chooseMembers, refuseUndecidedDrills } from './choose-members.ts';
import { allVms, type Compile, type CompilePorts, refuseUnlessConnected, resolveTarget, sidesOf, type TargetVm } from './compile.ts';
import { failoverWork, shutDownWork } from './failover-work.ts';
import type { Actor } from './operations.ts';
import { compileActions } from './plan-actions.ts';
import { IS_GONE, toldFrom } from './silence.ts';

export const compileUnplannedFailover: Compile<'unplannedFailover'> = async (request, actor, ports) => {
  const target = await resolveTarget(request.target, actor, ports.store);
  const approval = await approvalOf(target, request.emergency, actor, ports.store);
  const { chosen, skipped } = chooseMembers(target, 'unplannedFailover', request.direction);
  const members = allVms(chosen);
  refuseUndecidedDrills(members, request.drillCopies);
  const primarySites = new Set(members.map((member) => sidesOf(member).source.siteId));
  const recoverySites = new Set(members.map((member) => sidesOf(member).target.siteId));
  if (request.primary.evidence === 'unreachable') await refuseIfReachable(primarySites, recoverySites, actor, ports);
  await refuseUnlessConnected(recoverySites, actor, ports);
  const { groups, record } = compileActions(chosen, 'unplanned', (member) => memberWork(member, request, ports));
  return {
    target: target.title,
    input: {
      target: request.target,
      direction: request.direction,
      ...record,
      skipped,
      approval,
      commitWithinMinutes: target.plan?.document.commitWithinMinutes ?? null,
      primary: request.primary,
      outageAt: await lastSign(primarySites, actor, ports),
      recoveryPoint: request.recoveryPoint,
    },
    graph: compileFailover(groups),
    claims: members.map(({ vm }) => ({ id: vm.id, phases: operationPhases.unplannedFailover, epoch: vm.nextEpoch, drill: vm.drill })),
    newVms: [],
  };
};

/**
 * Nobody needs the site that is left. But where its agent is there, an attempt to shut the VM down costs little time, keeps its last
 * changes, and leaves no second copy that runs.
 */
function memberWork(
  member: TargetVm,
  { recoveryPoint, shutDownWithinSeconds: withinSeconds }: OperationRequestOf<'unplannedFailover'>,
  { presence }: CompilePorts,
): MemberWork<StepWork> {
  const isShutDownBefore = withinSeconds !== undefined && presence.isConnected(sidesOf(member).source.siteId);
  const work = failoverWork(member, recoveryPoint, { isShutDownBefore });
  return isShutDownBefore ? { ...work, shutDownFirst: { ...shutDownWork(member, withinSeconds), withinSeconds } } : work;
}

/**
 * Throws ERR_PRIMARY_REACHABLE naming the sites that still speak; a site that is both ends of a pairing is never "gone". Throws
 * ERR_PRIMARY_UNJUDGED while an agent has not been silent for long enough, or may still be on its way back to a control plane
 * that has just started.
 */
async function refuseIfReachable(
  sites: ReadonlySet<SiteId>,
  recovery: ReadonlySet<SiteId>,
  actor: Actor,
  ports: CompilePorts,
): Promise<void> {
  const judgedFrom = (site: SiteId) => (recovery.has(site) ? null : toldFrom(site, ports, IS_GONE));
  const reachable = [...sites].filter((site) => judgedFrom(site) === null);
  if (reachable.length > 0) {
    throw new FarshoreError('ERR_PRIMARY_REACHABLE', `${await namesOf(reachable, actor, ports)} can be reached, so its VMs may still run`);
  }
  const unjudged = [...sites].filter((site) => ports.clock.now() < (judgedFrom(site) ?? 0));
  if (unjudged.length === 0) return;
  const from = isoMoment(Math.max(...unjudged.map((site) => judgedFrom(site) ?? 0)));
  throw new FarshoreError('ERR_PRIMARY_UNJUDGED', `whether ${await namesOf(unjudged, actor, ports)} is gone can be told from ${from} on`);
}

async function namesOf(sites: readonly SiteId[], { vaultId }: Actor, { store }: CompilePorts): Promise<string> {
  return (await Promise.all(sites.map(async (id) => (await store.sites.find(vaultId, id))?.name ?? id))).join(', ');
}

/** When the last of the primary sites was last heard: from then on nothing is known to have been written. */
async function lastSign(sites: ReadonlySet<SiteId>, actor: Actor, { store, presence }: CompilePorts): Promise<number | null> {
  const moments = await Promise.all(
    [...sites].map(async (site) => presence.lastHeardAt(site) ?? (await store.sites.agentOf(actor.vaultId, site))?.lastSeenAt ?? null),
  );
  return moments.reduce((latest, at) => (latest === null || (at !== null && at > latest) ? at : latest), null);
}
