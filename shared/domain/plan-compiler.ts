/**
 * Turns groups of members into a graph of steps. Pure, and blind to what a step does: the operation says which work brings
 * a member up in two parts, one that starts nothing (`prepare`) and one that does (`start`), and what its actions do.
 *
 * All members are prepared at once, since that disturbs nobody; they are started group by group. A group starts when
 * every member of the one before has settled, so a member that failed does not hold up the others. Only those that depend
 * on it are held up: a member starts after the ones it depends on have started well.
 *
 * Actions of one list run one after the other. Those of a group hold up all that comes after them in the plan, and are done for its
 * members: when none is left, they are not needed. Those of a member are a part of its own way, so they hold up the member and
 * whoever depends on it. Actions before a shut-down go the other way round, and are there only where guests are shut down by us.
 */
import type { Graph, Step } from '../engine/graph.ts';
import { type ProtectedVmId, StepId } from '../ids.ts';
import { ACTION_PLACES, type ActionPlace } from './plan-actions.ts';

/** An action: `work` for a site, or `asks` for a person. */
export type ActionWork<Work> = Pick<Step<Work>, 'work' | 'asks' | 'looksOnly' | 'delaySeconds'> & {
  readonly name: string;
  readonly onFailure: 'stop' | 'continue';
};

export type Acting<Work> = { readonly [P in ActionPlace]?: readonly ActionWork<Work>[] };

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

export const stepOf = (part: string, vm: string): StepId => StepId.parse(`${part}/${vm}`);

/** The step that looks at the source; its result tells whether the VM ran. */
export const lookAtSourceOf = (vm: string): StepId => stepOf('look/source', vm);

/** Places count from 0, in the plan and in the list of actions. */
export const groupActionId = (group: number, place: ActionPlace, index: number): StepId =>
  StepId.parse(`action/${groupName(group)}/${place}-${index + 1}`);
export const memberActionId = (vm: string, place: ActionPlace, index: number): StepId => stepOf(`action/${place}-${index + 1}`, vm);

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
  stepsOf: (member: Member, turn: Before, ends: Ends) => Step<Work>[],
): Graph<Work> {
  const steps: Step<Work>[] = [];
  const ends = new Map(groups.flatMap(({ members }) => members.map((member) => [member.vm, endOf(member)] as const)));
  let gate: StepId[] = [];
  /** The last action of a group so far: whatever comes later in the plan needs it. */
  let needs: StepId[] = [];
  const add = (some: readonly Step<Work>[]) => {
    steps.push(...some);
    needs = lastOf(some, needs);
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
  return { ...groupsOf(groups), steps };
}

/** Who is left of them tells whether the actions of a group are needed. */
function groupsOf(groups: Groups<unknown, ActingMember<unknown>>): Pick<Graph<unknown>, 'groups'> {
  const acting = groups.flatMap((group, index) =>
    ACTION_PLACES.some((place) => (group[place] ?? []).length > 0) ? [[groupName(index), group.members.map(({ vm }) => vm)] as const] : [],
  );
  return acting.length > 0 ? { groups: Object.fromEntries(acting) } : {};
}

const groupName = (index: number): string => `group-${index + 1}`;

export type ActingMember<Work> = Acting<Work> & { readonly vm: ProtectedVmId };

const actionIds = ({ vm, ...member }: ActingMember<unknown>, place: ActionPlace): StepId[] =>
  (member[place] ?? []).map((_action, index) => memberActionId(vm, place, index));

/** By member, the step that ends its way. */
export type Ends = ReadonlyMap<ProtectedVmId, StepId>;

/** What a member that depends on others waits for; those who are not part of the run hold nobody up. */
export const endsNeeded = ({ dependsOn = [] }: { readonly dependsOn?: readonly ProtectedVmId[] }, ends: Ends): StepId[] =>
  dependsOn.flatMap((other) => ends.get(other) ?? []);

/** When it is done the member serves: whoever depends on the member needs it. */
const endOf = (member: ActingMember<unknown>): StepId => actionIds(member, 'after').at(-1) ?? stepOf('start', member.vm);

function memberSteps<Work>(member: MemberWork<Work>, turn: Before, ends: Ends): Step<Work>[] {
  const { vm, name } = member;
  const [failover, start] = [stepOf('failover', vm), stepOf('start', vm)];
  const base = { scope: vm, attempts: ATTEMPTS };
  const needs = [failover, ...turn.needs, ...endsNeeded(member, ends)];
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
    ...withActions(member, { ...base, id: start, title: `start ${name}`, work: member.start, pivot: true, needs, after: turn.after }),
  ];
}

