/**
 * Turns groups of members into a graph of steps. Pure, and blind to what a step does: the operation says which work brings
 * a member up in two parts, one that starts nothing (`prepare`) and one that does (`start`), and what its actions do.
 *
 * All members are prepared at once, since that disturbs nobody; they are started group by group. A group starts when
 * every member of the one before has settled, so a member that failed does not hold up the others. Only those that depend
 * on it are held up: a member starts after the ones it depends on have started well.
 *
 * Actions of one list run one after the other. Those of a group hold up all that comes after them in the plan; those of a
 * member are a part of its own way, so they hold up the member and whoever depends on it.
 */
import type { Graph, Step } from '../engine/graph.ts';
import { type ProtectedVmId, StepId } from '../ids.ts';

/** An action: `work` for a site, or `asks` for a person. */
export type ActionWork<Work> = Pick<Step<Work>, 'work' | 'asks' | 'looksOnly' | 'delaySeconds'> & {
  readonly name: string;
  readonly onFailure: 'stop' | 'continue';
};

export interface Acting<Work> {
  readonly before?: readonly ActionWork<Work>[];
  readonly after?: readonly ActionWork<Work>[];
}

export interface MemberWork<Work> extends Acting<Work> {
  readonly vm: ProtectedVmId;
  readonly name: string;
  readonly prepare: Work;
  readonly takeBack: Work;
  readonly start: Work;
  /** Tried first where it is left, for so long, after a look; it is never needed. Its undo lets it run there again. */
  readonly shutDownFirst?: { readonly look: Work; readonly work: Work; readonly undo: Work; readonly withinSeconds: number };
  /** Those who are not part of the run hold nobody up: another run has moved them already. */
  readonly dependsOn?: readonly ProtectedVmId[];
}

export interface CompiledGroup<Work> extends Acting<Work> {
  readonly name: string;
  readonly members: readonly MemberWork<Work>[];
}

/** How often a step is tried while its failure may pass by itself. */
const ATTEMPTS = 3;
/** A look costs seconds: a site that takes longer is not waited for. */
const LOOK_WITHIN_SECONDS = 10;

export const stepOf = (part: string, vm: string): StepId => StepId.parse(`${part}/${vm}`);

/** The step that looks at the source; its result tells whether the VM ran. */
export const lookAtSourceOf = (vm: string): StepId => stepOf('look/source', vm);

/** Places count from 0, in the plan and in the list of actions. */
export const groupActionId = (group: number, when: 'before' | 'after', index: number): StepId =>
  StepId.parse(`action/group-${group + 1}/${when}-${index + 1}`);
export const memberActionId = (vm: string, when: 'before' | 'after', index: number): StepId => stepOf(`action/${when}-${index + 1}`, vm);

/** What has to come before: done, or only settled. */
export type Before = Pick<Step<unknown>, 'needs' | 'after'>;

export function compileFailover<Work>(groups: readonly CompiledGroup<Work>[]): Graph<Work> {
  return compileGroups(groups, (vm) => stepOf('failover', vm), memberSteps);
}

type Groups<Work, Member> = readonly (Acting<Work> & { readonly name: string; readonly members: readonly Member[] })[];

/** Group after group, with their actions. `preparedBy` names the step of a member that the first actions of its group wait for. */
export function compileGroups<Work, Member extends ActingMember<Work>>(
  groups: Groups<Work, Member>,
  preparedBy: (vm: ProtectedVmId) => StepId,
  stepsOf: (member: Member, turn: Before, ends: ReadonlyMap<ProtectedVmId, StepId>) => Step<Work>[],
): Graph<Work> {
  const steps: Step<Work>[] = [];
  const ends = new Map(groups.flatMap(({ members }) => members.map((member) => [member.vm, endOf(member)] as const)));
  let gate: StepId[] = [];
  /** The last action of a group so far: whatever comes later in the plan needs it. */
  let needs: StepId[] = [];
  const add = (some: readonly Step<Work>[]) => {
    steps.push(...some);
    needs = some.length > 0 ? some.slice(-1).map(({ id }) => id) : needs;
  };
  groups.forEach((group, index) => {
    const prepared = group.members.map(({ vm }) => preparedBy(vm));
    add(groupActions(group, index, 'before', { needs, after: [...gate, ...prepared] }));
    for (const member of group.members) steps.push(...stepsOf(member, { needs, after: gate }, ends));
    const id = StepId.parse(`group/${index + 1}`);
    const after = group.members.flatMap((member) => [stepOf('start', member.vm), ...actionIds(member, 'after')]);
    // Without the gate before it, a group whose members are all skipped would open the way for the next.
    steps.push({ id, title: `group ${group.name} has started`, needs: [], after: [...gate, ...after], scope: id });
    gate = [id];
    add(groupActions(group, index, 'after', { needs, after: gate }));
  });
  return { steps };
}

