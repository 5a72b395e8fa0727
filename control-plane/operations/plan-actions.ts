/**
 * The actions of a plan in one run: those that its kind and direction ask for, each with the site that does it. What they
 * are about is worked out when the job is compiled, so that an agent can be handed the graph as it is.
 */
import type { ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import {
  ACTION_PLACES,
  type ActionPlace,
  actionsOf,
  type FailoverDirection,
  locationIn,
  type PlanActing,
  type PlanAction,
  type RunKind,
  runsIn,
  severalSites,
  splitPin,
} from '../../shared/domain/plan-actions.ts';
import { type Acting, type ActionWork, groupActionId, memberActionId } from '../../shared/domain/plan-compiler.ts';
import type { ActiveLocation } from '../../shared/domain/protected-vm.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { ScriptContext, WaitCondition } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { allVms, BEGIN_WITHIN_SECONDS, type ResolvedTarget, recordOf, type Side, sidesOf, type TargetVm } from './compile.ts';

type SiteAction = Extract<PlanAction, { at?: unknown }>;
type ScriptAction = Extract<PlanAction, { script: string }>;
type WaitAction = Exclude<PlanAction, { do: 'ask' } | { script: string }>;
type TargetRecord = Pick<JobInput, 'planName' | 'planVersion' | 'groups'>;

export interface CompiledTarget<M> {
  readonly groups: readonly (Acting<StepWork> & { readonly name: string; readonly members: readonly (M & Acting<StepWork>)[] })[];
  /** As `recordOf`, with the actions. */
  readonly record: TargetRecord;
}

/** What the actions of one list are about. */
interface Subject {
  readonly vms: readonly TargetVm[];
  readonly group: string;
  /** For problems. */
  readonly name: string;
  readonly place: ActionPlace;
}

interface Run {
  readonly target: ResolvedTarget;
  readonly kind: RunKind;
  readonly moving: ReadonlySet<TargetVm>;
  readonly problems: Problem[];
}

/** Of members that take part; a group of which nobody does has no actions either. Throws ERR_DOCUMENT_INVALID for an action without one site. */
export function compileActions<M extends object>(
  target: ResolvedTarget,
  kind: RunKind,
  workOf: (member: TargetVm) => M,
): CompiledTarget<M> {
  const run: Run = { target, kind, moving: new Set(allVms(target)), problems: [] };
  const { groups: records = [], ...plan } = recordOf(target);
  const compiled = target.groups.map((group, index) => {
    const own = worksOf(group, { vms: group.vms, group: group.name, name: `groups[${index}]` }, run);
    const members = group.vms.map((vm) => ({ vm, works: worksOf(vm, { vms: [vm], group: group.name, name: vm.vm.name }, run) }));
    const actions = [
      ...ACTION_PLACES.flatMap((place) => own[place].map((work, at) => record(groupActionId(index, place, at), work, place))),
      ...members.flatMap(({ vm: { vm }, works }) =>
        ACTION_PLACES.flatMap((place) => works[place].map((work, at) => record(memberActionId(vm.id, place, at), work, place, vm.name))),
      ),
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

function record(step: ActionRecord['step'], { name, onFailure }: ActionWork<StepWork>, when: ActionPlace, member?: string): ActionRecord {
  return { step, name, when, onFailure, ...(member !== undefined && { member }) };
}

function worksOf(parts: PlanActing, subject: Omit<Subject, 'place'>, run: Run): Record<ActionPlace, ActionWork<StepWork>[]> {
  const works: Record<ActionPlace, ActionWork<StepWork>[]> = { beforeShutDown: [], before: [], after: [] };
  for (const { action, place, index } of actionsOf(parts)) {
    if (!subject.vms.some((vm) => runsIn(action, run.kind, directionOf(vm, run.kind)))) continue;
    const work = workOf(action, { ...subject, name: `${subject.name}.${place}[${index}]`, place }, run);
    if (work !== null) works[place].push(work);
  }
  return works;
}

function workOf(action: PlanAction, subject: Subject, run: Run): ActionWork<StepWork> | null {
  const { name, onFailure, delaySeconds } = action;
  const head = { name, onFailure, ...(delaySeconds > 0 && { delaySeconds }) };
  if (action.do === 'ask') return { ...head, asks: action.instruction };
  const at = action.do === 'waitForGuest' ? guestSide(action.vm, subject, run) : siteOf(action, subject, run);
  if (at === null) return null;
  const common = { siteId: at.siteId, epoch: 0, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const { withinSeconds } = action;
  if ('script' in action) {
    const args = { ...splitPin(action.script), context: contextOf(action, at.location, subject, run), withinSeconds };
    return { ...head, work: { ...common, kind: 'script.run', args } };
  }
  return {
    ...head,
    looksOnly: true,
    work: { ...common, kind: 'wait.until', args: { condition: conditionOf(action, at, run.kind), withinSeconds } },
  };
}

function conditionOf(action: WaitAction, guest: Side, kind: RunKind): WaitCondition {
  switch (action.do) {
    case 'waitForTcp':
      return { kind: 'tcp', host: action.host, port: action.port };
    case 'waitForHttp':
      return { kind: 'http', url: action.url, status: action.status };
    case 'waitForGuest':
      return { kind: 'guest', guest: guest.ref, ...(kind === 'test' && { isTestCopy: true as const }) };
  }
}

function contextOf(action: ScriptAction, location: ActiveLocation, { vms, group }: Subject, { target, kind }: Run): ScriptContext {
  const [first] = vms;
  const direction = first === undefined ? 'toRecovery' : directionOf(first, kind);
  return {
    plan: target.plan && { name: target.plan.name, version: target.plan.version },
    kind,
    direction,
    group,
    action: action.name,
    location,
    vms: vms.map((member) => ({ id: member.vm.id, ref: sideAt(member, location).ref })),
    ...(action.parameters !== undefined && { parameters: action.parameters }),
    ...(action.do === 'failOverChannel' && { channel: channelOf(action, kind, direction) }),
  };
}

/** The primary that an unplanned failover leaves cannot be asked, so its last changes may be lost. */
function channelOf({ channel, primary, recovery }: Extract<PlanAction, { do: 'failOverChannel' }>, kind: RunKind, way: FailoverDirection) {
  const [from, to] = way === 'toRecovery' ? [primary, recovery] : [recovery, primary];
  return { name: channel, mode: kind === 'unplanned' ? ('forced' as const) : ('planned' as const), primary: from, secondary: to };
}

function guestSide(name: string | undefined, { vms: [first], place }: Subject, run: Run): Side {
  const guest = name === undefined ? first : run.target.byWrittenName.get(name);
  if (guest === undefined) throw new FarshoreError('ERR_INTERNAL', `nobody is called ${name} in the plan`);
  return sideOf(guest, place, run);
}

/** The one site that does it; any of its VMs stands for it. */
function siteOf({ name, at }: SiteAction, { vms, name: field, place }: Subject, run: Run): Side | null {
  const sides = vms.map((vm) => (at === undefined ? sideOf(vm, place, run) : sideAt(vm, at)));
  const [side] = sides;
  const sites = new Set(sides.map(({ siteId }) => siteId));
  if (side !== undefined && sites.size === 1) return side;
  run.problems.push({ field, ...severalSites(name, sites.size) });
  return null;
}

function sideAt(member: TargetVm, at: ActiveLocation): Side {
  const { source, target } = sidesOf(member);
  return source.location === at ? source : target;
}

/** Where a VM comes up: a take back leads to the source of its replication, everything else to the target. */
function directionOf(member: TargetVm, kind: RunKind): FailoverDirection {
  const { source, target } = sidesOf(member);
  return (kind === 'takeBack' ? source : target).location === 'recovery' ? 'toRecovery' : 'toPrimary';
}

/** Where it is when the action runs; whoever does not move is where it is. */
function sideOf(member: TargetVm, place: ActionPlace, { kind, moving }: Run): Side {
  return sideAt(member, moving.has(member) ? locationIn(kind, directionOf(member, kind), place) : member.vm.activeLocation);
}
