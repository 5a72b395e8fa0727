/**
 * The actions of a plan in one failover: those that its kind and direction ask for, each with the site that does it. What they
 * are about is worked out when the job is compiled, so that an agent can be handed the graph as it is.
 */
import type { ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import {
  type FailoverDirection,
  type FailoverKind,
  type PlanAction,
  runsIn,
  severalSites,
  splitPin,
} from '../../shared/domain/plan-actions.ts';
import { type Acting, type ActionWork, groupActionId, memberActionId } from '../../shared/domain/plan-compiler.ts';
import type { ActiveLocation } from '../../shared/domain/protected-vm.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { ScriptContext, WaitCondition } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import {
  type ActingParts,
  allVms,
  BEGIN_WITHIN_SECONDS,
  type ResolvedTarget,
  recordOf,
  type Side,
  sidesOf,
  type TargetVm,
} from './compile.ts';

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
  readonly place: string;
}

interface Run {
  readonly target: ResolvedTarget;
  readonly kind: FailoverKind;
  readonly moving: ReadonlySet<TargetVm>;
  readonly problems: Problem[];
}

/** Of members that take part; a group of which nobody does has no actions either. Throws ERR_DOCUMENT_INVALID for an action without one site. */
export function compileActions<M extends object>(
  target: ResolvedTarget,
  kind: FailoverKind,
  workOf: (member: TargetVm) => M,
): CompiledTarget<M> {
  const run: Run = { target, kind, moving: new Set(allVms(target)), problems: [] };
  const { groups: records = [], ...plan } = recordOf(target);
  const compiled = target.groups.map((group, index) => {
    const own = worksOf(group, { vms: group.vms, group: group.name, place: `groups[${index}]` }, run);
    const members = group.vms.map((vm) => ({ vm, works: worksOf(vm, { vms: [vm], group: group.name, place: vm.vm.name }, run) }));
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

function worksOf(parts: ActingParts, subject: Subject, run: Run) {
  const list = (when: 'before' | 'after') =>
    (parts[when] ?? [])
      .map((action, index) => ({ action, place: `${subject.place}.${when}[${index}]` }))
      .filter(({ action }) => subject.vms.some((vm) => runsIn(action, run.kind, directionOf(vm))))
      .flatMap(({ action, place }) => workOf(action, { ...subject, place }, run) ?? []);
  return { before: list('before'), after: list('after') };
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

function conditionOf(action: WaitAction, guest: Side, kind: FailoverKind): WaitCondition {
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
  const direction = first === undefined ? 'toRecovery' : directionOf(first);
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
function channelOf(
  { channel, primary, recovery }: Extract<PlanAction, { do: 'failOverChannel' }>,
  kind: FailoverKind,
  way: FailoverDirection,
) {
  const [from, to] = way === 'toRecovery' ? [primary, recovery] : [recovery, primary];
  return { name: channel, mode: kind === 'unplanned' ? ('forced' as const) : ('planned' as const), primary: from, secondary: to };
}

function guestSide(name: string | undefined, { vms: [first] }: Subject, run: Run): Side {
  const guest = name === undefined ? first : run.target.byWrittenName.get(name);
  if (guest === undefined) throw new FarshoreError('ERR_INTERNAL', `nobody is called ${name} in the plan`);
  return sideOf(guest, run);
}

/** The one site that does it; any of its VMs stands for it. */
function siteOf({ name, at }: SiteAction, { vms, place }: Subject, run: Run): Side | null {
  const sides = vms.map((vm) => (at === undefined ? sideOf(vm, run) : sideAt(vm, at)));
  const [side] = sides;
  const sites = new Set(sides.map(({ siteId }) => siteId));
  if (side !== undefined && sites.size === 1) return side;
  run.problems.push({ field: place, ...severalSites(name, sites.size) });
  return null;
}

function sideAt(member: TargetVm, at: ActiveLocation): Side {
  const { source, target } = sidesOf(member);
  return source.location === at ? source : target;
}

const directionOf = (member: TargetVm): FailoverDirection => (sidesOf(member).target.location === 'recovery' ? 'toRecovery' : 'toPrimary');

/** Where it comes up; whoever does not move is where it is. */
function sideOf(member: TargetVm, { moving }: Run): Side {
  return moving.has(member) ? sidesOf(member).target : sideAt(member, member.vm.activeLocation);
}