type ActingMember<Work> = Acting<Work> & { readonly vm: ProtectedVmId };

export const actionIds = ({ vm, ...member }: ActingMember<unknown>, when: 'before' | 'after'): StepId[] =>
  (member[when] ?? []).map((_action, index) => memberActionId(vm, when, index));

/** When it is done the member serves: whoever depends on the member needs it. */
export const endOf = (member: ActingMember<unknown>): StepId => actionIds(member, 'after').at(-1) ?? stepOf('start', member.vm);

function memberSteps<Work>(member: MemberWork<Work>, turn: Before, ends: ReadonlyMap<ProtectedVmId, StepId>): Step<Work>[] {
  const { vm, name } = member;
  const [failover, start] = [stepOf('failover', vm), stepOf('start', vm)];
  const base = { scope: vm, attempts: ATTEMPTS };
  const needs = [failover, ...turn.needs, ...(member.dependsOn ?? []).flatMap((other) => ends.get(other) ?? [])];
  const before = memberActions(member, 'before', { needs, after: turn.after });
  const ready = before.slice(-1).map(({ id }) => id);
  const first = shutDownSteps(member);
  return [
    ...first,
    {
      ...base,
      id: failover,
      title: `fail over ${name}`,
      work: member.prepare,
      undo: member.takeBack,
      needs: [],
      after: first.map(({ id }) => id),
    },
    ...before,
    { ...base, id: start, title: `start ${name}`, work: member.start, pivot: true, needs: [...needs, ...ready], after: turn.after },
    ...memberActions(member, 'after', { needs: [start], after: [] }),
  ];
}

function shutDownSteps<Work>({ vm, name, shutDownFirst }: MemberWork<Work>): Step<Work>[] {
  if (shutDownFirst === undefined) return [];
  const { look, work, undo, withinSeconds } = shutDownFirst;
  const base = { after: [], scope: vm, attempts: ATTEMPTS, aside: 'continue' } as const;
  const [looked, shutDown] = [lookAtSourceOf(vm), stepOf('shut-down', vm)];
  return [
    {
      ...base,
      id: looked,
      title: `look whether ${name} still runs`,
      work: look,
      looksOnly: true,
      needs: [],
      limitSeconds: LOOK_WITHIN_SECONDS,
    },
    { ...base, id: shutDown, title: `shut ${name} down where it still runs`, work, undo, needs: [looked], limitSeconds: withinSeconds },
  ];
}

/** They belong to the way of the member, and have its scope. */
export function memberActions<Work>(member: ActingMember<Work>, when: 'before' | 'after', first: Before): Step<Work>[] {
  return chain(member[when] ?? [], actionIds(member, when), first, member.vm);
}

/** Each has a scope of its own: nothing that it did is undone with anything else. */
export function groupActions<Work>(group: Acting<Work>, index: number, when: 'before' | 'after', first: Before): Step<Work>[] {
  const actions = group[when] ?? [];
  const ids = actions.map((_action, place) => groupActionId(index, when, place));
  return chain(actions, ids, first, null);
}

function chain<Work>(actions: readonly ActionWork<Work>[], ids: readonly StepId[], first: Before, scope: string | null): Step<Work>[] {
  let before = first;
  return actions.flatMap(({ name, onFailure, ...does }, index) => {
    const id = ids[index];
    if (id === undefined) return [];
    const step: Step<Work> = { ...does, id, title: name, ...before, scope: scope ?? id, aside: onFailure };
    before = { needs: [id], after: [] };
    return [step];
  });
}