function shutDownSteps<Work>({ vm, name, shutDownFirst }: MemberWork<Work>): Step<Work>[] {
  if (shutDownFirst === undefined) return [];
  const { look, work, undo, withinSeconds } = shutDownFirst;
  // Both may take so long: a line that was cut for a moment must not cost the last changes.
  const base = { after: [], scope: vm, attempts: ATTEMPTS, aside: 'continue', limitSeconds: withinSeconds } as const;
  const [looked, shutDown] = [lookAtSourceOf(vm), stepOf('shut-down', vm)];
  return [
    { ...base, id: looked, title: `look whether ${name} still runs`, work: look, looksOnly: true, needs: [] },
    { ...base, id: shutDown, title: `shut ${name} down where it still runs`, work, undo, needs: [looked] },
  ];
}

/** The start of a member between its actions. */
export function withActions<Work>(member: ActingMember<Work>, start: Step<Work>): Step<Work>[] {
  const before = memberActions(member, 'before', start);
  return [
    ...before,
    { ...start, needs: [...start.needs, ...lastOf(before, [])] },
    ...memberActions(member, 'after', { needs: [start.id], after: [] }),
  ];
}

/** What a member's going off waits for, behind its own actions. */
export function beforeShutDown<Work>(member: ActingMember<Work>, first: Before): { readonly steps: Step<Work>[] } & Before {
  const steps = memberActions(member, 'beforeShutDown', first);
  return { steps, needs: [...first.needs, ...lastOf(steps, [])], after: first.after };
}

/** Those of groups come before any member goes off, the last group first. */
export function groupsBeforeShutDown<Work>(groups: readonly Acting<Work>[], first: Before): Step<Work>[] {
  let before = first;
  return [...groups.entries()].toReversed().flatMap(([index, group]) => {
    const own = groupActions(group, index, 'beforeShutDown', before);
    before = own.length > 0 ? { needs: lastOf(own, []), after: [] } : before;
    return own;
  });
}

/** The last of a chain; where it is empty, those before it. */
export const lastOf = (chain: readonly Step<unknown>[], before: readonly StepId[]): StepId[] =>
  chain.length > 0 ? chain.slice(-1).map(({ id }) => id) : [...before];

/** They belong to the way of the member, and have its scope. */
function memberActions<Work>(member: ActingMember<Work>, place: ActionPlace, { needs, after }: Before): Step<Work>[] {
  return chain(member[place] ?? [], actionIds(member, place), { needs, after }, { scope: member.vm });
}

/** Each has a scope of its own: nothing that it did is undone with anything else. */
function groupActions<Work>(group: Acting<Work>, index: number, place: ActionPlace, first: Before): Step<Work>[] {
  const actions = group[place] ?? [];
  const ids = actions.map((_action, at) => groupActionId(index, place, at));
  return chain(actions, ids, first, { forGroup: groupName(index) });
}

function chain<Work>(
  actions: readonly ActionWork<Work>[],
  ids: readonly StepId[],
  first: Before,
  of: Pick<Step<Work>, 'scope'> | Pick<Step<Work>, 'forGroup'>,
): Step<Work>[] {
  let before = first;
  return actions.flatMap(({ name, onFailure, ...does }, index) => {
    const id = ids[index];
    if (id === undefined) return [];
    const step: Step<Work> = { ...does, id, title: name, ...before, scope: id, ...of, aside: onFailure };
    before = { needs: [id], after: [] };
    return [step];
  });
}
