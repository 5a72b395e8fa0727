/**
 * The actions of a plan in one failover: those that its kind and direction ask for, each with the site that does it. What they
 * are about is worked out when the job is compiled, so that an agent can be handed the graph as it is.
 */
import type { ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import { type FailoverDirection, type FailoverKind, type PlanAction, runsIn, severalSites } from '../../shared/domain/plan-actions.ts';
import { type ActionWork, type CompiledGroup, groupActionId, type MemberWork, memberActionId } from '../../shared/domain/plan-compiler.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { SiteId } from '../../shared/ids.ts';
import type { WaitCondition } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { type ActingParts, allVms, type ResolvedTarget, recordOf, type Side, sidesOf, type TargetVm } from './compile.ts';

/** Time to get the command to the agent and to its turn there. */
const BEGIN_WITHIN_SECONDS = 3600;

type TargetRecord = Pick<JobInput, 'planName' | 'planVersion' | 'groups'>;

export interface CompiledTarget<M extends MemberWork<StepWork>> {
  readonly groups: readonly (CompiledGroup<StepWork> & { readonly members: readonly M[] })[];
  /** As `recordOf`, with the actions. */
  readonly record: TargetRecord;
}

interface Run {
  readonly target: ResolvedTarget;
  readonly kind: FailoverKind;
  readonly moving: ReadonlySet<TargetVm>;
  readonly problems: Problem[];
}

/** Of members that take part; a group of which nobody does has no actions either. Throws ERR_DOCUMENT_INVALID for an action without one site. */
export function compileActions<M extends MemberWork<StepWork>>(
  target: ResolvedTarget,
  kind: FailoverKind,
  workOf: (member: TargetVm) => M,
): CompiledTarget<M> {
  const run: Run = { target, kind, moving: new Set(allVms(target)), problems: [] };
  const { groups: records = [], ...plan } = recordOf(target);
  const compiled = target.groups.map((group, index) => {
    const own = worksOf(group, group.vms, `groups[${index}]`, run);
    const members = group.vms.map((vm) => ({ vm, works: worksOf(vm, [vm], vm.vm.name, run) }));
    const actions = [
      ...own.before.map((work, at) => record(groupActionId(index, 'before', at), work, 'before')),
      ...members.flatMap(({ vm: { vm }, works }) =>
        (['before', 'after'] as const).flatMap((when) =>
          works[when].map((work, at) => record(memberActionId(vm.id, when, at), work, when, vm.name)),
        ),
      ),
      ...own.after.map((work, at) => record(groupActionId(index, 'after', at), work, 'after')),
    ];
    return {
      group: { name: group.name, ...own, members: members.map(({ vm, works }) => ({ ...workOf(vm), ...works })) },
      record: { name: group.name, members: records[index]?.members ?? [], ...(actions.length > 0 && { actions }) },
    };
  });
  if (run.problems.length > 0)
    throw new FarshoreError('ERR_DOCUMENT_INVALID', 'the plan has actions without one site to do them', { problems: run.problems });
  return { groups: compiled.map(({ group }) => group), record: { ...plan, groups: compiled.map(({ record: of }) => of) } };
}

function record(step: ActionRecord['step'], { name, onFailure }: ActionWork<StepWork>, when: ActionRecord['when'], member?: string) {
  return { step, name, when, onFailure, ...(member !== undefined && { member }) };
}

function worksOf(parts: ActingParts, vms: readonly TargetVm[], place: string, run: Run) {
  const list = (when: 'before' | 'after') =>
    (parts[when] ?? [])
      .map((action, index) => ({ action, place: `${place}.${when}[${index}]` }))
      .filter(({ action }) => vms.some((vm) => runsIn(action, run.kind, directionOf(vm))))
      .flatMap((found) => workOf(found.action, vms, found.place, run) ?? []);
  return { before: list('before'), after: list('after') };
}

function workOf(action: PlanAction, vms: readonly TargetVm[], place: string, run: Run): ActionWork<StepWork> | null {
  const { name, onFailure, delaySeconds } = action;
  const head = { name, onFailure, ...(delaySeconds > 0 && { delaySeconds }) };
  if (action.do === 'ask') return { ...head, asks: action.instruction };
  const guest = action.do === 'waitForGuest' ? (action.vm === undefined ? vms[0] : run.target.byWrittenName.get(action.vm)) : undefined;
  const siteId = guest === undefined ? siteOf(action, vms, place, run) : sideOf(guest, run).siteId;
  if (siteId === null) return null;
  const condition = conditionOf(action, guest, run);
  const args = { condition, withinSeconds: action.withinSeconds };
  return { ...head, looksOnly: true, work: { siteId, epoch: 0, beginWithinSeconds: BEGIN_WITHIN_SECONDS, kind: 'wait.until', args } };
}

function conditionOf(action: Exclude<PlanAction, { do: 'ask' }>, guest: TargetVm | undefined, run: Run): WaitCondition {
  switch (action.do) {
    case 'waitForTcp':
      return { kind: 'tcp', host: action.host, port: action.port };
    case 'waitForHttp':
      return { kind: 'http', url: action.url, status: action.status };
    case 'waitForGuest':
      if (guest === undefined) throw new FarshoreError('ERR_INTERNAL', `nobody is called ${action.vm} in the plan`);
      return { kind: 'guest', guest: sideOf(guest, run).ref };
  }
}

function siteOf(action: PlanAction, vms: readonly TargetVm[], place: string, run: Run): SiteId | null {
  const at = 'at' in action ? action.at : undefined;
  const sites = new Set(vms.map((vm) => (at === undefined ? sideOf(vm, run) : vm.pairing[at]).siteId));
  const [site] = sites;
  if (site !== undefined && sites.size === 1) return site;
  run.problems.push({ field: place, ...severalSites(action.name, sites.size) });
  return null;
}

const directionOf = (member: TargetVm): FailoverDirection => (sidesOf(member).target.location === 'recovery' ? 'toRecovery' : 'toPrimary');

/** Where it comes up; whoever does not move is where it is. */
function sideOf(member: TargetVm, { moving }: Run): Side {
  const { source, target } = sidesOf(member);
  if (moving.has(member)) return target;
  return source.location === member.vm.activeLocation ? source : target;
}
