/**
 * Unplanned failover: bring VMs up at the recovery site because the primary is dead or cut off. It needs recovery sites
 * only. Before anything starts it is on record why that is safe: the primary site is unreachable, which is checked, or a
 * person attests that its VMs are down.
 */
import { compileFailover, type MemberWork } from '../../shared/domain/plan-compiler.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { RecoveryPointChoice } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { approvalOf } from './approval.ts';
import { chooseMembers, refuseUndecidedDrills } from './choose-members.ts';
import {
  allVms,
  BEGIN_WITHIN_SECONDS,
  type Compile,
  type CompilePorts,
  refuseUnlessConnected,
  resolveTarget,
  sidesOf,
  startArgs,
  type TargetVm,
} from './compile.ts';
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
  const shutDownOf = await shutDowns(request.shutDownWithinSeconds, members, actor, ports);
  const { groups, record } = compileActions(chosen, 'unplanned', (member) => ({
    ...failoverWork(member, request.recoveryPoint),
    ...shutDownOf(member),
  }));
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
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['protected'], epoch: vm.epoch + 1, drill: vm.drill })),
    newVms: [],
  };
};

/**
 * Nobody needs the site that is left. But where its agent is there and a VM was last seen running, an attempt to shut it down
 * costs little time, keeps its last changes, and leaves no second copy that runs.
 */
async function shutDowns(
  withinSeconds: number | undefined,
  members: readonly TargetVm[],
  { vaultId }: Actor,
  { store, presence }: CompilePorts,
): Promise<(member: TargetVm) => Pick<MemberWork<StepWork>, 'shutDownFirst'>> {
  if (withinSeconds === undefined) return () => ({});
  const seen = await store.observations.vms(vaultId, { vmIds: members.map(({ vm }) => vm.vmId) });
  const running = new Set(
    seen.filter(({ report }) => report.power === 'running').map(({ siteId, report: { ref } }) => `${siteId}/${ref.cloudId}/${ref.vmId}`),
  );
  return (member) => {
    const { siteId, ref } = sidesOf(member).source;
    if (!presence.isConnected(siteId) || !running.has(`${siteId}/${ref.cloudId}/${ref.vmId}`)) return {};
    const common = { siteId, epoch: member.vm.epoch + 1, beginWithinSeconds: withinSeconds };
    return {
      shutDownFirst: {
        work: { ...common, kind: 'failover.prepare', args: { vm: ref } },
        undo: { ...common, beginWithinSeconds: BEGIN_WITHIN_SECONDS, kind: 'failover.unprepare', args: { vm: ref, isRunning: true } },
        withinSeconds,
      },
    };
  };
}

/** How one VM comes up at the target, and is taken back as long as it has not been started. */
export function failoverWork(member: TargetVm, recoveryPoint: RecoveryPointChoice): MemberWork<StepWork> {
  const { vm, dependsOn } = member;
  const { siteId, ref } = sidesOf(member).target;
  const common = { siteId, epoch: vm.epoch + 1, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  return {
    vm: vm.id,
    name: vm.name,
    dependsOn,
    prepare: {
      ...common,
      kind: 'failover.execute',
      args: { vm: ref, recoveryPoint },
      vm: { id: vm.id, marks: { started: 'failoverStarted', undone: 'failoverUndone' } },
    },
    takeBack: { ...common, kind: 'failover.cancel', args: { vm: ref } },
    start: {
      ...common,
      kind: 'vm.start',
      args: startArgs(member, ref),
      // Whoever skips the start has taken the VM into their own hands there.
      vm: { id: vm.id, marks: { done: 'replicaStarted', skipped: 'replicaStarted' } },
    },
  };
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
