/**
 * A failover with its primary at hand: what `compileFailover` makes, with the shutting down put before it. Pure. Nobody is
 * shut down before all have been looked at and the actions of groups that come first are done, guests go down in the reverse order of their start, and none starts at the other
 * side before every member has moved; until then all members fall together, so an application is never left in two halves.
 */
import { type Graph, isGate, type Step } from '../engine/graph.ts';
import { StepId } from '../ids.ts';
import {
  type Before,
  beforeShutDown,
  type CompiledGroup,
  compileFailover,
  groupsBeforeShutDown,
  lastOf,
  lookAtSourceOf,
  type MemberWork,
  stepOf,
} from './plan-compiler.ts';

interface Ends {
  readonly source: string;
  readonly target: string;
}

/** `looks` change nothing; `shutDown` and its undo are for the source. */
export interface PlannedWork<Work> extends MemberWork<Work> {
  readonly lookAtSource: Work;
  readonly lookAtTarget: Work;
  readonly shutDown: Work;
  readonly bringBack: Work;
}

export interface PlannedGroup<Work> extends CompiledGroup<Work> {
  readonly members: readonly PlannedWork<Work>[];
}

const ATTEMPTS = 3;
const LOOKED = StepId.parse('group/all-looked-at');
const MOVED = StepId.parse('group/all-moved');

/** `ends` are the sites in words, for the titles. */
export function compilePlannedFailover<Work>(groups: readonly PlannedGroup<Work>[], ends: Ends): Graph<Work> {
  const members = groups.flatMap((group) => group.members);
  const { steps, ...graph } = compileFailover(groups);
  const byId = new Map(steps.map((step) => [step.id, step]));
  const goesDownAfter = dependants(members, byId);
  return {
    ...graph,
    together: true,
    steps: [
      ...members.flatMap((member) => looks(member, ends)),
      gate(
        LOOKED,
        'every member has been looked at',
        members.flatMap(({ vm }) => [lookAtSourceOf(vm), stepOf('look/target', vm)]),
      ),
      ...shutDowns(groups, goesDownAfter),
      gate(
        MOVED,
        'every member has moved',
        members.map(({ vm }) => stepOf('failover', vm)),
      ),
      ...steps.map(waitFor),
    ],
  };
}

function looks<Work>({ vm, name, lookAtSource, lookAtTarget }: PlannedWork<Work>, { source, target }: Ends): Step<Work>[] {
  const base = { scope: vm, attempts: ATTEMPTS, looksOnly: true, needs: [], after: [] };
  return [
    { ...base, id: lookAtSourceOf(vm), title: `look at ${name} at the ${source} site`, work: lookAtSource },
    { ...base, id: stepOf('look/target', vm), title: `look at ${name} at the ${target} site`, work: lookAtTarget },
  ];
}

/** The last group first. */
function shutDowns<Work>(groups: readonly PlannedGroup<Work>[], goesDownAfter: ReadonlyMap<string, readonly StepId[]>): Step<Work>[] {
  let before: StepId = LOOKED;
  const actions = groupsBeforeShutDown(groups, { needs: [], after: [LOOKED] });
  const needs = lastOf(actions, []);
  const downs = groups.toReversed().flatMap((group, index): Step<Work>[] => {
    const waits = before;
    before = StepId.parse(`group/${groups.length - index}-down`);
    const own = group.members.flatMap((member) => shutDown(member, { needs, after: [waits, ...(goesDownAfter.get(member.vm) ?? [])] }));
    const after = [waits, ...group.members.map(({ vm }) => stepOf('shut-down', vm))];
    return [...own, gate(before, `group ${group.name} is down`, after)];
  });
  return [...actions, ...downs];
}

function shutDown<Work>(member: PlannedWork<Work>, turn: Before): Step<Work>[] {
  const { vm, name } = member;
  const { steps, needs, after } = beforeShutDown(member, {
    needs: [lookAtSourceOf(vm), stepOf('look/target', vm), ...turn.needs],
    after: turn.after,
  });
  return [
    ...steps,
    {
      id: stepOf('shut-down', vm),
      title: `shut ${name} down and send its last changes`,
      work: member.shutDown,
      undo: member.bringBack,
      needs,
      after,
      scope: vm,
      attempts: ATTEMPTS,
    },
  ];
}

function waitFor<Work>(step: Step<Work>): Step<Work> {
  if (isGate(step)) return step;
  // What an action does stays, so it waits as a start does until nobody is taken back any more.
  if (step.pivot || step.aside) return { ...step, after: [MOVED, ...step.after] };
  return { ...step, needs: [stepOf('shut-down', step.scope), ...step.needs] };
}

/** Whoever needs another to start goes down before it: by VM, the shut-downs it waits for. */
function dependants<Work>(members: readonly PlannedWork<Work>[], byId: ReadonlyMap<StepId, Step<Work>>): Map<string, StepId[]> {
  const waits = new Map<string, StepId[]>();
  for (const { vm } of members) {
    for (const needed of byId.get(stepOf('start', vm))?.needs ?? []) {
      const other = byId.get(needed)?.scope;
      if (other === undefined || other === vm) continue;
      const list = waits.get(other);
      if (list) list.push(stepOf('shut-down', vm));
      else waits.set(other, [stepOf('shut-down', vm)]);
    }
  }
  return waits;
}

function gate<Work>(id: StepId, title: string, after: readonly StepId[]): Step<Work> {
  return { id, title, needs: [], after, scope: id };
}
